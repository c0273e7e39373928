"""Where the probability is cut: a threshold by a rule, and the record of why it is what it is."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseg import manifest as mf
from edgeseg.reliability import Histogram, calibration_error, curve

REPORTED = (32, 64, 96, 128, 160, 192, 224)
# "sensitive" gives up this much Dice at most on the validation frames. On frames of another camera it gives up several
# times as much (benchmarks/results/README.md, "Other fundus cameras").
DICE_MARGIN = 0.002


def count_pixels(histograms: NDArray[np.int64], probability: NDArray[np.uint8], truth: NDArray[Any]) -> None:
    """Adds a frame to int64 [K, 2, 256]: pixels by class, truth (0 other, 1 the class) and uint8 probability.

    Args:
        histograms: changed in place.
        probability: [K, H, W].
        truth: [H, W], number of the class, from 1.
    """
    for index, levels in enumerate(probability):
        for is_target in (0, 1):
            values = levels[(truth == index + 1) == bool(is_target)]
            histograms[index, is_target] += np.bincount(values, minlength=256)


def choose(histogram: Histogram, rule: str) -> int:
    """Threshold 1 to 255 by "max dice", or by "sensitive": the lowest whose Dice is within 0.002 of the best.

    Only of a histogram with pixels of the class: without any, every threshold is as good.
    """
    dice = curve(histogram)[2][1:]
    if rule == "sensitive":
        return int(np.flatnonzero(dice >= dice.max() - DICE_MARGIN)[0]) + 1
    return int(np.argmax(dice)) + 1


def point(name: str, rule: str, chosen: int, histogram: Histogram, data: str, split: str) -> mf.OperatingPoint:
    """A class's entry of the manifest.

    Args:
        name: of the class.
        rule: by which the threshold was found.
        chosen: the threshold, 1 to 255.
        histogram: int64 [2, 256], pixels of truth 0 and 1 by probability.
        data: sets that the pixels are of.
        split: of these; never test.
    """
    levels = sorted({*REPORTED, chosen})
    sensitivity, precision, _ = curve(histogram)
    return mf.OperatingPoint.model_validate(
        {
            "class": name,
            "rule": rule,
            "data": data,
            "split": split,
            "ece": round(calibration_error(histogram), 4),
            "thresholds": levels,
            "sensitivity": [round(float(sensitivity[level]), 4) for level in levels],
            "precision": [round(float(precision[level]), 4) for level in levels],
        }
    )
