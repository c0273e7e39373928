"""The probability's level: after a loss that weighs targets more, or fewer targets than in the field."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from edgeseg.errors import UsageError

if TYPE_CHECKING:
    from edgeseg.nets.frame import FrameNet
    from edgeseg.train.frames import Frames

# Halvings of the span in which the bias is looked for: 40 / 2^30 is far below a float32's step there.
HALVINGS = 30


def level_of(net: FrameNet) -> Tensor:
    """The last layer's bias of a network for one class: the level of its logits.

    Raises:
        UsageError: the network has another kind of last layer, no bias in it, or several classes.
    """
    head = getattr(net.net, "head", None)
    if not isinstance(head, nn.Conv2d) or head.bias is None or head.out_channels != 1:
        raise UsageError("the recipe's centre = true needs one class and a network whose last layer has a bias")
    return head.bias


def centre(net: FrameNet, frames: Frames) -> float:
    """Moves the last bias until the mean probability of the validation frames is their share of target pixels.

    The order of the pixels, so AUC and what any threshold's counterpart gives, stays as it is.

    Args:
        net: trained; changed in place.
        frames: labelled, not augmented.

    Returns:
        What was added to the logits.

    Raises:
        UsageError: as :func:`level_of`.
    """
    level = level_of(net)
    net.eval()
    with torch.no_grad():
        pairs = [frames[index] for index in range(len(frames))]
        logits = torch.cat([net.logits(frame[None]).double().flatten() for frame, _ in pairs])
        share = torch.cat([(truth > 0).double().flatten() for _, truth in pairs]).mean()
        low, high = -20.0, 20.0
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            if torch.sigmoid(logits + middle).mean() < share:
                low = middle
            else:
                high = middle
        level.add_(low)
    return low
