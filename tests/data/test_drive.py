"""The official download of DRIVE, made small: tif frames, gif masks."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from edgeseg.data.dataset import read_mask, read_pair
from edgeseg.data.drive import drive
from edgeseg.errors import DataError


@pytest.fixture
def download(tmp_path: Path) -> Path:
    rng = np.random.default_rng(0)
    for folder, stems in (("training", ("21", "22", "23")), ("test", ("01", "02"))):
        for part in ("images", "1st_manual", "mask"):
            (tmp_path / folder / part).mkdir(parents=True)
        for stem in stems:
            frame = rng.integers(0, 256, (40, 36, 3), dtype=np.uint8)
            mask = np.where(frame[..., 0] > 200, 255, 0).astype(np.uint8)
            field = np.full((40, 36), 255, np.uint8)
            field[:4] = 0
            cv2.imwrite(str(tmp_path / folder / "images" / f"{stem}_{folder}.tif"), frame)
            Image.fromarray(mask).save(tmp_path / folder / "1st_manual" / f"{stem}_manual1.gif")
            Image.fromarray(field).save(tmp_path / folder / "mask" / f"{stem}_{folder}_mask.gif")
    return tmp_path


def test_the_official_download_is_read(download: Path) -> None:
    dataset = drive(download)
    assert dataset is not None
    assert dataset.modality == "fundus"
    assert dataset.lists == {"train": ("21", "22", "23"), "test": ("01", "02")}
    assert [pair.stem for pair in dataset.pairs] == ["01", "02", "21", "22", "23"]
    pair = dataset.pairs[3]
    frame, mask = read_pair(pair)
    np.testing.assert_array_equal(mask, frame[..., 0] > 200)
    assert pair.fov is not None
    assert read_mask(pair.fov)[:6, 0].tolist() == [0, 0, 0, 0, 1, 1]


def test_a_test_half_without_truth_is_left_out(download: Path) -> None:
    shutil.rmtree(download / "test" / "1st_manual")
    dataset = drive(download)
    assert dataset is not None
    assert set(dataset.lists) == {"train"}


def test_a_missing_mask_is_named(download: Path) -> None:
    (download / "training" / "1st_manual" / "22_manual1.gif").unlink()
    with pytest.raises(DataError, match=r"22_training\.tif"):
        drive(download)


def test_a_missing_field_of_view_is_named(download: Path) -> None:
    (download / "training" / "mask" / "22_training_mask.gif").unlink()
    with pytest.raises(DataError, match="field-of-view mask for 22"):
        drive(download)


def test_a_half_may_have_no_fields_of_view_at_all(download: Path) -> None:
    shutil.rmtree(download / "test" / "mask")
    dataset = drive(download)
    assert dataset is not None
    assert [pair.fov is None for pair in dataset.pairs] == [True, True, False, False, False]


def test_an_empty_folder_of_fields_of_view_is_refused(download: Path) -> None:
    for file in (download / "test" / "mask").iterdir():
        file.unlink()
    with pytest.raises(DataError, match="field-of-view mask for 01; add it or remove the folder"):
        drive(download)


def test_missing_images_are_named(download: Path) -> None:
    shutil.rmtree(download / "test" / "images")
    with pytest.raises(DataError, match="test"):
        drive(download)


def test_another_folder_is_not_taken(tmp_path: Path) -> None:
    assert drive(tmp_path) is None
