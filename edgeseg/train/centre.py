"""The probability's level: after a loss that weighs targets more, or fewer targets than in the field."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from edgeseg.errors import DataError, UsageError

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


def target_share(frames: Frames, what: str = "centre = true") -> float:
    """Share of target pixels in labelled frames; ``what``: of the recipe needs them, for the error.

    Raises:
        DataError: there is none, or nothing else, so that no level would fit and there is no AUC.
    """
    shares = [float((frames[index][1] > 0).double().mean()) for index in range(len(frames))]
    share = sum(shares) / len(shares)
    if not 0 < share < 1:
        raise DataError(f"the recipe's {what} needs validation frames with and without target pixels; add some")
    return share


def centre(net: FrameNet, frames: Frames) -> float:
    """Moves the last bias until the mean probability of the validation frames is their share of target pixels.

    All logits move alike, so their order stays as it is; it can change by a little where a probability is resampled to
    another size afterwards.

    Args:
        net: trained; changed in place.
        frames: labelled, not augmented, all of one size.

    Returns:
        What was added to the logits.

    Raises:
        UsageError: as :func:`level_of`.
        DataError: as :func:`target_share`.
    """
    level, share = level_of(net), target_share(frames)
    net.eval()
    with torch.no_grad():
        each = (frames[index][0][None].to(net.mean.device) for index in range(len(frames)))
        logits = torch.cat([net.logits(frame).flatten() for frame in each])
        low, high = -20.0, 20.0
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            if torch.sigmoid(logits + middle).mean(dtype=torch.float64) < share:
                low = middle
            else:
                high = middle
        level.add_(low)
    return low
