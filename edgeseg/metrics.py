"""Dice, IoU, sensitivity, specificity, accuracy and AUC, with their conventions.

* Masks are compared at their own size, inside the field of view where the set has one.
* Both masks empty: Dice = IoU = 1. One of them empty: 0.
* A figure without a denominator (sensitivity of a frame without target, AUC with one class only)
  is None and left out of the mean.
* *per image* is the mean over images, *pooled* is computed over all pixels together.
* AUC is the area under the ROC curve, ties counted half (Mann–Whitney): from float probability
  for a run, from uint8 for an engine.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

FIGURES = ("dice", "iou", "sensitivity", "specificity", "accuracy", "auc")
# Pooled AUC of float probability is taken from this many equal bins: 12 million pixels would not fit otherwise.
POOL_BINS = 1 << 16


@dataclass(frozen=True)
class Counts:
    """Pixels: true and false positives and negatives."""

    tp: int
    fp: int
    fn: int
    tn: int

    def __add__(self, other: Counts) -> Counts:
        return Counts(self.tp + other.tp, self.fp + other.fp, self.fn + other.fn, self.tn + other.tn)

    def figures(self) -> dict[str, float | None]:
        """All figures but AUC."""
        union = self.tp + self.fp + self.fn
        total = union + self.tn
        return {
            "dice": 2 * self.tp / (union + self.tp) if union else 1.0,
            "iou": self.tp / union if union else 1.0,
            "sensitivity": _ratio(self.tp, self.tp + self.fn),
            "specificity": _ratio(self.tn, self.tn + self.fp),
            "accuracy": _ratio(self.tp + self.tn, total),
        }


def _ratio(part: int, whole: int) -> float | None:
    return part / whole if whole else None


def count(predicted: NDArray[np.bool_], truth: NDArray[np.bool_]) -> Counts:
    """Counts of two masks of one shape."""
    tp = int(np.count_nonzero(predicted & truth))
    positives, targets = int(np.count_nonzero(predicted)), int(np.count_nonzero(truth))
    return Counts(tp, positives - tp, targets - tp, truth.size - positives - targets + tp)


def histograms(
    probability: NDArray[np.generic], truth: NDArray[np.bool_]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Histograms of the probability on target and on other pixels.

    uint8 gives its 256 values, float (0 to 1) ``POOL_BINS`` bins.
    """
    if probability.dtype == np.uint8:
        values, bins = probability, 256
    else:
        values, bins = (probability * (POOL_BINS - 1)).astype(np.uint16), POOL_BINS
    return np.bincount(values[truth], minlength=bins), np.bincount(values[~truth], minlength=bins)


def auc(target: NDArray[np.int64], other: NDArray[np.int64]) -> float | None:
    """AUC from the histograms of :func:`histograms`; None if one of them is empty."""
    targets, others = int(target.sum()), int(other.sum())
    if not targets or not others:
        return None
    below = np.cumsum(other) - other
    return float((target * (below + other / 2)).sum() / targets / others)


@dataclass(frozen=True)
class ImageFigures:
    """One image's figures; ``name`` is its stem."""

    name: str
    counts: Counts
    figures: dict[str, float | None]


