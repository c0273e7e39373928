"""What runs, bundles, recipes and files are called where they are shown."""

from __future__ import annotations

import re


def legal_name(text: str, otherwise: str) -> str:
    """A :data:`edgeseg.manifest.Name` out of a file's or folder's: lower case, "-" for "_"; else ``otherwise``."""
    name = text.lower().replace("_", "-")
    return name if re.fullmatch("[a-z0-9-]{1,64}", name) else otherwise


def shown(name: str) -> str:
    r"""A file name as text that can be written and drawn: bytes that are no UTF-8, as of old disks, as ``\udcff``.

    Python keeps them as surrogates, on which encoding fails and OpenCV's drawing ends the process.
    """
    return name.encode("utf-8", "backslashreplace").decode()
