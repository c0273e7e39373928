"""What the overlay draws: a line around large things, a strong tint alone on thin ones."""

from __future__ import annotations

import cv2
import numpy as np
import pytest

from edgeseg.stream.overlay import _paint

GREEN = (0, 255, 0)


@pytest.mark.parametrize("unit", [1.0, 3.0])
def test_thin_structures_are_not_hidden_by_their_border(unit: float) -> None:
    side = int(480 * unit)
    mask = np.zeros((side, side), np.uint8)
    cv2.line(mask, (40, 60), (side - 40, side - 90), 1, int(3 * unit))
    image = np.full((side, side, 3), 100, np.uint8)
    _paint(image, mask, GREEN, unit)
    assert (image[mask == 0] == 100).all()
    assert (image[mask == 1] == image[mask == 1][0]).all()
    assert image[mask == 1][0][1] > 180


def test_large_structures_get_a_line_with_a_dark_one_under_it() -> None:
    mask = np.zeros((480, 480), np.uint8)
    cv2.circle(mask, (240, 240), 90, 1, -1)
    image = np.full((480, 480, 3), 100, np.uint8)
    _paint(image, mask, GREEN, 1.0)
    around = image[cv2.dilate(mask, np.ones((7, 7), np.uint8)) - mask == 1]
    assert (around.max(1) < 90).any()
    assert (image[240, 240] == (75, 139, 75)).all()
