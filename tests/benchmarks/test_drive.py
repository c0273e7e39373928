"""`benchmarks.drive`: what it does to a frame in another camera's stead."""

from __future__ import annotations

import numpy as np
import pytest

from benchmarks.drive import CHANGES


@pytest.mark.parametrize("name", list(CHANGES))
def test_a_change_is_the_same_each_time_and_leaves_the_frame_alone(name: str) -> None:
    frame = np.random.default_rng(1).integers(0, 256, (40, 60, 3)).astype(np.uint8)
    before = frame.copy()
    once, again = CHANGES[name](frame), CHANGES[name](frame)
    assert np.array_equal(frame, before)
    assert np.array_equal(once, again)
    assert once.dtype == np.uint8
    factor = float(name[:-1]) if name.endswith("x") else 1.0
    assert once.shape == (round(40 * factor), round(60 * factor), 3)
    assert np.array_equal(once, frame) == (name == "as it is")


def test_the_cast_is_in_the_order_of_the_channels() -> None:
    frame = np.full((4, 4, 3), 100, np.uint8)
    assert CHANGES["yellow"](frame)[0, 0].tolist() == [50, 80, 120]
    assert CHANGES["pale"](frame)[0, 0].tolist() == [200, 130, 80]
