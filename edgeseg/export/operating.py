"""`export --threshold`: another operating point than training chose, with its record from labelled frames."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from edgeseg import manifest as mf
from edgeseg.data.dataset import read_pair
from edgeseg.data.select import Selection
from edgeseg.errors import DataError, UsageError
from edgeseg.evaluate import Predict, probability_of
from edgeseg.operating import choose, count_pixels, point
from edgeseg.postprocess import threshold_level

RULES = {"max-dice": "max dice", "sensitive": "sensitive"}


def parse(text: str) -> str | float:
    """A rule's name as the manifest has it, or a threshold from 0 to 1.

    Raises:
        UsageError: neither.
    """
    if text in RULES:
        return RULES[text]
    try:
        value = float(text)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise UsageError(f"--threshold {text}: give a probability from 0 to 1, or {' or '.join(RULES)}")
    return value


def histograms(selections: Sequence[Selection], predict: Predict, manifest: mf.Manifest) -> NDArray[np.int64]:
    """Pixels of the frames at their own size by class, truth (0 other, 1 the class) and probability: [K, 2, 256].

    Before ``output.min_area`` drops small components, as in training.

    Raises:
        DataError: a frame or mask is not what it should be.
    """
    out = np.zeros((len(manifest.classes) - 1, 2, 256), np.int64)
    for pair in (pair for one in selections for pair in one.pairs):
        frame, truth = read_pair(pair)
        count_pixels(out, probability_of(frame, predict, manifest), truth)
    return out


def at(asked: str | float, selections: Sequence[Selection], predict: Predict, manifest: mf.Manifest) -> mf.Manifest:
    """The manifest with thresholds by a rule, or with one for every class, and what they cost.

    Args:
        asked: what :func:`parse` gave.
        selections: labelled frames that may be chosen on.
        predict: the float graph, uint8.
        manifest: of the model.

    Raises:
        DataError: a frame or mask is not what it should be, or no mask has a pixel of a class.
    """
    data = "+".join(one.dataset.name for one in selections)
    # A list may be called test.txt; that none of its frames is one was seen to (data/select.py).
    split = "+".join(sorted({one.split if one.split != "test" else "list test" for one in selections}))
    classes, points = [manifest.classes[0]], []
    for one, histogram in zip(manifest.classes[1:], histograms(selections, predict, manifest), strict=True):
        if not histogram[1].any():
            raise DataError(f"{data} {split}: no mask has a pixel of {one.name}, so its threshold cannot be measured")
        rule, chosen = (
            (asked, choose(histogram, asked)) if isinstance(asked, str) else ("given", threshold_level(asked))
        )
        classes.append(one.model_copy(update={"threshold": chosen}))
        points.append(point(one.name, rule, chosen, histogram, data, split))
    return manifest.model_copy(update={"classes": classes, "operating_points": points})
