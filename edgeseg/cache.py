"""Files that only save time: kept per user and machine, rebuilt when missing or damaged."""

from __future__ import annotations

import contextlib
import hashlib
import os
from pathlib import Path

from edgeseg.atomic import atomic_write
from edgeseg.errors import OutputError


def cache_home() -> Path:
    """``$XDG_CACHE_HOME/edgeseg``, else ``~/.cache/edgeseg``."""
    given = os.environ.get("XDG_CACHE_HOME")
    return (Path(given) if given else Path.home() / ".cache") / "edgeseg"


def read(file: Path) -> bytes:
    """What :func:`write` kept; b"" if there is nothing or a byte has changed (such caches hold compiled code)."""
    try:
        data = file.read_bytes()
    except OSError:
        return b""
    digest, content = data[:32], data[32:]
    return content if hashlib.sha256(content).digest() == digest else b""


def write(file: Path, content: bytes) -> None:
    """Keeps ``content`` behind its SHA-256; a disk that refuses costs time later, nothing now."""
    with contextlib.suppress(OutputError):
        atomic_write(file, hashlib.sha256(content).digest() + content)
