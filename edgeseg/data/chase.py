"""CHASE_DB1 (Fraz et al. 2012), fundus photographs of a hand-held camera, 30 degrees, with vessels: as downloaded."""

from __future__ import annotations

from pathlib import Path

from edgeseg.data.dataset import Dataset, find_images, pair_up, train_and_test
from edgeseg.errors import DataError

TERMS = "as its page at Kingston University says; cite Fraz 2012"
FIRST, SECOND = "_1stHO", "_2ndHO"
STEMS = {f"Image_{child:02d}{eye}" for child in range(1, 15) for eye in "LR"}


def chase_db1(root: Path) -> Dataset | None:
    """The download: one folder of Image_01L.jpg to Image_14R.jpg, each with ..._1stHO.png and ..._2ndHO.png.

    The second observer's masks are not read. Both eyes of a child are one group. The usual split, as the set has none
    of its own: children 01 to 10 train, 11 to 14 test.

    Raises:
        DataError: another image is there, or a mask is missing.
    """
    if not any(root.glob(f"Image_*{FIRST}.png")):
        return None
    files = {stem: file for stem, file in find_images(root).items() if not stem.endswith(SECOND)}
    masks = {stem.removesuffix(FIRST): file for stem, file in files.items() if stem.endswith(FIRST)}
    images = {stem: file for stem, file in files.items() if not stem.endswith(FIRST)}
    strange = sorted(set(images) - STEMS)
    if strange:
        raise DataError(f"{root}: {images[strange[0]].name} is none of CHASE_DB1's images (Image_01L to Image_14R)")
    pairs = pair_up(images, masks, {stem: stem[6:8] for stem in images}, root=root)
    return Dataset(
        "chase_db1", root, pairs, TERMS, "fundus", train_and_test(pairs, lambda pair: int(pair.group or 0) <= 10)
    )
