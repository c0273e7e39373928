"""Targets of one frame set into another, for a whole batch; see :mod:`edgeseg.data.paste`."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from edgeseg.data.batch import geometry
from edgeseg.data.batch.draw import Draw
from edgeseg.data.batch.light import smooth
from edgeseg.data.paste import DECOYS, GAIN, SCALE, TRIES

# Seams are smoothed at half size: they are wide, and the smoothing is most of the work.
HALF = 2
WIDEST = 10.0
# Whether a decoy has room is seen at this part of the size.
COARSE = 4


def paste(
    frames: Tensor, masks: Tensor, images: Tensor, outlines: Tensor, where: Tensor, level: int, draw: Draw
) -> tuple[Tensor, Tensor]:
    """Sets a donor's target into each chosen frame, with a soft seam and matched light.

    Args:
        frames: float 0 to 255 [B, 3, h, w].
        masks: float {0, 1} [B, 1, h, w].
        images: the donors' frames, likewise.
        outlines: the donors' targets, likewise.
        where: bool [B], the frames that get something.
        level: a pixel counts as lit where max(B, G, R) is over this grey level.
        draw: of every number.

    Returns:
        Frames and masks, of the same shapes.
    """
    count, _, height, width = frames.shape
    area = outlines.mean((1, 2, 3))
    where = where & (area > 0) & (area <= 0.4)
    decoy = draw.chance(DECOYS, count)
    moved, room = _moved(outlines, draw)
    where = where & (~decoy | room)
    outlines = torch.where(decoy[:, None, None, None], moved, outlines)

    left, top, right, bottom = geometry.boxes(outlines)
    zoom = draw.uniform(-math.log(SCALE), math.log(SCALE), count).exp()
    x, y = geometry.lit(frames, level, draw)
    # Frame pixel → donor pixel: back to the middle, turned and scaled back.
    matrix = (
        geometry.shift((left + right) / 2, (top + bottom) / 2)
        @ geometry.scale(draw.sign(count) / zoom, 1 / zoom)
        @ geometry.turn(draw.uniform(-math.pi, math.pi, count))
        @ geometry.shift(-x, -y)
    )
    piece = geometry.sample(images, matrix, height, width, "reflection")
    share = geometry.sample(outlines, matrix, height, width)

    side = share.sum((1, 2, 3)).sqrt()
    small = F.avg_pool2d(share, HALF)
    # The seam lies around the outline, not across it.
    seam = (0.03 * side).clamp(1.0, WIDEST)
    alpha = _enlarged(2 * smooth(small, seam / HALF, WIDEST / HALF), share).clamp(0, 1)
    around = smooth(small, (2 * seam).clamp(max=WIDEST) / HALF, WIDEST / HALF)
    ring = _enlarged(around, share) * (share < 0.5)
    gains = ((_light(frames, ring)) / _light(piece, ring)).clamp(1 / GAIN, GAIN)
    alpha = alpha * where[:, None, None, None]
    out = alpha * (piece * gains).clamp(0, 255) + (1 - alpha) * frames
    target = torch.where((share > 0.5) & where[:, None, None, None], (~decoy).float()[:, None, None, None], masks)
    return out, target


def _moved(outlines: Tensor, draw: Draw) -> tuple[Tensor, Tensor]:
    """The outlines moved to where the target is not, and whether there was room."""
    count, _, height, width = outlines.shape
    left, top, right, bottom = geometry.boxes(outlines)
    x, y = torch.zeros_like(left), torch.zeros_like(top)
    room = torch.zeros(count, dtype=torch.bool, device=outlines.device)
    coarse = F.max_pool2d(outlines, COARSE, ceil_mode=True)
    for _ in range(TRIES):
        # A new left and top edge such that the outline stays whole.
        across = (draw.uniform(0, 1, count) * (width - (right - left) + 1)).floor() - left
        down = (draw.uniform(0, 1, count) * (height - (bottom - top) + 1)).floor() - top
        there = geometry.sample(coarse, geometry.shift(-across / COARSE, -down / COARSE), *coarse.shape[2:])
        free = ~((there > 0.5) & (coarse > 0)).flatten(1).any(1) & ~room
        x, y, room = torch.where(free, across, x), torch.where(free, down, y), room | free
    return geometry.sample(outlines, geometry.shift(-x, -y), height, width).round(), room


def _enlarged(small: Tensor, like: Tensor) -> Tensor:
    return F.interpolate(small, like.shape[2:], mode="bilinear", align_corners=False)


def _light(frames: Tensor, weight: Tensor) -> Tensor:
    """Mean B, G, R under a weight; [B, 3, 1, 1]."""
    total = weight.sum((2, 3), keepdim=True).clamp(min=1e-3)
    return (frames * weight).sum((2, 3), keepdim=True) / total + 8.0
