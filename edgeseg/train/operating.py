"""Where to cut the probability: measured on the validation frames, never on test."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from edgeseg import manifest as mf
from edgeseg.metrics import count
from edgeseg.operating import choose, count_pixels, point
from edgeseg.postprocess import mask_of
from edgeseg.train.device import ask

if TYPE_CHECKING:
    from edgeseg.nets.frame import FrameNet
    from edgeseg.train.frames import Frames
    from edgeseg.train.recipe import Recipe

Histograms = NDArray[np.int64]
# Least areas to choose from: shares of the class's pixels in the frame.
AREAS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.2)


def histograms(net: FrameNet, frames: Frames, classes: int) -> Histograms:
    """Pixels of all frames by class, truth (0 other, 1 the class) and uint8 probability: int64 [classes, 2, 256]."""
    out = np.zeros((classes, 2, 256), np.int64)
    net.eval()
    for frame, truth in (frames[index] for index in range(len(frames))):
        count_pixels(out, ask(net, frame), truth.numpy())
    return out


def choose_area(net: FrameNet, frames: Frames, thresholds: list[int]) -> float:
    """The least area of ``AREAS`` with the largest mean Dice of the frames, over all classes together; 0 if equal."""
    dice = np.zeros((len(AREAS), len(frames)))
    net.eval()
    for column in range(len(frames)):
        frame, truth = frames[column]
        probability, target = ask(net, frame), truth.numpy() > 0
        for row, area in enumerate(AREAS):
            dice[row, column] = count(mask_of(probability, thresholds, area) > 0, target).figures()["dice"] or 0.0
    return AREAS[int(np.argmax(dice.mean(1)))]


def operating_points(
    net: FrameNet, frames: Frames, recipe: Recipe, data: str
) -> tuple[list[mf.Class], list[mf.OperatingPoint]]:
    """The recipe's classes with their thresholds, and how these were found.

    With ``threshold_rule`` "fixed" the recipe's own thresholds stay, and that of a class without a pixel in the frames.
    """
    rule = recipe.train.threshold_rule
    classes: list[mf.Class] = [recipe.classes[0]]
    points: list[mf.OperatingPoint] = []
    for one, histogram in zip(recipe.classes[1:], histograms(net, frames, len(recipe.classes) - 1), strict=True):
        how = rule if histogram[1].any() else "fixed"
        chosen = (one.threshold or 128) if how == "fixed" else choose(histogram, how)
        classes.append(one.model_copy(update={"threshold": chosen}))
        points.append(point(one.name, how, chosen, histogram, data, "val"))
    return classes, points