class Tally:
    """Collects images one by one; per-image means and pooled figures at the end."""

    def __init__(self) -> None:
        self.images: list[ImageFigures] = []
        self._target: NDArray[np.int64] | int = 0
        self._other: NDArray[np.int64] | int = 0

    def add(
        self,
        name: str,
        probability: NDArray[np.generic],
        predicted: NDArray[np.bool_],
        truth: NDArray[np.bool_],
        area: NDArray[np.bool_] | None = None,
    ) -> ImageFigures:
        """Adds an image.

        Args:
            name: its stem.
            probability: uint8 or float 0 to 1, [H, W].
            predicted: mask [H, W].
            truth: mask [H, W].
            area: pixels that count (a field of view); None for all.
        """
        if area is not None:
            probability, predicted, truth = probability[area], predicted[area], truth[area]
        counts = count(predicted, truth)
        target, other = histograms(probability, truth)
        self._target, self._other = self._target + target, self._other + other
        image = ImageFigures(name, counts, {**counts.figures(), "auc": auc(target, other)})
        self.images.append(image)
        return image

    def per_image(self) -> dict[str, float]:
        return mean(image.figures for image in self.images)

    def pooled(self) -> dict[str, float]:
        if not self.images:
            return {}
        total = self.images[0].counts
        for image in self.images[1:]:
            total = total + image.counts
        figures = total.figures() | {"auc": auc(np.asarray(self._target), np.asarray(self._other))}
        return {name: value for name, value in figures.items() if value is not None}

    def histogram(self) -> NDArray[np.int64]:
        """Pixels of all images by truth (0, 1) and probability: [2, 256] for uint8, [2, POOL_BINS] for float."""
        if not self.images:
            return np.zeros((2, 256), np.int64)
        return np.stack([np.asarray(self._other), np.asarray(self._target)])

    def worst(self, number: int) -> list[ImageFigures]:
        """The images with the lowest Dice, lowest first."""
        return sorted(self.images, key=lambda image: (image.figures["dice"] or 0.0, image.name))[:number]


def mean(rows: Iterable[dict[str, float | None]]) -> dict[str, float]:
    """Mean of each figure over the images that have it."""
    values: dict[str, list[float]] = {}
    for row in rows:
        for name, value in row.items():
            if value is not None:
                values.setdefault(name, []).append(value)
    return {name: float(np.mean(values[name])) for name in FIGURES if name in values}


def bootstrap_ci95(
    values: Sequence[float], groups: Sequence[Hashable | None] = (), seed: int = 0, draws: int = 2000
) -> tuple[float, float] | None:
    """95 % percentile bootstrap interval of the mean.

    Frames of one sequence or patient are alike: drawn one by one, many of them would make the interval far too narrow.
    So groups are drawn, and then frames in each, both with replacement (Davison and Hinkley, Bootstrap Methods and
    their Application, 1997, section 3.8, discuss this and whole groups). Where frames of a group are no more alike
    than others it is too wide, by up to 1.4 times: whole groups alone, when they are few, may agree by chance. Where
    they are alike and there are fewer than about ten groups it is too narrow, as percentiles of few values are.

    Args:
        values: one an image.
        groups: whose image each is; None, or no groups at all: an image by itself.
        seed: of the draws.
        draws: how many.

    Returns:
        Its ends; None for fewer than two groups, which say nothing of others.
    """
    own = [index if group is None else (group,) for index, group in enumerate(groups or [None] * len(values))]
    together: dict[Hashable, list[float]] = {}
    for key, value in zip(own, values, strict=True):
        together.setdefault(key, []).append(value)
    members = [np.asarray(one, np.float64) for one in together.values()]
    if len(members) < 2:
        return None
    rng = np.random.default_rng(seed)
    picks = rng.integers(0, len(members), (draws, len(members)))
    sums = np.array([one[0] if one.size == 1 else 0.0 for one in members])[picks].sum(1)
    sizes = np.array([one.size for one in members])[picks].sum(1)
    several = np.array([one.size > 1 for one in members])[picks]
    rows, _ = np.nonzero(several)
    drawn = picks[several]
    order = np.argsort(drawn, kind="stable")  # the places of each group together
    for places in np.split(order, np.flatnonzero(np.diff(drawn[order])) + 1) if drawn.size else ():
        one = members[drawn[places[0]]]
        frames = one[rng.integers(0, one.size, (places.size, one.size), dtype=np.int32)]
        sums += np.bincount(rows[places], frames.sum(1), draws)
    low, high = np.percentile(sums / sizes, (2.5, 97.5))
    return float(low), float(high)
