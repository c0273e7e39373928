"""CT volumes: DICOM series in, slice by slice through the network, NIfTI mask and 3-D surface out (extra ``cta``).

Looking whether a folder holds DICOM, and where outputs go, needs none of the extra's libraries; everything else here
does.
"""

from __future__ import annotations

from pathlib import Path


def is_series(path: Path) -> bool:
    """Whether ``path`` is a folder with a DICOM file in it."""
    return path.is_dir() and any(is_dicom(file) for file in path.iterdir())


def is_dicom(file: Path) -> bool:
    """Whether a file starts as DICOM files do (a DICOMDIR is an index, not a picture)."""
    if not file.is_file() or file.name.upper() == "DICOMDIR":
        return False
    with file.open("rb") as handle:
        return handle.read(132)[128:] == b"DICM"
