"""Targets of one frame set into another, so that few polyps are seen on many walls."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.data.patches import lit_centre

Image = NDArray[np.uint8]
Pair = tuple[Image, Image]

# A piece keeps between 1/SCALE and SCALE times its size.
SCALE = 1.6
# Gains that a piece may take to match the light of where it is set.
GAIN = 2.0
# Share of the pieces that hold wall instead of the target: a seam alone must not be what is learned.
DECOYS = 0.35
# Tries to find a place for a decoy beside the target.
TRIES = 10


def paste(frame: Image, mask: Image, donor: Pair, level: int, rng: np.random.Generator) -> Pair:
    """Sets the donor's target, turned, mirrored and scaled, into the frame with a soft seam and matched light.

    A share of the pieces has the target's outline and the donor's wall inside; these are no target, and hide it where
    they cover it.

    Args:
        frame: uint8 [h, w, 3]; not changed.
        mask: uint8 {0, 1} [h, w]; not changed.
        donor: another frame and its mask, of the same size.
        level: a pixel counts as lit where max(B, G, R) is over this grey level.
        rng: of every draw.

    Returns:
        The new frame and mask; those given where the donor has no target.
    """
    image, outline = donor
    if not outline.any() or outline.mean() > 0.4:
        return frame, mask
    decoy = rng.uniform() < DECOYS
    if decoy:
        moved = _beside(outline, rng)
        if moved is None:
            return frame, mask
        outline = moved
    height, width = mask.shape
    matrix = _placement(outline, lit_centre(frame, level, rng), rng)
    piece = cv2.warpAffine(image, matrix, (width, height), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REFLECT)
    share = cv2.warpAffine(outline * np.float32(1), matrix, (width, height), flags=cv2.INTER_LINEAR)
    # The seam lies around the outline, not across it.
    seam = max(1.0, 0.03 * float(np.sqrt(share.sum())))
    alpha = np.clip(2 * cv2.GaussianBlur(share, (0, 0), seam), 0, 1)[..., None]
    gains = np.clip(_light(frame, share) / _light(piece, share), 1 / GAIN, GAIN)
    out = alpha * np.clip(piece * gains, 0, 255) + (1 - alpha) * frame
    target = np.where(share > 0.5, 0 if decoy else 1, mask)
    return np.asarray(out + 0.5, np.uint8), np.asarray(target, np.uint8)


def _placement(outline: Image, centre: tuple[int, int], rng: np.random.Generator) -> NDArray[np.float64]:
    """The affine matrix that brings the outline's middle to the centre."""
    turn, zoom = rng.uniform(-np.pi, np.pi), np.exp(rng.uniform(-np.log(SCALE), np.log(SCALE)))
    flip = -1.0 if rng.uniform() < 0.5 else 1.0
    cosine, sine = np.cos(turn), np.sin(turn)
    linear = zoom * np.array([[cosine, -sine], [sine, cosine]]) @ np.diag([flip, 1.0])
    left, top, across, down = cv2.boundingRect(outline)
    middle = np.array([left + across / 2, top + down / 2])
    return np.column_stack([linear, np.asarray(centre, np.float64) - linear @ middle])


def _beside(outline: Image, rng: np.random.Generator) -> Image | None:
    """The outline moved to where the target is not; None if the frame has no room."""
    height, width = outline.shape
    left, top, across, down = cv2.boundingRect(outline)
    part = outline[top : top + down, left : left + across]
    for _ in range(TRIES):
        x, y = int(rng.integers(0, width - across + 1)), int(rng.integers(0, height - down + 1))
        moved = np.zeros_like(outline)
        moved[y : y + down, x : x + across] = part
        if not (moved & outline).any():
            return moved
    return None


def _light(frame: Image, share: NDArray[np.float32]) -> NDArray[np.float64]:
    """Mean B, G, R in a ring around the piece."""
    inside = np.asarray(share > 0.5, np.uint8)
    reach = max(3, int(0.15 * np.sqrt(inside.sum())) | 1)
    ring = cv2.dilate(inside, np.ones((2 * reach + 1, 2 * reach + 1), np.uint8)) - inside
    return np.asarray(cv2.mean(frame, ring)[:3]) + 8.0


def pasted(
    frame: Image, mask: Image, chance: float, count: int, read: Callable[[int], Pair], level: int,
    rng: np.random.Generator,
) -> Pair:  # fmt: skip
    """With ``chance``, :func:`paste` of one of ``count`` frames that ``read`` gives by index."""
    if rng.uniform() >= chance:
        return frame, mask
    return paste(frame, mask, read(int(rng.integers(count))), level, rng)
