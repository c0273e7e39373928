"""What a picture looks like to somebody who only asks whether it is one: cheap measures, numpy alone.

Computed in the capture process on every frame; :mod:`edgeseg.stream.live.state` draws the conclusions.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

# About this many columns are looked at: every n-th pixel, unfiltered, so that sensor noise stays visible.
_COLUMNS = 240
_BLOCK = 8
_PATCH = 192


class Content(NamedTuple):
    """Measures of one frame, in grey levels of its green channel.

    Attributes:
        low, high: 10th and 90th percentile.
        grain: energy between neighbouring pixels over that of the picture: 1 is white noise, a scene is below 0.3.
        change: mean absolute difference to the frame before; 0 is the same picture.
        block: the largest of such means over small blocks: a small thing that moves.
    """

    low: float
    high: float
    grain: float
    change: float
    block: float


class Watch:
    """Measures frame after frame; starts anew when the size changes."""

    def __init__(self) -> None:
        self._last: NDArray[np.int16] | None = None

    def look(self, image: NDArray[np.uint8]) -> Content:
        """Measures uint8 BGR [H, W, 3]; below 0.3 ms at 720p."""
        step = max(1, image.shape[1] // _COLUMNS)
        grey = image[::step, ::step, 1].astype(np.int16)
        low, high = _percentiles(grey)
        change = block = 255.0
        if self._last is not None and self._last.shape == grey.shape:
            difference = np.abs(grey - self._last)
            change, block = float(difference.mean()), _largest_block(difference)
        self._last = grey
        return Content(low, high, _grain(image), change, block)


def _percentiles(values: NDArray[np.int16]) -> tuple[float, float]:
    flat = np.sort(values, axis=None)
    return float(flat[len(flat) // 10]), float(flat[-1 - len(flat) // 10])


def _largest_block(difference: NDArray[np.int16]) -> float:
    rows, columns = (size // _BLOCK * _BLOCK for size in difference.shape)
    if not rows or not columns:
        return float(difference.mean())
    blocks = difference[:rows, :columns].reshape(rows // _BLOCK, _BLOCK, columns // _BLOCK, _BLOCK)
    return float(blocks.mean((1, 3)).max())


def _grain(image: NDArray[np.uint8]) -> float:
    """Of the middle of the picture at full size, where neighbours are neighbours."""
    height, width = image.shape[:2]
    top, left = max(0, (height - _PATCH) // 2), max(0, (width - _PATCH) // 2)
    patch = image[top : top + _PATCH, left : left + _PATCH, 1].astype(np.float32)
    variance = float(patch.var())
    if variance < 1 or min(patch.shape) < 2:
        return 0.0
    across = float(np.square(np.diff(patch, axis=1)).mean()) + float(np.square(np.diff(patch, axis=0)).mean())
    return across / (4 * variance)
