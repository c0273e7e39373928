"""Large stills by overlapping tiles, at more detail than fitting the whole frame into the network's input leaves.

numpy and OpenCV only. The frame's region (``fit.region``) is scaled to at most its own resolution and at
most ``zoom`` times what the fit would give: a network knows structures at the scale it was trained on, so
more pixels than that are no more detail to it. Tiles have the network's size, neighbours share a quarter,
and their probabilities are averaged with weights that fall towards a tile's edge.

Memory beside the frame: 4·(K + 1) bytes for each scaled pixel (K channels), 3 for the scaled frame, and the
result's K bytes for each frame pixel; 12 megapixels at full resolution with one channel take under 160 MB.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg import fit
from edgeseg.fit import Pixel
from edgeseg.steps import apply

if TYPE_CHECKING:
    from edgeseg.manifest import Frame

Image = NDArray[np.uint8]
OVERLAP = 4  # a tile shares 1/4 of its side with the next
ZOOM = 1.5


def tiled(frame: Image, run: Callable[[Image], NDArray[Pixel]], spec: Frame, zoom: float = ZOOM) -> NDArray[Pixel]:
    """Probability of a whole frame.

    Args:
        frame: uint8 BGR [H, W, 3].
        run: the network: uint8 [h, w, 3] → probability [K, h, w], uint8 or float32 0 to 1.
        spec: the manifest's frame.
        zoom: largest scale, as a multiple of the fit's.

    Returns:
        [K, H, W] of the same type, 0 outside of the region.
    """
    box = fit.content_box(frame, spec.fit.content_level) if spec.fit.region == "content" else None
    whole = fit.place(frame.shape[0], frame.shape[1], spec, box).source
    base = min(spec.height / whole.height, spec.width / whole.width)
    scale = max(base, min(1.0, zoom * base))
    height, width = (max(1, int(scale * side + 0.5)) for side in (whole.height, whole.width))
    part = frame[whole.top : whole.top + whole.height, whole.left : whole.left + whole.width]
    probability = _run_tiles(fit.resample(part, height, width), run, spec)
    out = np.zeros((probability.shape[0], *frame.shape[:2]), probability.dtype)
    for channel, plane in enumerate(probability):
        target = out[channel, whole.top : whole.top + whole.height, whole.left : whole.left + whole.width]
        cv2.resize(plane, (whole.width, whole.height), dst=target, interpolation=cv2.INTER_LINEAR)
    return out


def starts(length: int, tile: int) -> list[int]:
    """Where tiles begin along an axis, evenly spread, neighbours sharing at least ``tile`` / 4."""
    if length <= tile:
        return [0]
    number = -(-(length - tile) // (tile - tile // OVERLAP)) + 1
    return [round(i * (length - tile) / (number - 1)) for i in range(number)]


def _run_tiles(image: Image, run: Callable[[Image], NDArray[Pixel]], spec: Frame) -> NDArray[Pixel]:
    """Probability [K, h, w] of an image of any size at its own resolution."""
    height, width = image.shape[:2]
    weight = _weight(spec.height, spec.width)
    total = np.zeros((height, width), np.float32)
    summed = np.zeros((0, height, width), np.float32)
    for top in starts(height, spec.height):
        for left in starts(width, spec.width):
            down, across = slice(top, top + spec.height), slice(left, left + spec.width)
            tile = image[down, across]
            rows, columns = tile.shape[:2]
            if (rows, columns) != (spec.height, spec.width):
                below, right = spec.height - rows, spec.width - columns
                grey = (spec.fit.pad_value,) * 3
                tile = np.asarray(
                    cv2.copyMakeBorder(tile, 0, below, 0, right, cv2.BORDER_CONSTANT, value=grey), np.uint8
                )
            probability = run(apply(np.ascontiguousarray(tile), spec))[:, :rows, :columns]
            if not len(summed):
                summed = np.zeros((probability.shape[0], height, width), np.float32)
            summed[:, down, across] += probability * weight[:rows, :columns]
            total[down, across] += weight[:rows, :columns]
    summed /= total
    if probability.dtype == np.uint8:
        np.rint(summed, out=summed)
    return summed.astype(probability.dtype)


def _weight(height: int, width: int) -> NDArray[np.float32]:
    """Falls linearly over the shared quarter towards each edge, never to 0."""
    sides = []
    for side in (height, width):
        distance = np.minimum(np.arange(side), np.arange(side)[::-1]) + 0.5
        sides.append(np.clip(distance / (side / OVERLAP), 0.0, 1.0))
    return np.outer(*sides).astype(np.float32)
