"""Square patches drawn from fitted frames, turned, mirrored and scaled in one resampling."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from edgeseg.train.recipe import Augmentation

Image = NDArray[np.uint8]
# A patch is centred on something seen: this often a dark centre is drawn again.
TRIES = 20


def draw(
    frame: Image, mask: Image, side: int, settings: Augmentation, level: int, rng: np.random.Generator
) -> tuple[Image, Image]:
    """One patch of a frame and its mask; outside of the frame is black and no target.

    The geometry is the recipe's: ``flip``, ``rotate`` (degrees either way), ``stretch`` (the axes
    apart), ``zoom_in`` and ``zoom_out`` (both axes, evenly in the logarithm).

    Args:
        frame: uint8 [h, w, 3].
        mask: uint8 [h, w], share of the target from 0 to 255.
        side: of the patch, pixels.
        settings: the recipe's ``[augmentation]``.
        level: a centre counts as seen where max(B, G, R) is over this grey level.
        rng: of every draw.

    Returns:
        uint8 [side, side, 3] and uint8 [side, side], both interpolated.
    """
    turn = np.deg2rad(rng.uniform(-settings.rotate, settings.rotate))
    zoom = np.exp(rng.uniform(-np.log1p(settings.zoom_out), np.log1p(settings.zoom_in)))
    stretch = np.exp(rng.uniform(-0.5, 0.5) * np.log1p(settings.stretch))
    flip = -1.0 if settings.flip and rng.uniform() < 0.5 else 1.0
    cosine, sine = np.cos(turn), np.sin(turn)
    to_frame = np.array([[cosine, -sine], [sine, cosine]]) @ np.diag([flip * stretch, 1 / stretch]) / zoom
    shift = np.asarray(lit_centre(frame, level, rng)) - to_frame @ np.full(2, (side - 1) / 2)
    matrix = np.column_stack([to_frame, shift])
    warp = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
    patch = cv2.warpAffine(frame, matrix, (side, side), flags=warp)
    target = cv2.warpAffine(mask, matrix, (side, side), flags=warp)
    return np.asarray(patch, np.uint8), np.asarray(target, np.uint8)


def lit_centre(frame: Image, level: int, rng: np.random.Generator) -> tuple[int, int]:
    """Column and row of a pixel that shows something."""
    height, width = frame.shape[:2]
    column, row = int(rng.integers(width)), int(rng.integers(height))
    for _ in range(TRIES):
        if frame[row, column].max() > level:
            break
        column, row = int(rng.integers(width)), int(rng.integers(height))
    return column, row
