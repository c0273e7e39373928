"""Random numbers of a batch, all from one generator on the batch's device."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor


class Draw:
    """Uniform and normal draws; the same seed gives the same numbers on the same kind of device.

    Args:
        device: of what is drawn.
        seed: of all draws.
    """

    def __init__(self, device: torch.device, seed: int) -> None:
        self.device = device
        self._generator = torch.Generator(device).manual_seed(seed)

    def uniform(self, low: float, high: float, *shape: int) -> Tensor:
        """float32 in [low, high)."""
        return low + (high - low) * torch.rand(shape, generator=self._generator, device=self.device)

    def normal(self, shape: Sequence[int]) -> Tensor:
        """float32, mean 0, deviation 1."""
        return torch.randn(tuple(shape), generator=self._generator, device=self.device)

    def integers(self, low: int, high: int, *shape: int) -> Tensor:
        """int64 in [low, high)."""
        return torch.randint(low, high, shape, generator=self._generator, device=self.device)

    def chance(self, share: float, count: int) -> Tensor:
        """Bool [count], each True with this probability."""
        return self.uniform(0, 1, count) < share

    def sign(self, count: int) -> Tensor:
        """float32 [count] of 1 and −1."""
        return 1.0 - 2.0 * self.chance(0.5, count)
