"""Ranges from histograms."""

from __future__ import annotations

import numpy as np
import pytest

from edgeseg.calibration.collect import BINS, Histogram, from_table
from edgeseg.calibration.methods import METHODS, threshold
from edgeseg.errors import UsageError


def relu_like(outlier: float = 40.0) -> Histogram:
    rng = np.random.default_rng(0)
    values = np.maximum(rng.standard_normal(200_000), 0).astype(np.float32)
    values[0] = outlier
    one = Histogram(signed=False)
    one.add(values.reshape(1, 4, -1, 1))
    return one


@pytest.mark.parametrize("method", METHODS)
def test_who_keeps_a_single_outlier(method: str) -> None:
    top = relu_like().tensor("t", method).range[1]
    # One value in 200,000: clipping it much costs more squared error than rounding gains, so mse nearly keeps it.
    least, most = {"minmax": (40, 40), "mse": (30, 40)}.get(method, (2, 20))
    assert least <= top <= most


@pytest.mark.parametrize("method", METHODS)
def test_never_beyond_what_was_seen(method: str) -> None:
    one = Histogram(signed=True)
    one.add(np.linspace(-1, 1, 4096, dtype=np.float32).reshape(1, 1, -1))
    low, high = one.tensor("t", method).range
    assert -1 <= low == -high
    assert 0.9 < high <= 1


def test_a_larger_frame_doubles_the_limit_and_loses_no_count() -> None:
    one = Histogram(signed=False)
    one.add(np.full((1, 1, 10), 0.75, np.float32))
    one.add(np.full((1, 1, 5), 3.0, np.float32))
    assert one.limit == 4
    assert one.counts.sum() == 15
    at = int(0.75 / 4 * BINS)
    assert one.counts[at - 1 : at + 1].sum() == 10  # on the border of two bins
    assert (one.low, one.high) == (0.75, 3.0)


def test_order_of_frames_does_not_matter() -> None:
    rng = np.random.default_rng(0)
    frames = [(rng.standard_normal((1, 3, 50)) * scale).astype(np.float32) for scale in (0.1, 5, 1)]
    a, b = Histogram(signed=True), Histogram(signed=True)
    for frame in frames:
        a.add(frame)
    for frame in frames[::-1]:
        b.add(frame)
    assert (a.counts == b.counts).all()
    assert a.limit == b.limit


def test_another_method_from_the_table_alone() -> None:
    one = relu_like()
    row = one.tensor("t", "minmax")
    assert from_table(row).tensor("t", "mse", row.channel_mean) == one.tensor("t", "mse")


def test_channel_means_are_of_maps_only() -> None:
    maps, pixels = Histogram(signed=False), Histogram(signed=False)
    values = np.arange(12, dtype=np.float32)
    maps.add(values.reshape(1, 3, 2, 2))
    pixels.add(values.reshape(1, 4, 3))  # what attention makes of a map: the second axis counts pixels
    assert maps.tensor("t", "minmax").channel_mean == [1.5, 5.5, 9.5]
    assert pixels.tensor("t", "minmax").channel_mean == []
    assert from_table(pixels.tensor("t", "minmax")).tensor("t", "mse").channel_mean == []


def test_dead_tensor() -> None:
    assert threshold("mse", np.zeros(BINS, np.int64), 1.0, 0.0, signed=False) > 0


def test_unknown_method() -> None:
    with pytest.raises(UsageError, match="minmax, percentile, entropy, mse"):
        threshold("best", np.ones(BINS, np.int64), 1.0, 1.0, signed=False)
