"""The counting behind `benchmarks.smoothing` and `benchmarks.false_masks`."""

from __future__ import annotations

import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def benchmarks_can_be_imported(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [str(ROOT), *sys.path])


def masks(text: str) -> list[np.ndarray]:
    """One frame a letter: x holds the target, o something elsewhere, - nothing."""
    places = {"x": (slice(0, 4), slice(0, 4)), "o": (slice(6, 8), slice(6, 8)), "-": (slice(0, 0), slice(0, 0))}
    out = []
    for letter in text:
        mask = np.zeros((8, 8), np.bool_)
        mask[places[letter]] = True
        out.append(mask)
    return out


def test_delays_count_from_each_edge() -> None:
    from benchmarks.smoothing import delays

    #                              truth  appears at 2, leaves at 6, appears at 9 and is never found
    assert delays(masks("---oxxxx---oo"), masks("--xxxx---xxxx")) == ([2], [2], 2)
    assert delays(masks("--xx"), masks("--xx")) == ([0], [], 1)


def test_flicker_is_the_mean_change() -> None:
    from benchmarks.smoothing import flicker

    assert flicker(masks("xxxxx")) == 0
    assert flicker(masks("-----")) == 0
    assert flicker(masks("x-x-x")) == 1
    assert flicker(masks("xx-xx")) == 0.5


def test_the_crop_keeps_away_from_the_polyp() -> None:
    from benchmarks.false_masks import MARGIN, largest_free

    mask = np.zeros((288, 384), np.bool_)
    mask[100:200, 20:90] = True
    left, top, width, height = largest_free(mask) or (0, 0, 0, 0)
    assert (left, top, width, height) == (90 + MARGIN, 0, 384 - 90 - MARGIN, 288)
    assert not mask[top : top + height, left - MARGIN : left + width].any()
    mask[60:230, 60:330] = True
    assert largest_free(mask) is None
    assert largest_free(np.zeros((100, 100), np.bool_)) == (0, 0, 100, 100)


def test_crops_are_of_the_frames_given_and_beside_the_target(tmp_path: Path) -> None:
    import cv2

    from benchmarks.false_masks import crops
    from edgeseg.data.dataset import Pair

    frame, mask = np.full((200, 300, 3), 90, np.uint8), np.zeros((200, 300), np.uint8)
    frame[50:100, 20:80] = mask[50:100, 20:80] = 255
    dark = np.full((200, 300, 3), 10, np.uint8)
    for name, image in (("a", frame), ("b", dark)):
        cv2.imwrite(str(tmp_path / f"{name}.png"), image)
        cv2.imwrite(str(tmp_path / f"{name}-mask.png"), mask)
    pairs = [Pair(name, tmp_path / f"{name}.png", tmp_path / f"{name}-mask.png") for name in ("a", "b")]
    (crop,) = crops(pairs, 5)
    assert crop.shape == (200, 204, 3)
    assert crop.max() == 90
    assert len(list(crops([pairs[0]] * 4, 3))) == 3
