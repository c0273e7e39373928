"""What a run over a series writes."""

from __future__ import annotations

from pathlib import Path

MASK = "mask.nii.gz"
SURFACES = ("surface.glb", "surface.png", "surface.stl")


def written(out: Path, *, surface: bool = True) -> list[Path]:
    """The files of a run; without ``surface`` those of an empty mask."""
    return [out / name for name in (MASK, *(SURFACES if surface else ()))]
