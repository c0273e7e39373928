"""Curves and contact sheets of a run, as PNG."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from edgeseg.atomic import atomic_path
from edgeseg.pictures import compare_tile, sheet, write_png
from edgeseg.train.device import ask

if TYPE_CHECKING:
    from edgeseg.nets.frame import FrameNet
    from edgeseg.train.frames import Frames
    from edgeseg.train.recipe import Recipe


def curves(rows: list[dict[str, float]], file: Path) -> None:
    """Loss and validation figures over the epochs."""
    import matplotlib as mpl

    mpl.use("Agg")
    from matplotlib import pyplot as plt

    epochs = [row["epoch"] for row in rows]
    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4), layout="constrained")
    for key, label in (("train_loss", "training"), ("val_loss", "validation")):
        left.plot(epochs, [row.get(key, np.nan) for row in rows], label=label)
    left.set(xlabel="epoch", ylabel="loss", yscale="log")
    left.legend()
    for key, label in (("val_dice", "Dice, mean over images"), ("val_iou", "IoU, pooled")):
        right.plot(epochs, [row[key] for row in rows], label=label)
    right.set(xlabel="epoch", ylabel="validation", ylim=(0, 1))
    right.legend(loc="lower right")
    for axis in (left, right):
        axis.grid(alpha=0.3)
    with atomic_path(file) as temporary:
        figure.savefig(temporary, dpi=110)
    plt.close(figure)


def predictions(net: FrameNet, frames: Frames, recipe: Recipe, file: Path, number: int = 12) -> None:
    """Validation frames with truth (green) and prediction (orange) outlined."""
    picks = np.linspace(0, len(frames) - 1, min(number, len(frames))).round().astype(int)
    tiles = []
    net.eval()
    for index in picks:
        frame, mask = frames.cache[int(index)]
        probability = ask(net, torch.from_numpy(frame))
        predicted = (probability >= (recipe.classes[1].threshold or 128)).max(0)
        tiles.append(compare_tile(frame, mask > 0, predicted, frames.names[int(index)]))
    write_png(file, sheet(tiles))
