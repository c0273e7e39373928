"""The secret a viewer asks for when it can be reached from other machines."""

from __future__ import annotations

import os
import secrets

from edgeseg.errors import UsageError

VARIABLE = "EDGESEG_WEB_TOKEN"
SHORTEST = 16


def find_token() -> tuple[str, bool]:
    """The token, and whether it was made up here (then it must be told to the user, once).

    Raises:
        UsageError: the given one is too short, or stderr is a journal, which would keep a made-up one.
    """
    given = os.environ.get(VARIABLE, "").strip()
    if given:
        if len(given) < SHORTEST:
            raise UsageError(f"{VARIABLE} has under {SHORTEST} characters; make one with: openssl rand -hex 16")
        return given, False
    if os.environ.get("JOURNAL_STREAM"):
        raise UsageError(f"--web beyond this machine needs {VARIABLE}: a token printed here would stay in the journal")
    return secrets.token_urlsafe(24), True
