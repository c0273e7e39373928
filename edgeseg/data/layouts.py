"""Data set layouts: what a folder looks like → :class:`Dataset`. One function a layout, tried in order.

Each knows the original download and, where it differs, the layout ``images/`` + ``masks/``.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from pathlib import Path

from edgeseg.data.chase import chase_db1
from edgeseg.data.dataset import Dataset, Pair, find_images, own_lists, pair_up
from edgeseg.data.drive import TERMS, drive, with_fields
from edgeseg.data.hrf import hrf
from edgeseg.data.neopolyp import neopolyp
from edgeseg.data.stare import stare
from edgeseg.errors import DataError

OWNERS = "the owner's"  # terms of frames that no known set has


def open_dataset(root: Path) -> Dataset:
    """Recognises the layout of a folder.

    Raises:
        DataError: no folder, no known layout, or its files do not fit together.
    """
    if not root.is_dir():
        raise DataError(f"{root}: is no folder; --data wants the folder of a data set")
    for layout in LAYOUTS:
        found = layout(root)
        if found is not None and layout is not folder and (root / "negatives").is_dir():
            raise DataError(
                f"{root}: is {found.name}, which has no negatives/; move that folder into one of its own, and give "
                "--data for each"
            )
        if found is not None:
            return found
    raise DataError(
        f"{root}: no known data set layout; put frames into images/ and masks of the same names into masks/ "
        "(or give a folder of CVC-ClinicDB, Kvasir-SEG, NeoPolyp, ISIC, lung slices, DRIVE, CHASE_DB1, STARE, HRF as "
        "downloaded)"
    )


def cvc_clinicdb(root: Path) -> Dataset | None:
    """CVC-ClinicDB: ``Original/`` + ``Ground Truth/`` (1.tif … 612.tif), or the copy with ``sequences.csv``.

    About a quarter of the source's masks have a few grey edge pixels, cut at 127.
    """
    original = (root / "Original").is_dir() and (root / "Ground Truth").is_dir()
    copy = (root / "images").is_dir() and (root / "sequences.csv").is_file()
    if not original and not copy:
        return None
    images = find_images(root / ("Original" if original else "images"))
    masks = find_images(root / ("Ground Truth" if original else "masks"))
    groups = {}
    for stem in images:
        if not stem.isdigit():
            raise DataError(f"{root}: {images[stem].name} is not numbered as CVC-ClinicDB's frames are (1 to 612)")
        groups[stem] = cvc_sequence(int(stem))
    terms = "research and education only; (c) Hospital Clinic Barcelona and Computer Vision Center; cite Bernal 2015"
    pairs = pair_up(images, masks, groups, root=root, grey_masks=original)
    return Dataset("cvc_clinicdb", root, pairs, terms, "colonoscopy", own_lists(root))


# Official frame ranges of the 29 sequences (Bernal et al., CMIG 2015): the first frame of each.
_CVC_FIRST = (
    1, 26, 51, 68, 79, 104, 127, 152, 178, 200, 206, 228, 253, 278, 298,
    318, 343, 364, 384, 409, 429, 448, 467, 479, 504, 529, 547, 572, 592,
)  # fmt: skip


def cvc_sequence(number: int) -> str:
    """The sequence (1 to 29) that frame ``number`` (1 to 612) belongs to."""
    return f"{sum(first <= number for first in _CVC_FIRST):02d}"


def kvasir_seg(root: Path) -> Dataset | None:
    """Kvasir-SEG: ``images/`` + ``masks/`` with its ``kavsir_bboxes.json``, or the copy with stems in tr, va, te.

    The download's masks are JPEG, cut at 127.
    """
    if not (root / "images").is_dir() or not (root / "masks").is_dir():
        return None
    original = any((root / name).is_file() for name in ("kavsir_bboxes.json", "kvasir_bboxes.json"))
    images = find_images(root / "images")
    copy = bool(images) and all(s[:2] in ("tr", "va", "te") and s[2:].isdigit() for s in images)
    if not original and not copy:
        return None
    terms = "research and educational use; other use needs written permission; cite Jha 2020"
    pairs = pair_up(images, find_images(root / "masks"), root=root, grey_masks=original)
    return Dataset("kvasir_seg", root, pairs, terms, "colonoscopy", own_lists(root))


_ISIC_INPUTS = ("ISIC2018_Task1-2_Training_Input", "ISIC-2017_Training_Data")
_ISIC_TRUTHS = ("ISIC2018_Task1_Training_GroundTruth", "ISIC-2017_Training_Part1_GroundTruth")


def isic(root: Path) -> Dataset | None:
    """ISIC task 1: the download's input and ground-truth folders, or the 256×256 copy."""
    for inputs, truths in zip(_ISIC_INPUTS, _ISIC_TRUTHS, strict=True):
        if (root / inputs).is_dir() and (root / truths).is_dir():
            images = {s: p for s, p in find_images(root / inputs).items() if not s.endswith("_superpixels")}
            masks = {s.removesuffix("_segmentation"): p for s, p in find_images(root / truths).items()}
            return _isic(root, images, masks)
    if not (root / "images").is_dir() or not (root / "masks").is_dir():
        return None
    images = find_images(root / "images")
    if not images or not all(stem.startswith("ISIC_") for stem in images):
        return None
    return _isic(root, images, find_images(root / "masks"))


