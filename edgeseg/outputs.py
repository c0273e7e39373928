"""Says before any work which outputs cannot be: folders, one file twice, and what lies in a bundle."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from edgeseg.atomic import check_writable, disk_errors, written_through
from edgeseg.bundle import SUFFIX
from edgeseg.errors import OutputError, UsageError


def check_files(outputs: Mapping[str, Path | None]) -> None:
    """Files to come, by the option that names each.

    Raises:
        UsageError: two are the same, or one lies in a bundle.
        OutputError: one is a folder, or cannot be written.
    """
    seen: dict[Path, str] = {}
    for option, path in outputs.items():
        if path is None:
            continue
        with disk_errors(path):
            place, folder, through = path.resolve(), path.is_dir(), written_through(path)
        if folder:
            raise OutputError(f"{option} {path} is a folder; give a file")
        check_outside(option, path)
        if place in seen and not through:
            raise UsageError(f"{seen[place]} and {option} have the same path; give each its own")
        seen[place] = option
        check_writable(path)


def check_suffix(option: str, path: Path | None, suffix: str) -> None:
    """What is read back, or shown, by its suffix must have it.

    Raises:
        UsageError: it has another.
    """
    if path is not None and path.suffix != suffix:
        raise UsageError(f"{option} {path}: give a file name that ends in {suffix}")


def check_no_run(option: str, path: Path) -> None:
    """That ``path`` is no run's folder, whose own pictures have the names of what is written.

    Raises:
        UsageError: it is.
    """
    with disk_errors(path):
        if any((path / name).is_file() for name in ("weights.safetensors", "last.ckpt")):
            raise UsageError(f"{option} {path} is a run, whose own curves.png would be lost; give another folder")


def check_outside(option: str, path: Path, *, folder: bool = False) -> None:
    """That ``path`` lies in no bundle; with ``folder``, that it is none either.

    Raises:
        UsageError: it does: what a manifest does not list would make its bundle fail.
    """
    with disk_errors(path):
        place = path.resolve()
        for one in (place, *place.parents) if folder else place.parents:
            run = (one / "weights.safetensors").is_file()  # a run's folder may have any name
            if one.name.endswith(SUFFIX) and (one / "manifest.json").is_file() and not run:
                raise UsageError(
                    f"{option} {path} lies in the bundle {one.name}, which holds what its manifest lists and nothing "
                    "else; write somewhere else"
                )
