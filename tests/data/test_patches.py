from __future__ import annotations

import numpy as np
import pytest

from edgeseg.data import patches
from edgeseg.train.recipe import Augmentation


def scene() -> tuple[np.ndarray, np.ndarray]:
    """A frame that is dark but for a square in the middle, with a target bar that the frame shows too."""
    frame = np.zeros((200, 200, 3), np.uint8)
    frame[20:180, 20:180] = 100
    mask = np.zeros((200, 200), np.uint8)
    mask[20:180, 90:110] = 255
    frame[mask > 0] = 250
    return frame, mask


def test_without_geometry_a_patch_is_a_part_of_the_frame() -> None:
    frame, mask = scene()
    patch, target = patches.draw(frame, mask, 33, Augmentation(), 24, np.random.default_rng(3))
    windows = np.lib.stride_tricks.sliding_window_view(frame[..., 0], (33, 33))
    assert (windows == patch[..., 0]).all(axis=(2, 3)).any()
    np.testing.assert_array_equal(target > 0, patch[..., 0] == 250)


def test_frame_and_mask_are_turned_alike() -> None:
    frame, mask = scene()
    settings = Augmentation(flip=True, rotate=180, stretch=0.2, zoom_in=0.5, zoom_out=0.5)
    rng = np.random.default_rng(0)
    for _ in range(20):
        patch, target = patches.draw(frame, mask, 64, settings, 24, rng)
        assert patch.shape == (64, 64, 3)
        assert target.shape == (64, 64)
        assert np.mean((patch[..., 0] > 180) == (target > 127)) > 0.97


def test_centres_are_where_something_is_seen() -> None:
    frame, mask = scene()
    rng = np.random.default_rng(0)
    centres = [patches.draw(frame, mask, 9, Augmentation(), 24, rng)[0][4, 4, 0] for _ in range(50)]
    assert min(centres) > 24


@pytest.mark.parametrize("zoom", ["zoom_in", "zoom_out"])
def test_zoom_goes_the_way_its_name_says(zoom: str) -> None:
    frame = np.full((1600, 1600, 3), 200, np.uint8)
    mask = np.zeros((1600, 1600), np.uint8)
    mask.reshape(100, 16, 1600)[:, :8] = 255
    settings = Augmentation.model_validate({zoom: 3.0})
    rng = np.random.default_rng(0)
    rows = [
        np.count_nonzero(np.diff(patches.draw(frame, mask, 128, settings, 24, rng)[1][:, 64] > 127)) for _ in range(30)
    ]
    assert (np.mean(rows) < 16) == (zoom == "zoom_in")  # 16 edges at zoom 1
