from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgeseg.cldice import cldice


def lines(width: int, gap: int = 0) -> np.ndarray:
    mask = np.zeros((80, 80), np.uint8)
    cv2.line(mask, (10, 40), (70, 40), 1, width)
    cv2.line(mask, (40, 10), (40, 70), 1, 1)
    if gap:
        mask[10 : 10 + gap, 38:43] = 0
    return mask.astype(bool)


def test_equal_masks_are_one_and_width_hardly_matters() -> None:
    assert cldice(lines(7), lines(7)) == 1.0
    assert cldice(lines(5), lines(7)) == pytest.approx(1.0, abs=0.03)


def test_a_missing_thin_vessel_costs_by_its_length_not_its_area() -> None:
    truth, broken = lines(9), lines(9, gap=20)
    share = 20 / 600  # of the area, about
    assert np.count_nonzero(truth & ~broken) / np.count_nonzero(truth) == pytest.approx(share, abs=0.01)
    assert cldice(broken, truth) == pytest.approx(0.9, abs=0.03)
    assert cldice(broken, truth) == pytest.approx(cldice(truth, broken), abs=0.02)


def test_empty_masks() -> None:
    empty = np.zeros((20, 20), bool)
    some = np.eye(20, dtype=bool)
    assert cldice(empty, empty) == 1.0
    assert cldice(some, empty) == cldice(empty, some) == 0.0
    assert cldice(some[:, ::-1], some) < 0.2


def test_only_the_area_counts() -> None:
    truth = lines(7)
    predicted = truth.copy()
    predicted[5] = True
    area = np.zeros_like(truth)
    area[20:60, 20:60] = True
    assert cldice(predicted, truth) < 1.0
    assert cldice(predicted, truth, area) == pytest.approx(1.0, abs=0.02)
