"""BKAI-IGH NeoPolyp-Small (Lan et al., ISVC 2021): stills of colonoscopies in Vietnam, Fujifilm, 1280 pixels wide."""

from __future__ import annotations

from pathlib import Path

from edgeseg.data.dataset import Dataset, find_images, own_lists, pair_up

TERMS = (
    "as its Kaggle page says (bkai-igh-neopolyp): take it for research and education only; cite P. N. Lan et al., "
    "NeoUNet: Towards Accurate Colon Polyp Segmentation and Neoplasm Detection, ISVC 2021"
)


def neopolyp(root: Path) -> Dataset | None:
    """The download: ``train/*.jpeg`` and ``train_gt/*.jpeg`` of the same names, or ``train/train/*.jpeg`` and so on.

    The masks are JPEG, red where a polyp is neoplastic, green where it is not; both are polyp here. ``test/`` has no
    masks and is not read: without lists a test part is drawn from the others. Patients are not known.

    Raises:
        DataError: a mask or an image is missing.
    """
    images, masks = (_unpacked(root / part) for part in ("train", "train_gt"))
    if not images.is_dir() or not masks.is_dir():
        return None
    truths = find_images(masks)
    if any(file.suffix.lower() not in (".jpeg", ".jpg") for file in truths.values()):
        return None  # someone's own, with folders of these names: its masks may hold 0 and 1
    pairs = pair_up(find_images(images), truths, root=root, grey_masks=True)
    return Dataset("neopolyp", root, pairs, TERMS, "colonoscopy", own_lists(root))


def _unpacked(folder: Path) -> Path:
    """Kaggle's archives hold ``train/train/…``."""
    return folder / folder.name if (folder / folder.name).is_dir() else folder
