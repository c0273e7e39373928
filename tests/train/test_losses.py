"""Losses: against plain arithmetic, both ways of counting classes, and that they pull the right way."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from edgeseg.train import losses

NAMES = ["ce", "dice_ce", "dice_focal", "frame_dice_ce", "every_frame_dice_ce"]


def scene(classes: int) -> torch.Tensor:
    truth = torch.zeros(2, 12, 12, dtype=torch.uint8)
    for index in range(1, classes + 1):
        truth[:, 2 * index : 2 * index + 2, 3:9] = index
    return truth


@pytest.mark.parametrize("weight", [1.0, 3.0])
def test_cross_entropy_of_one_class(weight: float) -> None:
    logits, truth = torch.randn(2, 1, 12, 12), scene(1)
    p = torch.sigmoid(logits[:, 0])
    wanted = -(weight * truth * p.log() + (1 - truth.float()) * (1 - p).log()).mean()
    assert losses.build("ce", weight)(logits, truth) == pytest.approx(float(wanted), rel=1e-5)


def test_one_class_and_two_channels_mean_the_same() -> None:
    """The implicit background logit of 0 is that of activate(): sigmoid and softmax agree."""
    logits, truth = torch.randn(2, 1, 12, 12), scene(1)
    both = torch.cat([torch.zeros_like(logits), logits], 1)
    assert losses.build("ce")(logits, truth) == pytest.approx(float(F.cross_entropy(both, truth.long())), rel=1e-5)


@pytest.mark.parametrize("classes", [1, 2, 3])
@pytest.mark.parametrize("name", NAMES)
def test_loss_falls_on_the_way_to_the_truth(name: str, classes: int) -> None:
    truth = scene(classes)
    right = torch.full((2, classes, 12, 12), -8.0)
    for index in range(1, classes + 1):
        right[:, index - 1][truth == index] = 8.0
    loss = losses.build(name)
    values = [float(loss(right * share, truth)) for share in (-1.0, 0.0, 0.3, 1.0)]
    assert values == sorted(values, reverse=True)
    assert values[-1] < 0.1
    assert values[0] > 0.5


@pytest.mark.parametrize("classes", [1, 2])
@pytest.mark.parametrize("name", NAMES)
def test_gradients_are_finite_at_the_ends(name: str, classes: int) -> None:
    """Sure and wrong, sure and right, and frames without any target."""
    for truth in (scene(classes), torch.zeros(2, 12, 12, dtype=torch.uint8)):
        for value in (-60.0, 0.0, 60.0):
            logits = torch.full((2, classes, 12, 12), value, requires_grad=True)
            out = losses.build(name)(logits, truth)
            out.backward()
            assert math.isfinite(float(out.detach()))
            assert logits.grad is not None
            assert torch.isfinite(logits.grad).all()


@pytest.mark.parametrize("name", ["ce", "dice_ce", "frame_dice_ce", "every_frame_dice_ce"])
def test_positive_weight_pulls_towards_the_target(name: str) -> None:
    truth = scene(1)
    logits = torch.zeros(2, 1, 12, 12, requires_grad=True)
    pulls = []
    for weight in (1.0, 5.0):
        (grad,) = torch.autograd.grad(losses.build(name, weight)(logits, truth), logits)
        pulls.append(float(-grad[:, 0][truth > 0].mean()))
    assert pulls[1] > pulls[0] > 0


@pytest.mark.parametrize("classes", [1, 2])
def test_dice_of_frames_counts_a_small_target_as_a_large_one(classes: int) -> None:
    """The first target is found, the second, a hundredth as large, is not; the third frame has none and is marked."""
    truth = torch.zeros(3, 40, 40, dtype=torch.uint8)
    truth[0, 5:35, 5:35] = classes
    truth[1, 2:5, 2:5] = classes
    logits = torch.full((3, classes, 40, 40), -30.0)
    logits[0, -1][truth[0] > 0] = 30.0
    logits[2, 0, :9] = 30.0
    assert float(losses.frame_dice(logits, truth)) == pytest.approx(1 / 2, abs=1e-4)
    assert float(losses.frame_dice(logits[2:], truth[2:])) == 0


def test_dice_of_frames_is_the_mean_over_the_classes_that_are_there() -> None:
    truth = torch.zeros(2, 20, 20, dtype=torch.uint8)
    truth[0, 2:6, 2:6], truth[0, 10:18, 10:18], truth[1, 5:9, 5:9] = 1, 2, 2
    logits = torch.full((2, 2, 20, 20), -30.0)
    logits[0, 0][truth[0] == 1] = 30.0  # one of three found
    assert float(losses.frame_dice(logits, truth)) == pytest.approx(2 / 3, abs=1e-4)


@pytest.mark.parametrize("classes", [1, 2])
def test_a_false_mask_counts_as_a_frame_and_the_less_the_smaller(classes: int) -> None:
    truth = torch.zeros(2, 40, 40, dtype=torch.uint8)
    truth[0, 5:35, 5:35] = classes
    logits = torch.full((2, classes, 40, 40), -30.0)
    logits[0, -1][truth[0] > 0] = 30.0
    assert float(losses.every_frame_dice(logits, truth)) == pytest.approx(0, abs=1e-4)
    said = []
    for rows in (2, 10, 40):
        logits[1, 0, :rows] = 30.0
        share = rows / 40
        said.append(float(losses.every_frame_dice(logits, truth)))
        assert said[-1] == pytest.approx(share / (share + 0.005) / (2 * classes), abs=1e-4)
    assert said == sorted(said)


def test_a_false_mask_is_pulled_down_where_cross_entropy_hardly_pulls() -> None:
    """A mask of half a per cent of the frame: the pull on its pixels is many times that of cross-entropy."""
    truth = torch.zeros(1, 100, 100, dtype=torch.uint8)
    logits = torch.full((1, 1, 100, 100), -12.0)
    logits[0, 0, :5, :10] = 1.0
    logits.requires_grad_()
    pulls = [
        float(torch.autograd.grad(losses.build(name)(logits, truth), logits)[0][0, 0, :5, :10].mean())
        for name in ("frame_dice_ce", "every_frame_dice_ce")
    ]
    assert pulls[1] > 10 * pulls[0] > 0
