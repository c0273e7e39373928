"""Losses by name, on logits without the background channel."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import torch
from monai.losses import DiceCELoss, DiceFocalLoss, DiceLoss
from torch import Tensor
from torch.nn import functional as F

Loss = Callable[[Tensor, Tensor], Tensor]


def build(name: str, positive_weight: float = 1.0) -> Loss:
    """A loss of logits float [B, classes − 1, h, w] and class indexes [B, h, w].

    Args:
        name: "ce" (cross-entropy), "dice_ce" or "dice_focal" (MONAI's, Dice over the whole batch, equal parts),
            "frame_dice_ce" (Dice of each frame apart, see :func:`frame_dice`, and cross-entropy, equal parts),
            "every_frame_dice_ce" (the same, and false masks where there is no target, see :func:`false_mask`).
        positive_weight: weight of target pixels against background in cross-entropy.
    """

    def ce(logits: Tensor, truth: Tensor) -> Tensor:
        if logits.shape[1] == 1:
            weight = logits.new_tensor(positive_weight)
            return F.binary_cross_entropy_with_logits(logits[:, 0], truth.float(), pos_weight=weight)
        weights = logits.new_full((logits.shape[1] + 1,), positive_weight)
        weights[0] = 1.0
        return F.cross_entropy(_with_background(logits), truth.long(), weight=weights)

    if name == "ce":
        return ce
    if name == "frame_dice_ce":
        return lambda logits, truth: frame_dice(logits, truth) + ce(logits, truth)
    if name == "every_frame_dice_ce":
        return lambda logits, truth: every_frame_dice(logits, truth) + ce(logits, truth)
    made: dict[tuple[str, bool], torch.nn.Module] = {}

    def mixed(logits: Tensor, truth: Tensor) -> Tensor:
        single = logits.shape[1] == 1
        if (name, single) not in made:
            made[name, single] = _monai(name, positive_weight, single=single).to(logits.device)
        if single:
            out: Tensor = made[name, single](logits, truth[:, None].float())
        else:
            out = made[name, single](_with_background(logits), truth[:, None])
        return out

    return mixed


def frame_dice(logits: Tensor, truth: Tensor) -> Tensor:
    """1 − soft Dice, the mean over frames and their classes, the background not among them; 0 where there is no target.

    Mean Dice is reported over frames, so a small target counts as a large one. What a frame does not show has no
    Dice: of such frames cross-entropy alone tells.
    """
    each, there = _dice_of_each(logits, truth)
    return (each * there).sum() / there.sum().clamp(min=1)


def every_frame_dice(logits: Tensor, truth: Tensor) -> Tensor:
    """1 − soft Dice where a frame shows a class, :func:`false_mask` where it does not: the mean over both.

    So a frame without a target, on which any mask takes the reported Dice from 1 to 0, counts as much as one with.
    """
    each, there = _dice_of_each(logits, truth)
    return torch.where(there, each, false_mask(logits)).mean()


def false_mask(logits: Tensor) -> Tensor:
    """How much of a frame is marked, from 0 to 1, [B, classes − 1]: p / (p + 0.005), p the mean probability of a class.

    Soft Dice without a target is 1 for any mask and tells no direction; this falls from a mask of half a per cent of
    the frame on, steeply.
    """
    single = logits.shape[1] == 1
    probability = torch.sigmoid(logits) if single else torch.softmax(_with_background(logits), 1)[:, 1:]
    share = probability.flatten(2).mean(2)
    return share / (share + 0.005)


def _dice_of_each(logits: Tensor, truth: Tensor) -> tuple[Tensor, Tensor]:
    """1 − soft Dice of each frame and class (the background is none), and whether it is there: [B, classes − 1]."""
    single = logits.shape[1] == 1
    each: Tensor = _each_dice(single=single)(logits if single else _with_background(logits), truth[:, None]).flatten(1)
    marks = [truth > 0] if single else [truth == index for index in range(1, logits.shape[1] + 1)]
    return each, torch.stack([one.flatten(1).any(1) for one in marks], 1)


@functools.cache
def _each_dice(*, single: bool) -> DiceLoss:
    return DiceLoss(
        include_background=single, sigmoid=single, softmax=not single, to_onehot_y=not single, reduction="none"
    )


def _monai(name: str, weight: float, *, single: bool) -> torch.nn.Module:
    kind: dict[str, Any] = {"sigmoid": True} if single else {"softmax": True, "to_onehot_y": True}
    # Dice over the whole batch: a frame without target would otherwise pull towards nothing anywhere.
    if name == "dice_ce":
        return DiceCELoss(**kind, batch=True, weight=torch.tensor(weight) if single else None)
    return DiceFocalLoss(**kind, batch=True, gamma=2.0)


def _with_background(logits: Tensor) -> Tensor:
    """The implicit background logit of 0 in front, as :func:`edgeseg.nets.frame.activate` has it."""
    return torch.cat([torch.zeros_like(logits[:, :1]), logits], 1)
