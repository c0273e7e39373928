"""A data set on disk: pairs of frame and mask, its lists, and who belongs together."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.errors import DataError
from edgeseg.names import shown

Image = NDArray[np.uint8]
_PNG_BEGIN, _PNG_END = b"\x89PNG\r\n\x1a\n", b"IEND\xaeB`\x82"
# How GIF, TIFF (also its form for large files), WebP and PNG begin; counting reads the file again.
_MAY_HOLD_SEVERAL = (b"GIF8", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+", b"RIFF", _PNG_BEGIN[:4])
IMAGE_SUFFIXES = (".png", ".jpg", ".jpeg", ".tif", ".tiff", ".bmp", ".webp", ".gif", ".ppm")
SPLITS = ("train", "val", "test")


@dataclass(frozen=True)
class Pair:
    """One labelled frame.

    ``mask`` is None where the frame shows nothing to find; ``group`` is its sequence or patient where known;
    ``fov`` its field-of-view mask. ``grey_mask`` says that the source's masks hold grey edge pixels (JPEG,
    resampling) that are known to be cut at 127, or colours; elsewhere a grey mask is an error.
    """

    stem: str
    image: Path
    mask: Path | None
    group: str | None = None
    fov: Path | None = None
    grey_mask: bool = False


@dataclass(frozen=True)
class Dataset:
    """A data set as found on disk.

    ``lists`` maps split names ("train", "test", …) to the stems their files list.
    """

    name: str
    root: Path
    pairs: tuple[Pair, ...]
    terms: str
    modality: str = "other"
    lists: dict[str, tuple[str, ...]] = field(default_factory=dict)

    def subset(self, stems: Iterable[str]) -> list[Pair]:
        """The pairs of these stems, in their order.

        Raises:
            DataError: a stem has no pair.
        """
        known = {pair.stem: pair for pair in self.pairs}
        wanted = list(stems)
        missing = [stem for stem in wanted if stem not in known]
        if missing:
            raise DataError(f"{self.root}: a split lists {_names(missing)}, but there is no such image")
        return [known[stem] for stem in wanted]

    @cached_property
    def listing_sha256(self) -> str:
        """SHA-256 of the lines ``<sha256>  <path in the folder>`` of all frames and masks, by path; read once.

        Raises:
            DataError: a file cannot be read.
        """
        both = [file for pair in self.pairs for file in (pair.image, pair.mask) if file is not None]
        files = sorted({file.relative_to(self.root).as_posix() for file in both})
        try:
            digests = [hashlib.sha256((self.root / file).read_bytes()).hexdigest() for file in files]
        except OSError as error:
            raise DataError(f"{error.filename}: cannot be read ({error.strerror})") from error
        lines = "".join(f"{digest}  {file}\n" for digest, file in zip(digests, files, strict=True))
        return hashlib.sha256(lines.encode()).hexdigest()


def _names(items: Sequence[str]) -> str:
    shown = ", ".join(items[:3])
    return shown if len(items) <= 3 else f"{shown} and {len(items) - 3} more"


def find_images(folder: Path) -> dict[str, Path]:
    """Stem → file of all images in a folder.

    Raises:
        DataError: two files have one stem, or a name is no UTF-8.
    """
    out: dict[str, Path] = {}
    for file in sorted(folder.iterdir()):
        if file.suffix.lower() in IMAGE_SUFFIXES and not file.name.startswith("."):
            if shown(file.stem) != file.stem:
                raise DataError(f"{folder}: the name of {shown(file.name)} is no UTF-8; rename it")
            if file.stem in out:
                raise DataError(f"{folder}: {out[file.stem].name} and {file.name} have the same stem; remove one")
            out[file.stem] = file
    return out


def pair_up(
    images: dict[str, Path],
    masks: dict[str, Path],
    groups: dict[str, str] | None = None,
    *,
    root: Path,
    grey_masks: bool = False,
) -> tuple[Pair, ...]:
    """Pairs frames and masks by stem.

    Raises:
        DataError: none there, or one side is missing, with the files' names.
    """
    if not images:
        raise DataError(f"{root}: no images found")
    without = sorted(set(images) - set(masks))
    if without:
        raise DataError(f"{root}: no mask for {_names([images[s].name for s in without])}; add it or remove the image")
    orphans = sorted(set(masks) - set(images))
    if orphans:
        raise DataError(
            f"{root}: no image for mask {_names([masks[s].name for s in orphans])}; add it or remove the mask"
        )
    groups = groups or {}
    return tuple(
        Pair(stem, images[stem], masks[stem], groups.get(stem), grey_mask=grey_masks) for stem in sorted(images)
    )


def train_and_test(pairs: Iterable[Pair], trains: Callable[[Pair], bool]) -> dict[str, tuple[str, ...]]:
    """The lists "train" and "test" of a set that is usually split so; one without a pair is left out."""
    lists: dict[str, tuple[str, ...]] = {}
    for pair in pairs:
        split = "train" if trains(pair) else "test"
        lists[split] = (*lists.get(split, ()), pair.stem)
    return lists


def read_list(file: Path) -> tuple[str, ...]:
    """Stems of a split file, one a line (a suffix is allowed and dropped).

    Raises:
        DataError: unreadable, empty, or a stem twice.
    """
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8-sig").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{file}: cannot be read as a split list ({error})") from error
    stems = [Path(line).stem if Path(line).suffix.lower() in IMAGE_SUFFIXES else line for line in lines if line]
    if not stems:
        raise DataError(f"{file}: the split is empty; list stems, one a line")
    if len(set(stems)) != len(stems):
        twice = next(stem for stem in stems if stems.count(stem) > 1)
        raise DataError(f"{file}: lists {twice} twice")
    return tuple(stems)


def own_lists(root: Path) -> dict[str, tuple[str, ...]]:
    """The lists ``train.txt``, ``val.txt`` and ``test.txt`` of a folder, those that are there.

    Raises:
        DataError: one cannot be read.
    """
    return {split: read_list(root / f"{split}.txt") for split in SPLITS if (root / f"{split}.txt").is_file()}


def read_frame(path: Path) -> Image:
    """A frame as uint8 BGR [H, W, 3].

    Raises:
        DataError: the file is no readable image.
    """
    return np.asarray(_read(path, cv2.IMREAD_COLOR), np.uint8)


def read_mask(path: Path, *, threshold: bool = False) -> Image:
    """A mask as uint8 {0, 1} [H, W]; files hold {0, 255} or {0, 1}.

    Args:
        path: the file.
        threshold: cut the brightest of a pixel's channels at 127 instead of refusing grey values.

    Raises:
        DataError: unreadable, or grey values where none may be.
    """
    if threshold:
        return (_read(path, cv2.IMREAD_COLOR).max(axis=2) > 127).astype(np.uint8)
    grey = _read(path, cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH)  # else 16 bits would lose what is below 256
    if grey.dtype == np.uint8:
        counts = np.bincount(grey.ravel(), minlength=256)
        values = np.flatnonzero(counts)
        numbers = counts[values]
    else:
        values, numbers = np.unique(grey, return_counts=True)
    if not any(set(values.tolist()) <= {0, full} for full in (1, 255, 65535)):
        odd = [index for index, value in enumerate(values) if value not in (0, 255)]
        raise DataError(
            f"{path}: a mask may hold only 0 and 255, but {int(numbers[odd].sum())} pixels have other values "
            f"(such as {values[odd[0]]}); save it as PNG without smoothing"
        )
    mask = (grey > 0).astype(np.uint8)
    if mask.all() == mask.any() and _drawn_in_alpha(path):  # all of one value
        raise DataError(f"{path}: has its mask in the transparency alone, which is not read; save it as 0 and 255")
    return mask


def _drawn_in_alpha(path: Path) -> bool:
    image = _read(path, cv2.IMREAD_UNCHANGED)
    return image.ndim == 3 and image.shape[2] == 4 and len(np.unique(image[..., 3])) > 1


def read_pair(pair: Pair) -> tuple[Image, Image]:
    """Frame [H, W, 3] and mask {0, 1} [H, W] of one size.

    Raises:
        DataError: unreadable, grey values, or sizes that differ.
    """
    frame = read_frame(pair.image)
    if pair.mask is None:
        return frame, np.zeros(frame.shape[:2], np.uint8)
    mask = read_mask(pair.mask, threshold=pair.grey_mask)
    if frame.shape[:2] != mask.shape:
        sizes = f"{frame.shape[1]}x{frame.shape[0]} but its mask {mask.shape[1]}x{mask.shape[0]}"
        raise DataError(f"{pair.image} is {sizes} ({pair.mask.name}); they must have one size")
    return frame, mask


def _read(path: Path, flag: int) -> NDArray[Any]:
    try:
        data = np.frombuffer(path.read_bytes(), np.uint8)
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror})") from error
    # libpng would say on stderr by itself that the end is missing.
    whole = data.size > 0 and (data[:8].tobytes() != _PNG_BEGIN or data.tobytes().rfind(_PNG_END) > 0)
    try:
        image = cv2.imdecode(data, flag | cv2.IMREAD_ANYDEPTH) if whole else None
        pages = count_pages(path) if image is not None and data[:4].tobytes() in _MAY_HOLD_SEVERAL else 1
        if image is not None and image.dtype != np.uint8 and not flag & cv2.IMREAD_ANYDEPTH:
            _not_in_the_dark(path, image)
            image = cv2.imdecode(data, flag)
    except cv2.error as error:
        raise DataError(f"{path}: is no readable image (damaged, or more than 64 million pixels)") from error
    if image is None:
        raise DataError(f"{path}: is no readable image (damaged or another format)")
    if pages > 1:
        raise DataError(f"{path}: holds {pages} pictures, of which one would be read; save each in a file of its own")
    return np.ascontiguousarray(image)


def count_pages(path: Path) -> int:
    """How many pictures a file holds."""
    return int(cv2.imcount(os.fsencode(path)))  # as text, a name that is no UTF-8 ends the process


def _not_in_the_dark(path: Path, image: NDArray[Any]) -> None:
    """Of 16 bits the upper 8 are kept: of what a sensor of 12 bits gives nothing would be left to see."""
    brightest = int(image.max())
    # Below half of the 12 bits it may as well be a dark frame of 16, such as one under a lens cap.
    if image.dtype.itemsize == 2 and 1 << 11 <= brightest < 1 << 12:
        raise DataError(
            f"{path}: has 16 bits a pixel and no value above {brightest}, so it would be read as almost black; "
            "scale it to the range of 16 bits, or save it with 8"
        )
