"""What recorders and optics leave of a batch: JPEG, holes, black borders; float frames [B, 3, h, w], 0 to 255."""

from __future__ import annotations

import math
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from edgeseg.data.batch.draw import Draw

QUALITY = (30, 96)
HOLES = 4
HOLE = (16, 65)

# Quantisation of luminance and chrominance at quality 50 (ITU-T T.81, tables K.1 and K.2).
LUMINANCE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
CHROMINANCE = (
    (17, 18, 24, 47, 99, 99, 99, 99),
    (18, 21, 26, 66, 99, 99, 99, 99),
    (24, 26, 56, 99, 99, 99, 99, 99),
    (47, 66, 99, 99, 99, 99, 99, 99),
    *((99,) * 8,) * 4,
)
# B, G, R → Y, Cb, Cr (JFIF).
TO_YCC = ((0.114, 0.587, 0.299), (0.5, -0.331264, -0.168736), (-0.081312, -0.418688, 0.5))


@cache
def _matrices(device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
    """The orthonormal 8×8 DCT, and colours to and from luminance and chrominance; made once for a device."""
    k, n = torch.arange(8.0)[:, None], torch.arange(8.0)[None]
    dct = torch.cos(math.pi * (2 * n + 1) * k / 16) / 2
    dct[0] /= math.sqrt(2)
    to = torch.tensor(TO_YCC)
    return dct.to(device), to.to(device), torch.linalg.inv(to).to(device)


def jpeg(frames: Tensor, share: float, draw: Draw) -> Tensor:
    """This share of the frames as from a JPEG file of quality 30 to 95 with halved colour, as OpenCV writes it."""
    count = len(frames)
    some = draw.chance(share, count)[:, None, None, None]
    quality = draw.integers(*QUALITY, count).float()
    return torch.where(some, through_jpeg(frames, quality), frames)


def through_jpeg(frames: Tensor, quality: Tensor) -> Tensor:
    """Frames [B, 3, h, w], 0 to 255, coded and decoded at the given qualities, float [B], 1 to 100."""
    height, width = frames.shape[2:]
    dct, to, back = _matrices(frames.device)
    # libjpeg's scale of the tables.
    factor = torch.where(quality < 50, 50 / quality, 2 - quality / 50)[:, None, None, None]
    rounded = frames.clamp(0, 255).round()
    padded = F.pad(rounded, (0, -width % 16, 0, -height % 16), mode="replicate")
    ycc = torch.einsum("oc,bchw->bohw", to, padded)
    y = _coded(ycc[:, :1] - 128, LUMINANCE, factor, dct)
    c = _coded(F.avg_pool2d(ycc[:, 1:], 2), CHROMINANCE, factor, dct)
    c = F.interpolate(c, scale_factor=2.0, mode="bilinear", align_corners=False)
    out = torch.einsum("oc,bchw->bohw", back, torch.cat([y + 128, c], 1))
    return out[:, :, :height, :width].clamp(0, 255)


def _coded(planes: Tensor, table: tuple[tuple[int, ...], ...], factor: Tensor, dct: Tensor) -> Tensor:
    """Each 8×8 block through DCT, quantisation and back; [B, C, h, w]."""
    count, channels, height, width = planes.shape
    steps = (torch.tensor(table, dtype=torch.float32, device=planes.device) * factor).round().clamp(1, 255)
    blocks = planes.view(count, channels, height // 8, 8, width // 8, 8).transpose(3, 4)
    steps = steps[:, :, None, None]
    kept = ((dct @ blocks @ dct.T) / steps).round() * steps
    return (dct.T @ kept @ dct).transpose(3, 4).reshape(planes.shape)


def cutout(frames: Tensor, share: float, draw: Draw) -> Tensor:
    """One to four rectangles, sides 16 to 64 pixels, of noise between a frame's extremes, on this share of frames."""
    count, _, height, width = frames.shape
    number = draw.integers(1, HOLES + 1, count, 1) > torch.arange(HOLES, device=draw.device)
    number = number & draw.chance(share, count)[:, None]
    x, y = _columns_and_rows(height, width, frames.device)
    across, down = (draw.integers(*HOLE, count, HOLES).float() for _ in range(2))
    left = draw.uniform(0, 1, count, HOLES) * (width - across).clamp(min=0)
    top = draw.uniform(0, 1, count, HOLES) * (height - down).clamp(min=0)
    hole = torch.zeros(count, height, width, dtype=torch.bool, device=frames.device)
    for index in range(HOLES):
        a, b, c, d = (one[:, index, None, None] for one in (left, top, across, down))
        hole |= (x >= a) & (x < a + c) & (y >= b) & (y < b + d) & number[:, index, None, None]
    low, high = frames.amin((1, 2, 3), keepdim=True), frames.amax((1, 2, 3), keepdim=True)
    return torch.where(hole[:, None], low + (high - low) * draw.uniform(0, 1, *frames.shape), frames)


def border(frames: Tensor, masks: Tensor, share: float, draw: Draw) -> tuple[Tensor, Tensor]:
    """Black outside a rounded field of view or beside the picture, of this share; black is no target."""
    count, _, height, width = frames.shape
    x, y = _columns_and_rows(height, width, frames.device)

    def each(low: float, high: float) -> Tensor:
        return draw.uniform(low, high, count, 1, 1)

    radius = each(0.5, 0.62) * math.hypot(height, width)
    round_one = (x - width * each(0.45, 0.55)) ** 2 + (y - height * each(0.45, 0.55)) ** 2 <= radius**2
    straight = (x >= width * each(0, 0.15)) & (x < width * (1 - each(0, 0.15)))
    straight = straight & (y >= height * each(0, 0.12)) & (y < height * (1 - each(0, 0.12)))
    seen = torch.where(draw.chance(0.5, count)[:, None, None], round_one, straight)
    seen = (seen | ~draw.chance(share, count)[:, None, None])[:, None]
    return frames * seen, masks * seen


def _columns_and_rows(height: int, width: int, device: torch.device) -> tuple[Tensor, Tensor]:
    return torch.arange(width, device=device)[None, None], torch.arange(height, device=device)[None, :, None]
