"""The frames of a training on its GPU: kept there as uint8, drawn and augmented there, whole batches at once.

A GPU takes a batch of a small network in milliseconds; processes that augment frame by frame keep it waiting.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from edgeseg.data.batch.augment import augment
from edgeseg.data.batch.draw import Draw

if TYPE_CHECKING:
    from edgeseg.train.frames import Frames


class DeviceFrames:
    """All fitted frames of a :class:`Frames` on one device.

    Args:
        frames: fitted, in memory.
        device: where the training runs.
    """

    def __init__(self, frames: Frames, device: torch.device) -> None:
        pairs = [frames.cache[index] for index in range(len(frames.names))]
        self.frames = torch.from_numpy(np.stack([frame for frame, _ in pairs])).to(device)
        self.masks = torch.from_numpy(np.stack([mask for _, mask in pairs])).to(device)
        self.settings, self.patch, self.level = frames.settings, frames.patch, frames.level
        self.seed, self.patches, self.device = frames.seed, frames.patches, device

    def batches(self, size: int, epoch: int, *, shuffle: bool) -> DeviceBatches:
        """The batches of an epoch, in an order and with draws from (seed, epoch) alone."""
        return DeviceBatches(self, size, epoch, shuffle=shuffle)


class DeviceBatches:
    """Pairs of frames uint8 [B, h, w, 3] and class indexes uint8 [B, h, w]; training leaves out a last part batch."""

    def __init__(self, source: DeviceFrames, size: int, epoch: int, *, shuffle: bool) -> None:
        self._source, self._size, self._shuffle = source, size, shuffle
        # Two seeds: were the order drawn by the generator of the augmentation, both would follow each other.
        self._seeds = np.random.SeedSequence((source.seed, epoch)).generate_state(2).tolist()

    def __len__(self) -> int:
        count = len(self._source.frames) * self._source.patches
        return count // self._size if self._shuffle else -(-count // self._size)

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        source = self._source
        count = len(source.frames) * source.patches
        order = torch.arange(count)
        if self._shuffle:
            order = torch.randperm(count, generator=torch.Generator().manual_seed(self._seeds[0]))
        order = (order // source.patches).to(source.device)
        draw = Draw(source.device, self._seeds[1])
        for number in range(len(self)):
            index = order[number * self._size : (number + 1) * self._size]
            yield augment(source.frames, source.masks, index, source.settings, source.patch, source.level, draw)
