"""HRF (Budai et al. 2013), fundus photographs of a Canon CR-1, 60 degrees, of 3504×2336 pixels, with vessels."""

from __future__ import annotations

import re
from pathlib import Path

from edgeseg.data.dataset import Dataset, find_images, pair_up, train_and_test
from edgeseg.data.drive import with_fields
from edgeseg.errors import DataError

TERMS = (
    "CC BY 4.0 (https://creativecommons.org/licenses/by/4.0/); cite A. Budai, R. Bock, A. Maier, J. Hornegger and "
    "G. Michelson, Robust Vessel Segmentation in Fundus Images, Int. J. of Biomedical Imaging 2013; "
    "https://www5.cs.fau.de/research/data/fundus-images/"
)


def hrf(root: Path) -> Dataset | None:
    """The download: ``images/01_dr.JPG``, ``manual1/01_dr.tif`` and ``mask/01_dr_mask.tif``; ``mask/`` may be left out.

    The usual split, as the set has none of its own: of the healthy (h), the diabetic (dr) and the glaucomatous (g)
    the first five each train, the others test (Orlando, Prokofyeva and Blaschko, IEEE TBME 2017).

    Raises:
        DataError: another image is there, or a mask is missing.
    """
    if not (root / "images").is_dir() or not (root / "manual1").is_dir():
        return None
    images = find_images(root / "images")
    strange = [file.name for stem, file in images.items() if not re.fullmatch(r"(0[1-9]|1[0-5])_(dr|g|h)", stem)]
    if len(strange) == len(images):
        return None  # someone's own, with a folder of that name
    if strange:
        raise DataError(f"{root}: {strange[0]} is none of HRF's images (01_h to 15_h, and likewise _dr and _g)")
    pairs = pair_up(images, find_images(root / "manual1"), root=root)
    if (root / "mask").is_dir():
        fields = {stem.removesuffix("_mask"): file for stem, file in find_images(root / "mask").items()}
        pairs = with_fields(pairs, fields, root / "mask")
    return Dataset("hrf", root, pairs, TERMS, "fundus", train_and_test(pairs, lambda pair: int(pair.stem[:2]) <= 5))
