"""Probability → mask → objects, to the contract's letter."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgeseg.fit import Box
from edgeseg.postprocess import Object, drop_small, mask_of, objects_of, threshold_level, without_small


@pytest.mark.parametrize(
    ("threshold", "level"),
    [(0.5, 128), (0.0, 1), (1.0, 255), (1 / 255, 1), (128 / 255, 128), (129 / 255, 129), (0.1, 26), (0.9, 230)],
)
def test_threshold_level(threshold: float, level: int) -> None:
    assert threshold_level(threshold) == level


def test_every_level_has_a_threshold() -> None:
    assert [threshold_level(level / 255) for level in range(1, 256)] == list(range(1, 256))


@pytest.mark.parametrize("level", [1, 2, 127, 128, 254, 255])
def test_one_class_every_value(level: int) -> None:
    values = np.arange(256, dtype=np.uint8).reshape(1, 16, 16)
    mask = mask_of(values, [level])
    assert mask.dtype == np.uint8
    assert np.array_equal(mask, (values[0] >= level).astype(np.uint8))


def test_many_classes_against_the_rule_in_a_loop() -> None:
    rng = np.random.default_rng(0)
    probability = rng.integers(0, 8, (3, 20, 30), dtype=np.uint8)
    thresholds = [3, 5, 2]
    wanted = np.zeros((20, 30), np.uint8)
    for y in range(20):
        for x in range(30):
            best = 0
            for channel, level in enumerate(thresholds):
                value = probability[channel, y, x]
                if value >= level and (best == 0 or value > probability[best - 1, y, x]):
                    best = channel + 1
            wanted[y, x] = best
    assert np.array_equal(mask_of(probability, thresholds), wanted)


def test_high_value_below_its_threshold_does_not_hide_a_lower_one() -> None:
    assert mask_of(np.array([[[100]], [[60]]], np.uint8), [200, 50])[0, 0] == 2


def blob(mask: np.ndarray, top: int, left: int, height: int, width: int, value: int = 1) -> None:
    mask[top : top + height, left : left + width] = value


def test_objects() -> None:
    mask = np.zeros((50, 70), np.uint8)
    blob(mask, 2, 3, 4, 5)
    blob(mask, 20, 30, 10, 10)
    mask[30, 40] = 1  # touches a corner only: 8-connected
    blob(mask, 40, 60, 3, 3, 2)
    found = objects_of(mask, ["polyp", "tool"])
    assert found == [
        Object("polyp", 101, Box(30, 20, 11, 11)),
        Object("polyp", 20, Box(3, 2, 5, 4)),
        Object("tool", 9, Box(60, 40, 3, 3)),
    ]
    assert objects_of(np.zeros((5, 5), np.uint8), ["polyp"]) == []


def test_objects_of_a_whole_frame_and_single_pixels() -> None:
    assert objects_of(np.ones((3, 4), np.uint8), ["a"]) == [Object("a", 12, Box(0, 0, 4, 3))]
    mask = np.zeros((3, 4), np.uint8)
    mask[0, 0] = mask[2, 3] = 1
    assert [one.box for one in objects_of(mask, ["a"])] == [Box(0, 0, 1, 1), Box(3, 2, 1, 1)]


def test_areas_and_boxes_agree_with_the_mask() -> None:
    mask = (np.random.default_rng(3).random((60, 80)) < 0.3).astype(np.uint8)
    found = objects_of(mask, ["a"])
    assert sum(one.area for one in found) == mask.sum()
    assert [one.area for one in found] == sorted((one.area for one in found), reverse=True)
    for one in found:
        part = mask[one.box.top : one.box.top + one.box.height, one.box.left : one.box.left + one.box.width]
        assert part.shape == (one.box.height, one.box.width)
        assert part.sum() >= one.area
        assert part[0].any()
        assert part[-1].any()


def test_small_components_are_dropped_by_their_share_of_the_class() -> None:
    mask = np.zeros((50, 70), np.uint8)
    blob(mask, 0, 0, 10, 9)
    blob(mask, 20, 20, 2, 5)
    blob(mask, 40, 40, 1, 4, 2)
    got = drop_small(mask, 2, 0.1)
    assert np.array_equal(got, mask)  # 10 of 100 is not below one tenth
    got = drop_small(mask, 2, 0.11)
    assert (got == 1).sum() == 90
    assert (got == 2).sum() == 4
    probability = (mask == 1).astype(np.uint8)[None] * 255
    assert mask_of(probability, [128], 0.11).sum() == 90
    assert mask_of(np.zeros((1, 5, 5), np.uint8), [128], 0.5).sum() == 0


def test_dropping_agrees_with_counting_every_component() -> None:
    rng = np.random.default_rng(4)
    for _ in range(20):
        field = cv2.GaussianBlur(rng.uniform(0, 1, (90, 120)).astype(np.float32), (0, 0), 2.5)
        mask = ((field > 0.53) * 1 + (field < 0.45) * 2).astype(np.uint8)
        want = mask.copy()
        for index in (1, 2):
            count, labels = cv2.connectedComponents((mask == index).astype(np.uint8), connectivity=8)
            for label in range(1, count):
                if (labels == label).sum() < 0.08 * (mask == index).sum():
                    want[labels == label] = 0
        assert (want != mask).any()
        assert np.array_equal(drop_small(mask, 2, 0.08), want)
        one = (mask == 1).astype(np.uint8)
        assert np.array_equal(drop_small(one, 1, 0.08), (want == 1).astype(np.uint8))


def test_probability_without_small_components_gives_the_same_mask() -> None:
    rng = np.random.default_rng(5)
    noise = [cv2.GaussianBlur(rng.uniform(0, 255, (60, 80)).astype(np.float32), (0, 0), 2) for _ in range(2)]
    probability = np.clip((np.stack(noise) - 128) * 8 + 120, 0, 255).astype(np.uint8)
    for some, thresholds in ((probability[:1], [150]), (probability, [150, 130])):
        out = without_small(some, thresholds, 0.1)
        assert np.array_equal(mask_of(out, thresholds), mask_of(some, thresholds, 0.1))
        assert (out != some).any()
        assert np.array_equal(mask_of(out, [1] * len(some)) > 0, mask_of(some, [1] * len(some)) > 0)
