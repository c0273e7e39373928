"""Rounding that cancels: every weight on a neighbouring step, sums of kernels and channels within half a step."""

from __future__ import annotations

import numpy as np
import pytest

from edgeseg.export.rounding import round_weights

SHAPES = [
    ((16, 8, 3, 3), 0),
    ((8, 64, 1, 1), 0),
    ((16, 1, 3, 3), 0),
    ((5, 7, 2, 2), 1),
    ((10, 20), 0),
    ((1, 3, 7, 7), 0),
]


@pytest.mark.parametrize("levels", [127, 63])
@pytest.mark.parametrize(("shape", "axis"), SHAPES)
def test_sums_cancel(shape: tuple[int, ...], axis: int, levels: int) -> None:
    weight = np.random.default_rng(0).normal(0.01, 1, shape).astype(np.float32)
    others = tuple(index for index in range(weight.ndim) if index != axis)
    scale = (np.abs(weight).max(axis=others) / levels).astype(np.float32)
    across = scale.reshape([-1 if index == axis else 1 for index in range(weight.ndim)]).astype(np.float64)
    rounded = round_weights(weight, scale, axis, levels)
    assert rounded.dtype == np.int8
    assert np.abs(rounded.astype(int)).max() <= levels
    error = rounded - weight / across
    assert np.abs(error).max() < 1
    assert np.abs(error.sum(axis=others)).max() <= 0.5 + 1e-5
    kernels = np.moveaxis(error, axis, 0).reshape(shape[axis], -1, int(np.prod(shape[2:])))
    assert np.abs(kernels.sum(2)).max() <= 1.5  # half a step, and one weight moved for its channel
    nearest = np.rint(weight / across) - weight / across
    assert np.abs(error.sum(axis=others)).sum() < np.abs(nearest.sum(axis=others)).sum()


def test_a_flat_picture_keeps_its_value() -> None:
    """What the sums are for: a convolution of a constant loses a tenth of what rounding to the nearest loses."""
    rng = np.random.default_rng(1)
    weight = rng.normal(0, 1, (64, 32, 3, 3)).astype(np.float32)
    scale = (np.abs(weight).max(axis=(1, 2, 3)) / 63).astype(np.float32)
    levels = rng.uniform(0.9, 1.1, 32)

    def lost(whole: np.ndarray) -> float:
        error = whole * scale.reshape(-1, 1, 1, 1) - weight
        return float(np.abs(np.einsum("oikl,i->o", error, levels)).mean())

    nearest = np.rint(weight / scale.reshape(-1, 1, 1, 1))
    assert lost(round_weights(weight, scale, 0, 63)) < 0.15 * lost(nearest)


def test_nothing_to_round() -> None:
    whole = np.arange(-12, 12, dtype=np.float32).reshape(2, 3, 2, 2)
    assert np.array_equal(round_weights(whole, np.ones(2, np.float32), 0, 127), whole)
    zeros = np.zeros((2, 3, 1, 1), np.float32)
    assert not round_weights(zeros, np.full(2, 1e-7, np.float32), 0, 127).any()


def test_the_largest_weight_has_no_neighbour_beyond() -> None:
    """All weights of a channel at the end of the range: nothing leaves it."""
    weight = np.full((1, 4, 2, 2), 63.4, np.float32)
    assert np.array_equal(round_weights(weight, np.ones(1, np.float32), 0, 63), np.full((1, 4, 2, 2), 63))
