"""A model against labelled frames: the loop behind `val`, the export gates and `verify`."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from edgeseg import fit, metrics, steps
from edgeseg.bundle import Spec
from edgeseg.data.dataset import Pair, read_mask, read_pair
from edgeseg.errors import DataError
from edgeseg.manifest import Manifest
from edgeseg.postprocess import mask_of
from edgeseg.tiles import tiled

Image = NDArray[np.uint8]
Predict = Callable[[Image], NDArray[Any]]
"""Fitted frame uint8 [h, w, 3] → probability [K, h, w], uint8 or float32 0 to 1."""


@dataclass(frozen=True)
class Comparison:
    """One frame with its truth and what was predicted, at frame size."""

    pair: Pair
    frame: Image
    truth: NDArray[np.bool_]
    predicted: NDArray[np.bool_]
    figures: metrics.ImageFigures


def compare(
    pair: Pair,
    predict: Predict,
    spec: Spec | Manifest,
    thresholds: Sequence[int],
    tally: metrics.Tally,
    area: str,
    *,
    tile: bool = False,
) -> Comparison:
    """Predicts one labelled frame and adds it to the tally.

    Args:
        pair: frame and mask.
        predict: the engine or run.
        spec: of the model.
        thresholds: grey level per class.
        tally: collects.
        area: "frame", or "fov" for inside the field of view only.
        tile: sliding window instead of one fit, see :mod:`edgeseg.tiles`.

    Raises:
        DataError: the pair is not what it should be, or has no field of view.
    """
    frame, truth = read_pair(pair)
    probability = tiled(frame, predict, spec.frame) if tile else probability_of(frame, predict, spec)
    predicted = positive(probability, thresholds, spec.output.min_area)
    inside = None
    if area == "fov":
        if pair.fov is None:
            raise DataError(f"{pair.image}: has no field-of-view mask; use --area frame")
        inside = read_mask(pair.fov, threshold=True) > 0
        if inside.shape != truth.shape:
            sizes = [f"{one.shape[1]}x{one.shape[0]}" for one in (truth, inside)]
            raise DataError(f"{pair.image} is {sizes[0]} but its field of view {sizes[1]} ({pair.fov.name})")
        if not inside.any():
            raise DataError(f"{pair.fov}: is black all over, so nothing lies in the field of view; use --area frame")
    figures = tally.add(pair.stem, probability.max(0), predicted, truth > 0, inside)
    return Comparison(pair, frame, truth > 0, predicted, figures)


def probability_of(frame: Image, predict: Predict, spec: Spec | Manifest) -> NDArray[Any]:
    """A still's probability at its own size, [K, H, W] in what ``predict`` gives; its content box is its own."""
    box = fit.content_box(frame, spec.frame.fit.content_level) if spec.frame.fit.region == "content" else None
    placement = fit.place(frame.shape[0], frame.shape[1], spec.frame, box)
    fitted = steps.network_input(frame, placement, spec.frame)
    return fit.back(predict(fitted), placement, spec.output.upsample)


def positive(probability: NDArray[Any], thresholds: Sequence[int], min_area: float) -> NDArray[np.bool_]:
    """Any class at frame size, from uint8 or float probability [K, H, W]."""
    if probability.dtype == np.uint8:
        return mask_of(probability.astype(np.uint8, copy=False), thresholds, min_area) > 0
    # Floats are rounded as the exported graph rounds them, so that a run and its engine are asked the same question.
    return mask_of(np.rint(probability * 255).astype(np.uint8), thresholds, min_area) > 0


def evaluate(
    pairs: Sequence[Pair],
    predict: Predict,
    spec: Spec | Manifest,
    thresholds: Sequence[int],
    *,
    area: str = "frame",
    tile: bool = False,
    each: Callable[[Comparison], None] | None = None,
) -> metrics.Tally:
    """Figures over labelled frames; ``each`` sees every comparison (progress, pictures).

    Raises:
        DataError: a pair is not what it should be.
    """
    tally = metrics.Tally()
    for pair in pairs:
        comparison = compare(pair, predict, spec, thresholds, tally, area, tile=tile)
        if each is not None:
            each(comparison)
    return tally
