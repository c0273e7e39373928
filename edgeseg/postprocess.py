"""Probability → class mask and objects, by the contract's rules ("Back").

The threshold is compared as an integer, so that Python and C agree to the bit.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.fit import Box


@dataclass(frozen=True)
class Object:
    """A connected region of one class: ``area`` in pixels, ``box`` = left, top, width, height."""

    class_name: str
    area: int
    box: Box


def threshold_level(threshold: float) -> int:
    """A threshold 0 to 1 as grey level: value ≥ ceil(255·t); 0.5 is 128."""
    return min(255, max(1, math.ceil(255 * threshold - 1e-9)))


def mask_of(probability: NDArray[np.uint8], thresholds: Sequence[int], min_area: float = 0.0) -> NDArray[np.uint8]:
    """Class index per pixel.

    A pixel's class is the channel with the highest value among those at or above their threshold,
    ties to the lower, else 0 (background).

    Args:
        probability: uint8 [K, H, W].
        thresholds: K grey levels.
        min_area: components below this share of their class's pixels are dropped; 0 is off.

    Returns:
        uint8 [H, W].
    """
    if len(thresholds) == 1:
        mask: NDArray[np.uint8] = cv2.threshold(probability[0], thresholds[0] - 1, 1, cv2.THRESH_BINARY)[1]
    else:
        levels = np.asarray(thresholds, np.uint8)[:, None, None]
        passing = np.where(probability >= levels, probability, 0)
        best = passing.argmax(0)
        mask = np.where(passing.max(0) > 0, best + 1, 0).astype(np.uint8)
    return drop_small(mask, len(thresholds), min_area) if min_area else mask


def drop_small(mask: NDArray[np.uint8], classes: int, share: float) -> NDArray[np.uint8]:
    """Drops components under ``share`` of their class's pixels."""
    out = mask.copy()
    for index in range(1, classes + 1):
        of_class = mask if classes == 1 else (mask == index).view(np.uint8)
        # Only the part that holds something is labelled, and only the boxes of what is dropped are written.
        left, top, width, height = cv2.boundingRect(of_class)
        part = of_class[top : top + height, left : left + width]
        if not part.size:
            continue
        _, labels, stats, _ = cv2.connectedComponentsWithStats(part, connectivity=8)
        areas = stats[:, cv2.CC_STAT_AREA]
        for label in 1 + np.flatnonzero(areas[1:] < share * areas[1:].sum()):
            x, y, across, down = stats[label, : cv2.CC_STAT_AREA]
            box = (slice(y, y + down), slice(x, x + across))
            out[top : top + height, left : left + width][box][labels[box] == label] = 0
    return out


def without_small(probability: NDArray[np.uint8], thresholds: Sequence[int], min_area: float) -> NDArray[np.uint8]:
    """Probability whose mask at ``thresholds`` lacks the small components: they are set just below.

    For displays that compare the probability by themselves.

    Args:
        probability: uint8 [K, H, W].
        thresholds: K grey levels.
        min_area: as of :func:`mask_of`.

    Returns:
        uint8 [K, H, W].
    """
    dropped = (mask_of(probability, thresholds) > 0) & (mask_of(probability, thresholds, min_area) == 0)
    below = np.asarray([level - 1 for level in thresholds], np.uint8)[:, None, None]
    return np.where(dropped, np.minimum(probability, below), probability)


def objects_of(mask: NDArray[np.uint8], names: Sequence[str]) -> list[Object]:
    """8-connected objects of every class, largest first.

    Args:
        mask: uint8 [H, W] of class indexes.
        names: of the classes 1, 2, …
    """
    out: list[Object] = []
    for index, name in enumerate(names, 1):
        of_class = mask if len(names) == 1 else (mask == index).view(np.uint8)
        # Only the part that holds something is labelled: most of a 1080p mask is background.
        left, top, width, height = cv2.boundingRect(of_class)
        if not width:
            continue
        part = of_class[top : top + height, left : left + width]
        count, _, stats, _ = cv2.connectedComponentsWithStats(part, connectivity=8)
        rows = stats[1:count].tolist()
        out += [Object(name, row[4], Box(row[0] + left, row[1] + top, row[2], row[3])) for row in rows]
    return sorted(out, key=lambda item: (-item.area, item.box))
