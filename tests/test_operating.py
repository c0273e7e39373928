from __future__ import annotations

import numpy as np
import pytest
import torch

from edgeseg.operating import choose
from edgeseg.reliability import bins, calibration_error, curve
from edgeseg.train.operating import choose_area


def made(seed: int = 0) -> np.ndarray:
    """Histograms of 20,000 other pixels about 40 and 4,000 targets about 150."""
    rng = np.random.default_rng(seed)
    other = np.clip(rng.normal(40, 25, 20000), 0, 255).astype(int)
    target = np.clip(rng.normal(150, 40, 4000), 0, 255).astype(int)
    return np.stack([np.bincount(other, minlength=256), np.bincount(target, minlength=256)])


def test_the_curve_is_what_counting_gives() -> None:
    histogram = made()
    sensitivity, precision, dice = curve(histogram)
    true, false = histogram[1][100:].sum(), histogram[0][100:].sum()
    assert sensitivity[100] == pytest.approx(true / 4000)
    assert precision[100] == pytest.approx(true / (true + false))
    assert dice[100] == pytest.approx(2 * true / (true + false + 4000))


def test_sensitive_gives_up_little_dice_for_more_sensitivity() -> None:
    histogram = made()
    sensitivity, _, dice = curve(histogram)
    best, low = choose(histogram, "max dice"), choose(histogram, "sensitive")
    assert dice[best] == dice[1:].max()
    assert low < best
    assert sensitivity[low] > sensitivity[best]
    assert dice[best] - dice[low] <= 0.002 < dice[best] - dice[low - 1]


def test_calibration_error_is_zero_where_probability_is_frequency() -> None:
    total = np.full(256, 25500)
    hits = total * np.arange(256) // 255
    assert calibration_error(np.stack([total - hits, hits])) < 1e-4
    assert calibration_error(np.stack([total, total * 0])) == pytest.approx(0.5, abs=0.01)


@pytest.mark.parametrize("levels", [256, 1 << 16])
def test_calibration_error_of_a_known_shift(levels: int) -> None:
    """Two heaps: what says 0.9 is right in 60 %, what says 0.1 in 10 %; three times as many pixels below."""
    histogram = np.zeros((2, levels), np.int64)
    high, low = round(0.9 * (levels - 1)), round(0.1 * (levels - 1))
    histogram[:, high] = 4000, 6000
    histogram[:, low] = 27000, 3000
    assert calibration_error(histogram) == pytest.approx(0.25 * 0.3, abs=3e-3)  # 0.9 is no level of 8 bits
    assert [one.pixels for one in bins(histogram)] == [30000, 10000]
    assert [one.frequency for one in bins(histogram)] == [0.1, 0.6]
    assert calibration_error(np.zeros((2, levels), np.int64)) == 0


class Told:
    """A network that says what it was given for the frame; the frames hold their own number."""

    mean = torch.zeros(3)  # whose device is the network's

    def __init__(self, said: list[np.ndarray]) -> None:
        self.said = said

    def eval(self) -> None:
        pass

    def __call__(self, frame: torch.Tensor) -> torch.Tensor:
        return torch.from_numpy(self.said[int(frame[0, 0, 0, 0])])[None, None]


@pytest.mark.parametrize(("speck", "wanted"), [(0, 0.0), (12, 0.02), (30, 0.05), (55, 0.1)])
def test_least_area_drops_specks_and_keeps_small_targets(speck: int, wanted: float) -> None:
    """A second target has 15 % of the first one's pixels: a fifth is too much to ask."""
    truth = np.zeros((64, 64), np.uint8)
    truth[10:40, 10:40] = 1
    truth[50:59, 45:60] = 1  # 135 of 1035 pixels
    said = truth * np.uint8(200)
    said[60:64, :].flat[:speck] = 200
    said[59, :] = 0
    frames = [(torch.full((64, 64, 3), index), torch.from_numpy(truth)) for index in range(3)]
    assert choose_area(Told([said] * 3), frames, [128]) == wanted  # type: ignore[arg-type]
