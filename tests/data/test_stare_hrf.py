"""The downloads of STARE and HRF, made small."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeseg.data.dataset import read_pair
from edgeseg.data.layouts import open_dataset
from edgeseg.errors import DataError

FRAME = np.full((30, 32, 3), 90, np.uint8)
NUMBERS = (1, 2, 3, 4, 5, 44, 77, 81, 82, 139, 162, 163)


def mask(row: int) -> np.ndarray:
    out = np.zeros((30, 32), np.uint8)
    out[row] = 255
    return out


def write(file: Path, image: np.ndarray) -> None:
    file.parent.mkdir(exist_ok=True)
    assert cv2.imwrite(str(file), image)


@pytest.fixture
def stare(tmp_path: Path) -> Path:
    for number in NUMBERS:
        write(tmp_path / f"stare-images/im{number:04}.ppm", FRAME)
        for observer, row in (("ah", 5), ("vk", 6)):
            coloured = cv2.cvtColor(mask(row), cv2.COLOR_GRAY2BGR)
            write(tmp_path / f"labels-{observer}/im{number:04}.{observer}.ppm", coloured)
    return tmp_path


@pytest.fixture
def hrf(tmp_path: Path) -> Path:
    for number in range(1, 16):
        for kind in ("h", "dr", "g"):
            stem = f"{number:02}_{kind}"
            write(tmp_path / "images" / f"{stem}.{'jpg' if kind == 'h' else 'JPG'}", FRAME)
            write(tmp_path / "manual1" / f"{stem}.tif", mask(5))
            write(tmp_path / "mask" / f"{stem}_mask.tif", mask(7))
    return tmp_path


def test_stare_is_read_with_its_first_observer(stare: Path) -> None:
    dataset = open_dataset(stare)
    assert (dataset.name, dataset.modality, len(dataset.pairs)) == ("stare", "fundus", len(NUMBERS))
    frame, target = read_pair(dataset.pairs[0])
    assert frame.shape == (30, 32, 3)
    assert np.flatnonzero(target.any(1)).tolist() == [5]
    assert dataset.lists["train"][-1] == "im0139"
    assert dataset.lists["test"] == ("im0162", "im0163")


def test_stare_that_is_still_compressed_is_told_how(stare: Path) -> None:
    image = stare / "stare-images/im0044.ppm"
    image.rename(f"{image}.gz")
    with pytest.raises(DataError, match=r"im0044\.ppm\.gz: is compressed; run gunzip"):
        open_dataset(stare)


def test_stare_may_keep_its_compressed_files(stare: Path) -> None:
    (stare / "labels-ah/im0044.ah.ppm.gz").touch()
    assert len(open_dataset(stare).pairs) == len(NUMBERS)


def test_a_part_of_stare_keeps_its_split(stare: Path) -> None:
    for folder, ending in (("stare-images", ".ppm"), ("labels-ah", ".ah.ppm")):
        (stare / folder / f"im0001{ending}").unlink()
    assert open_dataset(stare).lists["test"] == ("im0162", "im0163")


def test_an_own_set_with_a_folder_of_hrfs_name_stays_ones_own(tmp_path: Path) -> None:
    for folder in ("images", "masks", "manual1"):
        write(tmp_path / folder / "a.png", FRAME if folder == "images" else mask(5))
    assert open_dataset(tmp_path).name not in {"hrf", "stare"}


def test_hrf_splits_each_kind_alike(hrf: Path) -> None:
    dataset = open_dataset(hrf)
    assert (dataset.name, dataset.modality, len(dataset.pairs)) == ("hrf", "fundus", 45)
    assert dataset.lists["train"] == tuple(f"{n:02}_{kind}" for n in range(1, 6) for kind in ("dr", "g", "h"))
    assert len(dataset.lists["test"]) == 30
    first = dataset.pairs[0]
    assert first.fov == hrf / "mask/01_dr_mask.tif"
    assert np.flatnonzero(read_pair(first)[1].any(1)).tolist() == [5]


def test_hrf_without_fields_of_view(hrf: Path) -> None:
    (hrf / "mask/03_g_mask.tif").unlink()
    with pytest.raises(DataError, match="no field-of-view mask for 03_g"):
        open_dataset(hrf)
    for file in (hrf / "mask").iterdir():
        file.unlink()
    (hrf / "mask").rmdir()
    assert open_dataset(hrf).pairs[0].fov is None


def test_another_image_and_a_missing_mask_are_named(hrf: Path) -> None:
    (hrf / "manual1/15_h.tif").unlink()
    with pytest.raises(DataError, match=r"no mask for 15_h\.jpg"):
        open_dataset(hrf)
    (hrf / "images/15_h.jpg").rename(hrf / "images/16_h.jpg")
    with pytest.raises(DataError, match=r"16_h\.jpg is none of HRF's images"):
        open_dataset(hrf)
