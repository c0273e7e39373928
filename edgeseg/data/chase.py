"""CHASE_DB1 (Fraz et al. 2012), fundus photographs of a hand-held camera, 30 degrees, with vessels: as downloaded."""

from __future__ import annotations

from pathlib import Path

from edgeseg.data.dataset import Dataset, find_images, pair_up

TERMS = "as its page at Kingston University says; cite Fraz 2012"
FIRST, SECOND = "_1stHO", "_2ndHO"


def chase_db1(root: Path) -> Dataset | None:
    """The download: one folder of Image_01L.jpg to Image_14R.jpg, each with ..._1stHO.png and ..._2ndHO.png.

    The second observer's masks are not read. Both eyes of a child are one group. The usual split, as the set has none
    of its own: the first ten children train, the last four test.
    """
    if not any(root.glob(f"Image_*{FIRST}.png")):
        return None
    files = {stem: file for stem, file in find_images(root).items() if not stem.endswith(SECOND)}
    masks = {stem.removesuffix(FIRST): file for stem, file in files.items() if stem.endswith(FIRST)}
    images = {stem: file for stem, file in files.items() if not stem.endswith(FIRST)}
    groups = {stem: stem.removeprefix("Image_")[:2] for stem in images}
    pairs = pair_up(images, masks, groups, root=root)
    children = sorted(set(groups.values()))
    lists = {
        split: tuple(pair.stem for pair in pairs if pair.group in part)
        for split, part in (("train", children[:10]), ("test", children[10:]))
    }
    return Dataset("chase_db1", root, pairs, TERMS, "fundus", {name: part for name, part in lists.items() if part})
