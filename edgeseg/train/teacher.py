"""Learning from a larger network: its probability and its features, seen on the frames of the training itself."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgeseg.manifest import Manifest
from edgeseg.nets.frame import FrameNet

# A size that every network takes, to ask how many channels a layer gives.
PROBE = 64


@dataclass(frozen=True)
class Teacher:
    """A trained network and what its run says of itself."""

    net: FrameNet
    manifest: Manifest


class Lessons(nn.Module):
    """What a teacher adds to a student's loss.

    The probability: cross-entropy against the teacher's (Hinton, Vinyals and Dean 2015). The hint: a 1×1 convolution of
    the student's features shall give the teacher's, each channel of which is normalised first (FitNets, Romero et
    al., ICLR 2015); mean squared error. Both networks' ``hint`` names the layers whose features are meant.
    The convolution is trained beside the student and then dropped.

    The teacher is no submodule: it is neither trained nor averaged, and not in the checkpoint.

    Args:
        student: to be trained; its network has a ``hint`` if ``hint`` is not 0.
        teacher: trained, of one class as the student; likewise.
        share: of the teacher's probability in the loss, 0 to 1; the rest is the label's.
        hint: weight of the features' error, beside a loss of about 1.

    Raises:
        ValueError: a hint is asked for, and a network has none.
    """

    def __init__(self, student: FrameNet, teacher: FrameNet, share: float, hint: float) -> None:
        super().__init__()
        self.share, self.hint = share, hint
        self._teacher = [teacher.eval().requires_grad_(requires_grad=False)]
        self.layers: list[tuple[str, ...]] = []
        if hint:
            counts = []
            for net in (student, teacher):
                names = tuple(getattr(net.net, "hint", ()))
                if not names:
                    raise ValueError(f"{type(net.net).__name__} has no `hint`; set hint = 0 in the recipe")
                self.layers.append(names)
                counts.append(sum(channels(net, names)))
            self.translate = nn.Conv2d(counts[0], counts[1], 1)
            self.normalise = nn.BatchNorm2d(counts[1], affine=False)

    def forward(self, student: FrameNet, frames: Tensor) -> tuple[Tensor, Tensor]:
        """Frames uint8 [B, h, w, 3] → the student's logits [B, 1, h, w], and what the teacher adds to the loss."""
        (teacher,) = self._teacher
        if next(teacher.parameters()).device != frames.device:
            teacher.to(frames.device)
        mine, its = self.layers or ((), ())
        with torch.no_grad(), watched(teacher.net, its) as there:
            said = torch.sigmoid(teacher.logits(frames).float())
        with watched(student.net, mine) as here:
            logits = student.logits(frames).float()
        added = self.share * F.binary_cross_entropy_with_logits(logits, said)
        if self.hint:
            features = _joined(here, mine)
            wanted = self.normalise(_joined(there, its, features.shape[2:]).float())
            added = added + self.hint * F.mse_loss(self.translate(features).float(), wanted)
        return logits, added


@contextmanager
def watched(net: nn.Module, names: Sequence[str]) -> Iterator[dict[str, Tensor]]:
    """While it lasts, what the named layers of a network put out is kept by their names."""
    seen: dict[str, Tensor] = {}

    def keep(name: str) -> Any:
        def hook(_module: nn.Module, _inputs: Any, output: Tensor) -> None:
            seen[name] = output

        return hook

    handles = [net.get_submodule(name).register_forward_hook(keep(name)) for name in names]
    try:
        yield seen
    finally:
        for handle in handles:
            handle.remove()


def _joined(seen: dict[str, Tensor], names: Sequence[str], size: Sequence[int] | None = None) -> Tensor:
    """Features of all layers at one size: the given, else the last layer's; [B, C, h, w]."""
    to = tuple(size or seen[names[-1]].shape[2:])
    maps = [seen[name] for name in names]
    resized = [one if one.shape[2:] == to else F.interpolate(one, to, mode="bilinear") for one in maps]
    return torch.cat(resized, 1)


def channels(net: FrameNet, names: Sequence[str]) -> list[int]:
    """How many channels each of the named layers of a network puts out."""
    training = net.training
    frame = torch.zeros(1, PROBE, PROBE, 3, dtype=torch.uint8)
    with torch.no_grad(), watched(net.net, names) as seen:
        net.eval().logits(frame)
    net.train(training)
    return [seen[name].shape[1] for name in names]
