"""What runs, bundles and recipes are called: :data:`edgeseg.manifest.Name`, from what a user called a file."""

from __future__ import annotations

import re


def legal_name(text: str, otherwise: str) -> str:
    """A file's or folder's name in lower case, "-" for "_"; ``otherwise`` where that is no legal name."""
    name = text.lower().replace("_", "-")
    return name if re.fullmatch("[a-z0-9-]{1,64}", name) else otherwise
