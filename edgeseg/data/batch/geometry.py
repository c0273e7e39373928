"""Where an output pixel comes from: one 3×3 matrix for each frame, and one resampling by it.

Pixel (x, y) has its middle at (x, y); matrices act on columns (x, y, 1).
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from edgeseg.data.augmentation import KEPT, NEAREST

if TYPE_CHECKING:
    from edgeseg.data.batch.draw import Draw
    from edgeseg.train.recipe import Augmentation

# A patch is centred on something seen: so many centres are drawn, and the first is taken that is lit.
TRIES = 20


def eye(count: int, device: torch.device) -> Tensor:
    """Matrices [count, 3, 3] that change nothing."""
    return torch.eye(3, device=device).expand(count, 3, 3).clone()


def shift(x: Tensor, y: Tensor) -> Tensor:
    """Matrices [B, 3, 3] that add (x, y)."""
    out = eye(len(x), x.device)
    out[:, 0, 2], out[:, 1, 2] = x, y
    return out


def scale(x: Tensor, y: Tensor) -> Tensor:
    """Matrices [B, 3, 3] that multiply by (x, y)."""
    out = eye(len(x), x.device)
    out[:, 0, 0], out[:, 1, 1] = x, y
    return out


def turn(angle: Tensor) -> Tensor:
    """Matrices [B, 3, 3] that turn by an angle in radians."""
    out = eye(len(angle), angle.device)
    out[:, 0, 0] = out[:, 1, 1] = angle.cos()
    out[:, 1, 0] = angle.sin()
    out[:, 0, 1] = -angle.sin()
    return out


def about(matrix: Tensor, x: float, y: float) -> Tensor:
    """The matrices with (x, y) as their middle."""
    count, device = len(matrix), matrix.device
    there = torch.full((count,), x, device=device), torch.full((count,), y, device=device)
    return shift(*there) @ matrix @ shift(-there[0], -there[1])


def chosen(where: Tensor, matrix: Tensor) -> Tensor:
    """The matrices where True, no change elsewhere."""
    return torch.where(where[:, None, None], matrix, eye(len(matrix), matrix.device))


def whole(settings: Augmentation, count: int, height: int, width: int, draw: Draw) -> Tensor:
    """Output pixel → pixel of the frame, for whole frames: flips, turn, stretch, shift and zoom; [B, 3, 3]."""
    ones = torch.ones(count, device=draw.device)
    matrix = eye(count, draw.device)
    if settings.flip:
        matrix = matrix @ scale(draw.sign(count), draw.sign(count))
    if settings.rotate or settings.shift or settings.stretch:
        limit = math.radians(settings.rotate)
        affine = turn(draw.uniform(-limit, limit, count)) @ scale(
            1 + draw.uniform(-settings.stretch, settings.stretch, count),
            1 + draw.uniform(-settings.stretch, settings.stretch, count),
        )
        move = shift(
            width * draw.uniform(-settings.shift, settings.shift, count),
            height * draw.uniform(-settings.shift, settings.shift, count),
        )
        matrix = matrix @ chosen(draw.chance(0.8, count), affine @ move)
    if settings.zoom_in or settings.zoom_out:
        zoom = draw.uniform(1 / (1 + settings.zoom_out), 1 + settings.zoom_in, count)
        zoom = torch.where(draw.chance(0.5, count), zoom, ones)
        matrix = matrix @ scale(1 / zoom, 1 / zoom)
    return about(matrix, (width - 1) / 2, (height - 1) / 2)


def patches(settings: Augmentation, frames: Tensor, side: int, level: int, draw: Draw) -> Tensor:
    """Pixel of a square patch → pixel of the frame, as :func:`edgeseg.data.patches.draw` has it; [B, 3, 3]."""
    count = len(frames)
    limit = math.radians(settings.rotate)
    zoom = draw.uniform(-math.log1p(settings.zoom_out), math.log1p(settings.zoom_in), count).exp()
    stretch = (draw.uniform(-0.5, 0.5, count) * math.log1p(settings.stretch)).exp()
    flip = draw.sign(count) if settings.flip else torch.ones(count, device=draw.device)
    matrix = turn(draw.uniform(-limit, limit, count)) @ scale(flip * stretch / zoom, 1 / (stretch * zoom))
    x, y = lit(frames, level, draw)
    back = torch.full((count,), -(side - 1) / 2, device=draw.device)
    return shift(x, y) @ matrix @ shift(back, back)


def lit(frames: Tensor, level: int, draw: Draw) -> tuple[Tensor, Tensor]:
    """Column and row, float [B], of a pixel of each frame [B, 3, h, w] that shows something."""
    count, _, height, width = frames.shape
    x, y = draw.integers(0, width, count, TRIES), draw.integers(0, height, count, TRIES)
    row = torch.arange(count, device=frames.device)[:, None]
    seen = frames[row, :, y, x].amax(-1) > level
    first = seen.byte().argmax(1, keepdim=True)
    return x.gather(1, first)[:, 0].float(), y.gather(1, first)[:, 0].float()


def sample(
    frames: Tensor, matrix: Tensor, height: int, width: int, outside: Literal["zeros", "border", "reflection"] = "zeros"
) -> Tensor:
    """Bilinear: float [B, C, h, w] → [B, C, height, width]; 0, the nearest edge or the mirrored frame outside."""
    there = _pixels(matrix, height, width)
    size = torch.tensor([frames.shape[3], frames.shape[2]], device=frames.device)
    grid = (2 * there + 1) / size - 1
    return F.grid_sample(frames, grid, mode="bilinear", padding_mode=outside, align_corners=False)


def inside(matrix: Tensor, height: int, width: int) -> Tensor:
    """Whether an output pixel comes from within a frame of this size; float [B, 1, height, width]."""
    there = _pixels(matrix, height, width)
    x, y = there[..., 0], there[..., 1]
    return ((x > -0.5) & (x < width - 0.5) & (y > -0.5) & (y < height - 0.5))[:, None].float()


def _pixels(matrix: Tensor, height: int, width: int) -> Tensor:
    """Of each output pixel its place in the frame; [B, height, width, 2]."""
    y, x = torch.meshgrid(
        torch.arange(height, device=matrix.device, dtype=torch.float32),
        torch.arange(width, device=matrix.device, dtype=torch.float32),
        indexing="ij",
    )
    out: Tensor = torch.stack([x, y, torch.ones_like(x)], -1) @ matrix[:, None, :2].transpose(-1, -2)
    return out


def boxes(masks: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Left, top, right and bottom (exclusive), float [B], of each target [B, 1, h, w]; all 0 where there is none."""
    found = masks[:, 0] > 0.5
    out = []
    for axis in (1, 2):
        line = found.any(axis)
        length = line.shape[1]
        first = line.byte().argmax(1)
        last = length - line.flip(1).byte().argmax(1)
        some = line.any(1)
        out.append((first * some, last * some))
    (left, right), (top, bottom) = out
    return left.float(), top.float(), right.float(), bottom.float()


