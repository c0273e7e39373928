"""The download of CHASE_DB1, made small: photographs and both observers' masks in one folder."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeseg.data.dataset import read_pair
from edgeseg.data.layouts import open_dataset
from edgeseg.errors import DataError


@pytest.fixture
def download(tmp_path: Path) -> Path:
    for number in range(1, 15):
        for eye in "LR":
            stem = tmp_path / f"Image_{number:02d}{eye}"
            frame = np.full((30, 32, 3), number * 10, np.uint8)
            cv2.imwrite(f"{stem}.jpg", frame)
            for observer, row in (("1stHO", 5), ("2ndHO", 6)):
                mask = np.zeros((30, 32), np.uint8)
                mask[row] = 255
                cv2.imwrite(f"{stem}_{observer}.png", mask)
    return tmp_path


def test_the_first_observer_is_read_and_children_stay_together(download: Path) -> None:
    dataset = open_dataset(download)
    assert (dataset.name, dataset.modality, len(dataset.pairs)) == ("chase_db1", "fundus", 28)
    _, mask = read_pair(dataset.pairs[3])
    assert np.flatnonzero(mask.any(1)).tolist() == [5]
    assert [pair.group for pair in dataset.pairs[:4]] == ["01", "01", "02", "02"]
    assert len(dataset.lists["train"]) == 20
    assert dataset.lists["test"] == tuple(f"Image_{number}{eye}" for number in range(11, 15) for eye in "LR")


def test_a_missing_mask_is_named(download: Path) -> None:
    (download / "Image_05R_1stHO.png").unlink()
    with pytest.raises(DataError, match=r"no mask for Image_05R\.jpg"):
        open_dataset(download)


def test_a_part_of_them_keeps_its_split(download: Path) -> None:
    for file in [*download.glob("Image_0[12]*"), *download.glob("Image_14*")]:
        file.unlink()
    lists = open_dataset(download).lists
    assert lists["test"] == tuple(f"Image_{number}{eye}" for number in (11, 12, 13) for eye in "LR")
    for file in download.glob("Image_1[1-4]*"):
        file.unlink()
    assert set(open_dataset(download).lists) == {"train"}


def test_another_image_is_named(download: Path) -> None:
    (download / "Image_01L.jpg").rename(download / "photo.jpg")
    with pytest.raises(DataError, match=r"photo\.jpg is none of CHASE_DB1's images"):
        open_dataset(download)
