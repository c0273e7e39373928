"""What training does to frames."""

from __future__ import annotations

import cv2
import numpy as np

from edgeseg.data import augmentation
from edgeseg.train.recipe import Augmentation


def test_jpeg_changes_fine_detail_and_leaves_shape_and_mask() -> None:
    rng = np.random.default_rng(0)
    smooth = cv2.GaussianBlur(rng.uniform(0, 255, (96, 128, 3)).astype(np.float32), (0, 0), 4)
    noisy = np.clip(smooth + rng.normal(0, 20, smooth.shape), 0, 255).astype(np.float32)
    transform = augmentation.build(Augmentation(jpeg=1.0), 96, 128)
    mask = np.ones((1, 96, 128), np.float32)
    losses = []
    for image in (smooth, noisy):
        transform.set_random_state(seed=3)
        out = transform({"frame": image.transpose(2, 0, 1), "mask": mask})
        assert out["frame"].dtype == np.float32
        assert out["frame"].shape == (3, 96, 128)
        assert (out["mask"] == mask).all()
        losses.append(np.abs(out["frame"] - image.transpose(2, 0, 1)).mean())
    assert losses[0] < 3 < losses[1]
    transform.set_random_state(seed=4)
    other = transform({"frame": noisy.transpose(2, 0, 1), "mask": mask})["frame"]
    assert np.abs(other - out["frame"]).max() > 0  # another quality


def test_jpeg_is_off_by_default() -> None:
    frame = np.full((3, 16, 16), 77.3, np.float32)
    out = augmentation.build(Augmentation(), 16, 16)({"frame": frame, "mask": frame[:1]})
    assert (out["frame"] == frame).all()
