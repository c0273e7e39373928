"""DRIVE (Staal et al. 2004), fundus photographs with vessels: as downloaded, or as ``images/``, ``masks/``, ``fov/``.

The second observer's masks of the test half are not read: figures are against the first.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from edgeseg.data.dataset import Dataset, Pair, find_images, pair_up
from edgeseg.errors import DataError

TERMS = "research and educational use; no commercial use known to be granted; cite Staal 2004"


def drive(root: Path) -> Dataset | None:
    """The official download: ``training/`` and ``test/``, each ``images/*.tif``, ``1st_manual/*.gif``, ``mask/*.gif``.

    A ``test/`` without ``1st_manual/`` (as the challenge site hands it out) is left out: it can be
    inferred on, not measured.

    Raises:
        DataError: a manual mask is missing, or a field of view of a half that has others (``mask/`` may be left out).
    """
    if not (root / "training" / "images").is_dir() or not (root / "training" / "1st_manual").is_dir():
        return None
    pairs: list[Pair] = []
    lists: dict[str, tuple[str, ...]] = {}
    for folder, split in (("training", "train"), ("test", "test")):
        if (root / folder / "1st_manual").is_dir():
            part = _half(root, folder)
            lists[split] = tuple(pair.stem for pair in part)
            pairs += part
    return Dataset("drive", root, tuple(sorted(pairs, key=lambda pair: pair.stem)), TERMS, "fundus", lists)


def _half(root: Path, folder: str) -> tuple[Pair, ...]:
    """``training`` or ``test``: 21_training.tif, 21_manual1.gif and 21_training_mask.gif are one pair, "21"."""
    images, masks, fields = (_by_number(root / folder / part) for part in ("images", "1st_manual", "mask"))
    pairs = pair_up(images, masks, root=root / folder)
    given = root / folder / "mask"
    return with_fields(pairs, fields, given) if given.is_dir() else pairs


def _by_number(folder: Path) -> dict[str, Path]:
    """Files of a folder by the image's number; none where there is no folder."""
    return {stem.split("_")[0]: file for stem, file in find_images(folder).items()} if folder.is_dir() else {}


def with_fields(pairs: tuple[Pair, ...], fields: dict[str, Path], folder: Path) -> tuple[Pair, ...]:
    """Adds each pair's field-of-view mask.

    Raises:
        DataError: a pair has none; either all have one or none has.
    """
    missing = [pair.stem for pair in pairs if pair.stem not in fields]
    if missing:
        raise DataError(f"{folder}: no field-of-view mask for {missing[0]}; add it or remove the folder")
    return tuple(replace(pair, fov=fields[pair.stem]) for pair in pairs)
