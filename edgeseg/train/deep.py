"""Deep supervision: inner layers of a network say the mask themselves while it trains, and what says it is dropped."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgeseg.nets.frame import FrameNet
from edgeseg.train.losses import Loss
from edgeseg.train.teacher import channels


class Deep(nn.Module):
    """A 1×1 convolution on each inner layer, whose logits have the loss against the labels that the network's own have.

    After Lee et al., "Deeply-supervised nets", AISTATS 2015. They are trained beside the network and are no part of
    it: what is written and exported knows nothing of them.

    Args:
        net: its network names the layers in ``deep``.
        classes: without the background.

    Raises:
        ValueError: the network names none.
    """

    def __init__(self, net: FrameNet, classes: int) -> None:
        super().__init__()
        self.layers: tuple[str, ...] = tuple(getattr(net.net, "deep", ()))
        if not self.layers:
            raise ValueError(f"{type(net.net).__name__} has no `deep`; set deep = 0 in the recipe")
        counts = channels(net, self.layers)
        self.heads = nn.ModuleList(nn.Conv2d(count, classes, 1) for count in counts)

    def forward(self, seen: Mapping[str, Tensor], truth: Tensor, loss: Loss) -> Tensor:
        """Mean loss of the layers.

        Args:
            seen: features [B, C, h', w'] by layer, as :func:`edgeseg.train.teacher.watched` keeps them.
            truth: class indexes [B, h, w].
            loss: of logits float [B, classes, h, w] and truth.
        """
        said = [head(seen[name]).float() for name, head in zip(self.layers, self.heads, strict=True)]
        sized = [F.interpolate(one, truth.shape[1:], mode="bilinear", align_corners=False) for one in said]
        return torch.stack([loss(one, truth) for one in sized]).mean()
