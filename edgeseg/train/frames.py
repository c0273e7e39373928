"""Labelled frames as training sees them: fitted once by ``edgeseg/fit.py``, kept as uint8, augmented on the way out."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from monai.data import CacheDataset, set_track_meta
from monai.transforms import Compose, Transform
from numpy.typing import NDArray
from torch import Tensor
from torch.utils.data import DataLoader, Dataset, Sampler

from edgeseg import fit, steps
from edgeseg.data import augmentation
from edgeseg.data import patches as patching
from edgeseg.data.dataset import Pair, read_pair
from edgeseg.data.paste import pasted
from edgeseg.errors import EdgesegError

if TYPE_CHECKING:
    from edgeseg.manifest import Frame
    from edgeseg.train.recipe import Augmentation

set_track_meta(False)


class FitPair(Transform):
    """Reads a pair and fits both: frame uint8 [h, w, 3], mask uint8 {0, 1} [h, w]."""

    def __init__(self, frame: Frame) -> None:
        self.frame = frame

    def __call__(self, pair: Pair) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
        image, mask = read_pair(pair)
        return fit_pair(image, mask, self.frame)


def fit_pair(
    image: NDArray[np.uint8], mask: NDArray[np.uint8], frame: Frame
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Fits frame and mask alike; the mask's edge is cut at one half."""
    box = fit.content_box(image, frame.fit.content_level) if frame.fit.region == "content" else None
    placement = fit.place(image.shape[0], image.shape[1], frame, box)
    fitted = steps.network_input(image, placement, frame)
    return fitted, (fit.fit(mask * np.uint8(255), placement, 0) > 127).astype(np.uint8)


class Frames(Dataset[tuple[Tensor, Tensor]]):
    """Fitted frames in memory, uint8.

    Sample i of an epoch is augmented by a draw from (seed, epoch, i) alone, so that a resumed training sees
    what an unbroken one would have seen.
    """

    def __init__(
        self,
        pairs: Sequence[Pair],
        frame: Frame,
        settings: Augmentation | None = None,
        seed: int = 0,
        *,
        patch: int = 0,
        patches: int = 1,
    ) -> None:
        show = sys.stderr.isatty()
        try:
            self.cache = CacheDataset(list(pairs), FitPair(frame), num_workers=2, progress=show, copy_cache=False)
        except RuntimeError as error:
            if isinstance(error.__cause__, EdgesegError):  # MONAI wraps what its transforms raise
                raise error.__cause__ from None
            raise
        self.names = [pair.stem for pair in pairs]
        self.seed, self.epoch = seed, 0
        self.patch, self.patches, self.settings, self.level = patch, patches, settings, frame.fit.content_level
        if settings and patch:  # the geometry is then the patch's
            still = {"flip": False, "rotate": 0.0, "stretch": 0.0, "shift": 0.0, "zoom_in": 0.0, "zoom_out": 0.0}
            self.transform = augmentation.build(settings.model_copy(update=still), patch, patch)
        else:
            self.transform = augmentation.build(settings, frame.height, frame.width) if settings else Compose([])

    def some(self, count: int) -> Iterator[Tensor]:
        """At most so many frames evenly from all, as fitted, in batches uint8 [B, h, w, 3] of up to 8."""
        total = len(self.names)
        chosen = np.linspace(0, total - 1, min(count, total)).round().astype(int)
        for first in range(0, len(chosen), 8):
            yield torch.from_numpy(np.stack([self.cache[index][0] for index in chosen[first : first + 8]]))

    def __len__(self) -> int:
        return len(self.names) * self.patches

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        frame, mask = self.cache[index // self.patches]
        if self.patch and self.settings:
            rng = np.random.default_rng((self.seed, self.epoch, index, self.patch))
            frame, target = patching.draw(frame, mask * np.uint8(255), self.patch, self.settings, self.level, rng)
            # The mask's edge is interpolated and cut at one half, as where frames are fitted.
            mask = (target > 127).astype(np.uint8)
        if self.settings and self.settings.paste:
            rng = np.random.default_rng((self.seed, self.epoch, index, 0))
            read = self.cache.__getitem__
            frame, mask = pasted(frame, mask, self.settings.paste, len(self.names), read, self.level, rng)
        if self.transform.transforms:
            frame, mask = self._augment(frame, mask, index)
        return torch.from_numpy(frame), torch.from_numpy(mask)

    def _augment(self, frame: Any, mask: Any, index: int) -> tuple[NDArray[np.uint8], NDArray[np.generic]]:
        draw = np.random.SeedSequence((self.seed, self.epoch, index)).generate_state(1)[0]
        self.transform.set_random_state(seed=int(draw))
        sample = {"frame": frame.transpose(2, 0, 1).astype(np.float32), "mask": mask[None].astype(np.float32)}
        out = self.transform(sample)
        image = np.clip(np.asarray(out["frame"]) + 0.5, 0, 255).astype(np.uint8)
        target = np.asarray(out["mask"])[0]
        return np.ascontiguousarray(image.transpose(1, 2, 0)), (target > 0.5).astype(np.uint8)

    def loader(self, batch: int, epoch: int, *, shuffle: bool) -> DataLoader[tuple[Tensor, Tensor]]:
        """The batches of an epoch, in an order drawn from (seed, epoch) alone."""
        self.epoch = epoch
        order = EpochOrder(len(self), self.seed * 1_000_003 + epoch, shuffle=shuffle)
        # Augmentation runs beside the training step; without it a second process would only cost.
        workers = 1 if self.transform.transforms or self.patch else 0
        return DataLoader(self, batch, sampler=order, num_workers=workers, drop_last=shuffle)


class EpochOrder(Sampler[int]):
    """The order of an epoch, the same each time it is asked for.

    Lightning begins some epochs twice, which would draw a second order from a generator, but not after a resume.
    """

    def __init__(self, length: int, seed: int, *, shuffle: bool) -> None:
        self._length, self._seed, self._shuffle = length, seed, shuffle

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[int]:
        if not self._shuffle:
            return iter(range(self._length))
        generator = torch.Generator().manual_seed(self._seed)
        return iter(torch.randperm(self._length, generator=generator).tolist())
