"""STARE (Hoover, Kouznetsova and Goldbaum 2000), fundus photographs of a TopCon TRV-50, 35 degrees, with vessels."""

from __future__ import annotations

from pathlib import Path

from edgeseg.data.dataset import Dataset, find_images, pair_up, train_and_test
from edgeseg.errors import DataError

TERMS = "no licence stated on its page at Clemson University; cite Hoover 2000"
FIRST = ".ah"
LAST = "im0139"  # that trains


def stare(root: Path) -> Dataset | None:
    """The two downloads, unpacked: ``stare-images/im0001.ppm`` and ``labels-ah/im0001.ah.ppm``, …; gunzip the files.

    The masks are the first observer's (A. Hoover); the second's, ``labels-vk/``, are not read. The usual split, as the
    set has none of its own: the first ten images train, the last ten test (Maninis et al., MICCAI 2016).

    Raises:
        DataError: a mask or an image is missing, or files are still compressed.
    """
    images, masks = root / "stare-images", root / "labels-ah"
    if not images.is_dir() or not masks.is_dir():
        return None
    files = sorted(file for folder in (images, masks) for file in folder.iterdir())
    packed = [file for file in files if file.suffix.lower() == ".gz" and not file.with_suffix("").exists()]
    if packed:
        raise DataError(f"{packed[0]}: is compressed; run gunzip on the files of {images.name} and {masks.name}")
    by_stem = {stem.removesuffix(FIRST): file for stem, file in find_images(masks).items()}
    pairs = pair_up(find_images(images), by_stem, root=root)
    # By number, not by place: a part of the set keeps its split.
    return Dataset("stare", root, pairs, TERMS, "fundus", train_and_test(pairs, lambda pair: pair.stem <= LAST))