def _isic(root: Path, images: dict[str, Path], masks: dict[str, Path]) -> Dataset:
    terms = "CC-0; cite Codella 2017"
    return Dataset("isic", root, pair_up(images, masks, root=root), terms, "dermoscopy", own_lists(root))


def lung_slices(root: Path) -> Dataset | None:
    """Lung CT slices: ``2d_images/`` + ``2d_masks/`` (tif), or a copy whose stems are PATIENT_zNN."""
    if (root / "2d_images").is_dir() and (root / "2d_masks").is_dir():
        images, masks = find_images(root / "2d_images"), find_images(root / "2d_masks")
        groups = {stem: stem.split("_")[1] if stem.count("_") > 1 else stem for stem in images}
    elif (root / "images").is_dir() and (root / "masks").is_dir():
        images, masks = find_images(root / "images"), find_images(root / "masks")
        if not images or not all("_z" in s and s.rsplit("_z", 1)[1].isdigit() for s in images):
            return None
        groups = {stem: stem.rsplit("_z", 1)[0] for stem in images}
    else:
        return None
    terms = "no licence stated; internal use only"
    return Dataset("lung_ct", root, pair_up(images, masks, groups, root=root), terms, "ct", own_lists(root))


def drive_copy(root: Path) -> Dataset | None:
    """DRIVE as ``images/``, ``masks/`` and ``fov/`` with the stems 01 to 40."""
    if not all((root / part).is_dir() for part in ("images", "masks", "fov")):
        return None
    images = find_images(root / "images")
    if not images or not set(images) <= {f"{number:02d}" for number in range(1, 41)}:
        return None
    pairs = pair_up(images, find_images(root / "masks"), root=root)
    pairs = with_fields(pairs, find_images(root / "fov"), root / "fov")
    return Dataset("drive", root, pairs, TERMS, "fundus", own_lists(root))


def folder(root: Path) -> Dataset | None:
    """Anyone's own: ``images/`` + ``masks/`` of equal stems, ``negatives/`` (frames with nothing to find), or both.

    Optional: ``train.txt``, ``val.txt``, ``test.txt``, ``groups.csv`` (stem,group: who belongs together, such as
    frames of one patient) and ``fov/`` (field-of-view masks).
    """
    labelled = (root / "images").is_dir() and (root / "masks").is_dir()
    if (root / "images").is_dir() and not labelled:
        raise DataError(
            f"{root}: has images/ and no masks/; put the mask of each frame there, under the same name "
            "(frames that show nothing to find belong into negatives/ instead)"
        )
    negatives = find_images(root / "negatives") if (root / "negatives").is_dir() else {}
    if not labelled and not negatives:
        return None
    groups = read_groups(root / "groups.csv") if (root / "groups.csv").is_file() else {}
    pairs = [Pair(stem, file, None, groups.get(stem)) for stem, file in negatives.items()]
    if labelled:
        with_masks = pair_up(find_images(root / "images"), find_images(root / "masks"), groups, root=root)
        twice = next((pair for pair in with_masks if pair.stem in negatives), None)
        if twice is not None:
            raise DataError(f"{root}: {twice.image.name} is in images/ and in negatives/; take it out of one")
        pairs += with_masks
    if (root / "groups.csv").is_file() and any(pair.group is None for pair in pairs):
        stem = next(pair.stem for pair in pairs if pair.group is None)
        raise DataError(f"{root / 'groups.csv'}: has no group for {stem}; list every stem")
    found = tuple(sorted(pairs, key=lambda pair: pair.stem))
    if (root / "fov").is_dir():
        found = with_fields(found, find_images(root / "fov"), root / "fov")
    name = "".join(c if c.isalnum() else "_" for c in root.resolve().name.lower()) or "folder"
    return Dataset(name, root, found, OWNERS, lists=own_lists(root))


def read_groups(file: Path) -> dict[str, str]:
    """Group by stem, of a ``groups.csv`` with the columns stem,group.

    Raises:
        DataError: unreadable or without these columns.
    """
    wanted = f"{file}: cannot be read; it wants a first line stem,group and a line per image"
    try:
        with file.open(encoding="utf-8-sig", newline="") as handle:  # Excel begins its files with a byte order mark
            reader = csv.DictReader(handle)
            fields = reader.fieldnames or ()
            rows = list(reader)
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise DataError(wanted) from error
    if not {"stem", "group"} <= set(fields):
        raise DataError(wanted)
    groups: dict[str, str] = {}
    for row in rows:
        stem, group = (row["stem"] or "").strip(), (row["group"] or "").strip()
        if stem and stem in groups:
            raise DataError(f"{file}: lists {stem} twice; a stem is of one group")
        if stem and group:
            groups[stem] = group
    return groups


LAYOUTS: tuple[Callable[[Path], Dataset | None], ...] = (
    cvc_clinicdb,
    kvasir_seg,
    neopolyp,
    isic,
    lung_slices,
    drive,
    drive_copy,
    chase_db1,
    stare,
    hrf,
    folder,
)
