"""Light, colour and optics of a batch: float frames [B, 3, h, w], 0 to 255; see :mod:`edgeseg.data.augmentation`."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn import functional as F

from edgeseg.data.batch.draw import Draw

BLUR = (0.3, 2.0)
BLOBS = (2, 15)
# A blob's half axes reach 5 pixels, its soft edge a little more.
STAMP = 7


def colour(frames: Tensor, gain: float, tint: float, draw: Draw) -> Tensor:
    """Gain of the whole frame, gains of single channels, and a pull towards or away from grey."""
    count = len(frames)
    gains = 1 + draw.uniform(-gain, gain, count, 1, 1, 1) + draw.uniform(-tint, tint, count, 3, 1, 1)
    grey = frames.mean(1, keepdim=True)
    return (grey + (frames - grey) * (1 + draw.uniform(-tint, tint, count, 1, 1, 1))) * gains


def gamma(frames: Tensor, limit: float, draw: Draw) -> Tensor:
    """255·(v/255)^γ of half of the frames, γ evenly in the logarithm from 1/(1 + limit) to 1 + limit."""
    count = len(frames)
    power = (draw.uniform(-1, 1, count) * math.log1p(limit)).exp()
    power = torch.where(draw.chance(0.5, count), power, torch.ones_like(power))
    return 255 * (frames / 255).clamp(0, 1) ** power[:, None, None, None]


def shade(frames: Tensor, limit: float, draw: Draw) -> Tensor:
    """Times exp(a·x + b·y + c·(x² + y² - 2/3)), x and y from -1 to 1; a, b, c evenly from -limit to limit."""
    count, _, height, width = frames.shape
    y, x = (torch.linspace(-1, 1, size, device=frames.device) for size in (height, width))
    a, b, c = (draw.uniform(-limit, limit, count, 1) for _ in range(3))
    across, down = (a * x + c * (x * x - 1 / 3)).exp(), (b * y + c * (y * y - 1 / 3)).exp()
    return frames * across[:, None, None, :] * down[:, None, :, None]


def highlights(frames: Tensor, share: float, draw: Draw) -> Tensor:
    """Small blown-out ellipses with soft edges on this share of the frames."""
    count, _, height, width = frames.shape
    number = BLOBS[1]
    some = draw.integers(BLOBS[0], BLOBS[1] + 1, count, 1) > torch.arange(number, device=draw.device)
    some = some & draw.chance(share, count)[:, None]
    x, y = draw.integers(0, width, count, number), draw.integers(0, height, count, number)
    across, down = draw.uniform(1, 6, count, number, 1), draw.uniform(1, 6, count, number, 1)
    angle = draw.uniform(0, math.pi, count, number, 1)
    offset = torch.arange(-STAMP, STAMP + 1, device=draw.device)
    dy, dx = (one.flatten() for one in torch.meshgrid(offset, offset, indexing="ij"))
    u, v = dx * angle.cos() + dy * angle.sin(), dy * angle.cos() - dx * angle.sin()
    radius = ((u / across) ** 2 + (v / down) ** 2).sqrt()
    # From full light inside to none outside within about two pixels.
    stamp = ((1 - radius) * torch.minimum(across, down) / 2 + 0.5).clamp(0, 1) * some[..., None]
    column, row = x[..., None] + dx, y[..., None] + dy
    within = (column >= 0) & (column < width) & (row >= 0) & (row < height)
    place = (row.clamp(0, height - 1) * width + column.clamp(0, width - 1)).flatten(1)
    glare = torch.zeros(count, height * width, device=frames.device)
    glare = glare.scatter_reduce(1, place, (stamp * within).flatten(1), "amax").view(count, 1, height, width)
    return frames + glare * (255 - frames)


def smooth(frames: Tensor, sigma: Tensor, widest: float, sigma_y: Tensor | None = None) -> Tensor:
    """Gaussian with an own σ (pixels, at most ``widest``) for each frame; σ 0 leaves it as it is.

    Args:
        frames: float [B, C, h, w].
        sigma: float [B], along x, and along y where ``sigma_y`` is None.
        widest: sets the kernel's reach, 3 · widest.
        sigma_y: float [B].
    """
    count, channels, height, width = frames.shape
    reach = max(1, math.ceil(3 * widest))
    offset = torch.arange(-reach, reach + 1, device=frames.device, dtype=torch.float32)

    def kernel(one: Tensor) -> Tensor:
        weight = (-0.5 * (offset / one.clamp(min=1e-3)[:, None]) ** 2).exp()
        return (weight / weight.sum(1, keepdim=True)).repeat_interleave(channels, 0)[:, None]

    flat = F.pad(frames.reshape(1, count * channels, height, width), (reach,) * 4, mode="replicate")
    flat = F.conv2d(flat, kernel(sigma)[:, :, None, :], groups=count * channels)
    flat = F.conv2d(flat, kernel(sigma if sigma_y is None else sigma_y)[..., None], groups=count * channels)
    return flat.view(frames.shape)


def blur(frames: Tensor, share: float, draw: Draw) -> Tensor:
    """Out of focus or moved, this share of the frames."""
    some = draw.chance(share, len(frames)).float()
    x, y = (draw.uniform(*BLUR, len(frames)) * some for _ in range(2))
    return smooth(frames, x, BLUR[1], y)


def noise(frames: Tensor, limit: float, draw: Draw) -> Tensor:
    """Gaussian noise of up to limit · 255 grey levels on three frames of ten."""
    count = len(frames)
    deviation = draw.uniform(0, 255 * limit, count) * draw.chance(0.3, count)
    return frames + deviation[:, None, None, None] * draw.normal(frames.shape)
