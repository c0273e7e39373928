"""Does probability mean frequency? Calibration and the sensitivity/precision curve, from histograms of pixels.

A histogram is int [2, n]: pixels of truth 0 and 1 by probability, n equal levels from 0 to 1 (256 for uint8).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

Histogram = NDArray[np.int64]
Floats = NDArray[np.float64]
ECE_BINS = 15


def curve(histogram: Histogram) -> tuple[Floats, Floats, Floats]:
    """Sensitivity, precision and Dice at every level (value ≥ level)."""
    false, true = (np.cumsum(row[::-1])[::-1].astype(np.float64) for row in histogram)
    targets = max(1.0, float(histogram[1].sum()))
    return true / targets, true / np.maximum(true + false, 1.0), 2 * true / np.maximum(true + false + targets, 1.0)


@dataclass(frozen=True)
class Bin:
    """Pixels of similar probability: their mean ``confidence`` and the share of them that is target."""

    confidence: float
    frequency: float
    pixels: int


def bins(histogram: Histogram) -> list[Bin]:
    """15 equal bins of probability; those without a pixel are left out."""
    levels = histogram.shape[1]
    which = np.arange(levels) * ECE_BINS // levels
    total, hits = histogram.sum(0), histogram[1]
    out = []
    for index in range(ECE_BINS):
        here = which == index
        pixels = int(total[here].sum())
        if pixels:
            confidence = float((total[here] * np.flatnonzero(here)).sum()) / (levels - 1) / pixels
            out.append(Bin(confidence, float(hits[here].sum()) / pixels, pixels))
    return out


def calibration_error(histogram: Histogram) -> float:
    """Expected calibration error: mean distance of confidence and frequency over the bins, weighted by pixels.

    Most pixels are certain background, so a small figure says little about the edge: look at the curve.
    """
    found = bins(histogram)
    pixels = sum(one.pixels for one in found)
    return sum(one.pixels * abs(one.confidence - one.frequency) for one in found) / max(1, pixels)


def draw(histogram: Histogram, threshold: float, title: str, file: Path) -> None:
    """Both curves as one PNG, with the threshold (0 to 1) marked; needs matplotlib (extra train).

    Raises:
        OutputError: the disk.
    """
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    from edgeseg.atomic import atomic_path

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6), layout="constrained")
    found = bins(histogram)
    left.plot([0, 1], [0, 1], color="0.7")
    left.plot([one.confidence for one in found], [one.frequency for one in found], "o-")
    share = [one.pixels / max(1, int(histogram.sum())) for one in found]
    below = left.twinx()
    below.bar([one.confidence for one in found], share, width=0.03, alpha=0.2)
    below.set(yscale="log", ylabel="share of the pixels (bars)")
    left.set(xlabel="probability", ylabel="share that is target", xlim=(0, 1), ylim=(0, 1))
    left.set_title(f"reliability, ECE {calibration_error(histogram):.4f}")
    sensitivity, precision, _ = curve(histogram)
    right.plot(sensitivity, precision)
    at = min(histogram.shape[1] - 1, round(threshold * (histogram.shape[1] - 1)))
    right.plot([sensitivity[at]], [precision[at]], "o", label=f"threshold {threshold:.3f}")
    right.set(xlabel="sensitivity", ylabel="precision", xlim=(0, 1), ylim=(0, 1.02), title="pixels of all images")
    right.legend(loc="lower left")
    for axis in (left, right):
        axis.grid(alpha=0.3)
    figure.suptitle(title)
    with atomic_path(file) as temporary:
        figure.savefig(temporary, dpi=110)
    plt.close(figure)
