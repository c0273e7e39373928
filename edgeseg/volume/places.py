"""Where the mask and the surface of a series go, checked before any work."""

from __future__ import annotations

from pathlib import Path

from edgeseg.errors import UsageError
from edgeseg.stream.places import OTHER_VIDEOS, Outputs, Places, check_distinct, check_not_read, check_places
from edgeseg.stream.sinks.encoder import SUFFIXES

MASK = "mask.nii.gz"
SURFACES = ("surface.glb", "surface.png", "surface.stl")


def check(folder: Path, outputs: Outputs) -> Path:
    """The folder of ``--out``, after everything was checked that can be without the model.

    Args:
        folder: of the series.
        outputs: of which a series has ``out`` and ``json`` alone.

    Raises:
        UsageError: no ``--out``, a video, two outputs in one file, or one in the place of a slice.
        OutputError: a file stands where the folder should be, or the disk refuses.
    """
    out = outputs.out
    if out is None:
        raise UsageError(f"{folder} is a DICOM series; say with --out where mask and surface go")
    if out.suffix.lower() in (*SUFFIXES, *OTHER_VIDEOS):
        raise UsageError(f"--out {out}: a DICOM series gives a mask and a surface, no video; give a folder")
    check_places(outputs)
    files = [*written(out), *([outputs.json] if outputs.json is not None else [])]
    check_distinct(Places(None, None, None, None), files)
    check_not_read(files, {file.resolve() for file in folder.iterdir()})
    return out


def written(out: Path, *, surface: bool = True) -> list[Path]:
    """The files of a run; without ``surface`` those of an empty mask."""
    return [out / name for name in (MASK, *(SURFACES if surface else ()))]
