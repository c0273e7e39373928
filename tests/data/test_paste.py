"""Targets set into other frames: the mask says what the picture shows, the light matches, decoys are no target."""

from __future__ import annotations

import numpy as np
import pytest

from edgeseg.data import paste as pasting
from edgeseg.data.paste import paste, pasted

WALL, POLYP, DONOR_WALL = 120, 240, 80


def frame() -> tuple[np.ndarray, np.ndarray]:
    return np.full((96, 128, 3), WALL, np.uint8), np.zeros((96, 128), np.uint8)


def donor() -> tuple[np.ndarray, np.ndarray]:
    image, mask = np.full((96, 128, 3), DONOR_WALL, np.uint8), np.zeros((96, 128), np.uint8)
    image[40:60, 50:80], mask[40:60, 50:80] = 160, 1
    return image, mask


def test_the_mask_is_where_the_target_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pasting, "DECOYS", 0.0)
    rng = np.random.default_rng(0)
    for _ in range(20):
        image, mask = frame()
        out, target = paste(image, mask, donor(), 24, rng)
        assert set(np.unique(target)) <= {0, 1}
        assert 0.3 * 600 / pasting.SCALE**2 < target.sum() < 1.3 * 600 * pasting.SCALE**2
        # The frame's wall is brighter than the donor's by half: the piece is brightened as its surroundings are.
        assert out[target > 0].mean() > WALL + 60
        far = np.abs(out[..., 0].astype(int) - WALL) > 60
        assert np.count_nonzero(far & (target == 0)) < 0.35 * target.sum()
        assert (image == WALL).all()
        assert not mask.any()


def test_decoys_are_no_target_and_hide_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pasting, "DECOYS", 1.0)
    rng = np.random.default_rng(0)
    image, mask = frame()
    mask[:] = 1
    hidden = 0
    for _ in range(20):
        out, target = paste(image, mask, donor(), 24, rng)
        hidden += np.count_nonzero(target == 0)
        assert out[target == 0].size == 0 or out[target == 0].mean() < WALL + 30
    assert hidden > 0


def test_nothing_to_give_changes_nothing() -> None:
    rng = np.random.default_rng(0)
    image, mask = frame()
    empty = (image, mask)
    assert paste(image, mask, empty, 24, rng) == (image, mask)
    full = (image, np.ones_like(mask))
    assert paste(image, mask, full, 24, rng) == (image, mask)


def test_chance() -> None:
    image, mask = frame()
    taken = 0
    for seed in range(60):
        out, _ = pasted(image, mask, 0.5, 3, lambda _: donor(), 24, np.random.default_rng(seed))
        taken += out is not image
    assert 10 < taken < 50
