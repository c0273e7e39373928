"""Lines for people on a terminal, and for systemd's journal with their priority in front (sd-daemon(3))."""

from __future__ import annotations

import contextlib
import logging
import os
import sys

ERROR, WARNING, NOTICE, INFO = 3, 4, 5, 6
_OF_LEVEL = ((logging.ERROR, ERROR), (logging.WARNING, WARNING), (logging.INFO, INFO))


def in_journal() -> bool:
    """Whether standard error goes to the journal: its device and inode are those that systemd named."""
    try:
        status = os.fstat(sys.stderr.fileno())
    except (OSError, ValueError, AttributeError):
        return False
    return os.environ.get("JOURNAL_STREAM") == f"{status.st_dev}:{status.st_ino}"


def say(text: str, priority: int = INFO) -> None:
    """One line to standard error; never raises."""
    line = " ".join(text.split())
    # A log that is full or gone must not end what it tells of; sys.stderr is None where it was closed from the start.
    with contextlib.suppress(OSError, ValueError, AttributeError):
        sys.stderr.write(f"<{priority}>{line}\n" if in_journal() else f"{line}\n")
        sys.stderr.flush()


class Formatter(logging.Formatter):
    """Log records as such lines."""

    def format(self, record: logging.LogRecord) -> str:
        text = super().format(record)
        if not in_journal():
            return text
        priority = next((number for level, number in _OF_LEVEL if record.levelno >= level), 7)
        return "\n".join(f"<{priority}>{line}" for line in text.splitlines())