def beside(masks: Tensor, where: Tensor) -> tuple[Tensor, Tensor]:
    """Frame pixel → pixel of the largest part beside the target, enlarged to the frame; and for which frames.

    As :class:`edgeseg.data.augmentation.RandNegative`: under a third of a side there is too little left.

    Args:
        masks: float {0, 1} [B, 1, h, w].
        where: bool [B], the frames that are to be so changed.
    """
    height, width = masks.shape[2:]
    left, top, right, bottom = boxes(masks)
    nought, full_x, full_y = torch.zeros_like(left), torch.full_like(left, width), torch.full_like(left, height)
    parts = torch.stack(
        [
            torch.stack([nought, nought, left, full_y], -1),
            torch.stack([right, nought, full_x, full_y], -1),
            torch.stack([nought, nought, full_x, top], -1),
            torch.stack([nought, bottom, full_x, full_y], -1),
        ],
        1,
    )
    across, down = parts[..., 2] - parts[..., 0], parts[..., 3] - parts[..., 1]
    best = (across * down).argmax(1)
    row = torch.arange(len(best), device=best.device)
    x, y, across, down = parts[row, best, 0], parts[row, best, 1], across[row, best], down[row, best]
    where = where & (right > 0) & (across * 3 >= width) & (down * 3 >= height)
    # The outermost pixels' middles become the frame's: half a pixel more would let the target's rim in.
    matrix = shift(x, y) @ scale((across - 1) / max(1, width - 1), (down - 1) / max(1, height - 1))
    return chosen(where, matrix), where


def nearer(masks: Tensor, where: Tensor, draw: Draw) -> Tensor:
    """Frame pixel → pixel of a part around the target, enlarged to the frame.

    As :class:`edgeseg.data.augmentation.RandNear`.

    Args:
        masks: float {0, 1} [B, 1, h, w].
        where: bool [B], the frames that are to be so changed.
        draw: of how near, and of where in the part the target stands.
    """
    height, width = masks.shape[2:]
    count = len(masks)
    left, top, right, bottom = boxes(masks)
    factor = (draw.uniform(0, 1, count) * math.log(NEAREST)).exp()
    for side, length in ((right - left, width), (bottom - top, height)):
        factor = torch.minimum(factor, length / (KEPT * side.clamp(min=1)))
    factor = factor.clamp(min=1)
    corner = []
    for low, high, length in ((left, right, width), (top, bottom, height)):
        part = length / factor
        at = (low + high) / 2 + part * (draw.uniform(-0.25, 0.25, count) - 0.5)
        corner.append(torch.minimum(at.clamp(min=0), length - part) + 0.5 / factor - 0.5)
    matrix = shift(*corner) @ scale(1 / factor, 1 / factor)
    return chosen(where & (right > 0), matrix)
