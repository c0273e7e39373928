"""Curves and contact sheets of a run, as PNG."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
import torch
from numpy.typing import NDArray

from edgeseg.atomic import atomic_path, atomic_write

if TYPE_CHECKING:
    from edgeseg.nets.frame import FrameNet
    from edgeseg.train.frames import Frames
    from edgeseg.train.recipe import Recipe

# On the sheets: truth green, prediction orange, where they agree both lines coincide.
TRUTH, PREDICTION = (80, 220, 60), (0, 140, 255)


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
        with torch.no_grad():
            probability = net(torch.from_numpy(frame)[None])[0].numpy()
        predicted = (probability >= recipe.classes[1].threshold).any(0)
        tiles.append(compare_tile(frame, mask > 0, predicted, frames.names[int(index)]))
    write_png(file, sheet(tiles))


def compare_tile(
    frame: NDArray[np.uint8], truth: NDArray[np.bool_], predicted: NDArray[np.bool_], label: str
) -> NDArray[np.uint8]:
    """One frame with both outlines and its label."""
    tile = np.ascontiguousarray(frame.copy())
    for mask, colour in ((truth, TRUTH), (predicted, PREDICTION)):
        contours, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)
        cv2.drawContours(tile, contours, -1, colour, 2)
    cv2.rectangle(tile, (0, 0), (9 * len(label) + 8, 20), (0, 0, 0), -1)
    cv2.putText(tile, label, (4, 15), cv2.FONT_HERSHEY_SIMPLEX, 0.45, (255, 255, 255), 1, cv2.LINE_AA)
    return tile


def sheet(tiles: list[NDArray[np.uint8]], columns: int = 4) -> NDArray[np.uint8]:
    """Tiles of one size in rows of ``columns``."""
    height, width = tiles[0].shape[:2]
    columns = min(columns, len(tiles))
    rows = -(-len(tiles) // columns)
    out = np.zeros((rows * height, columns * width, 3), np.uint8)
    for index, tile in enumerate(tiles):
        y, x = divmod(index, columns)
        out[y * height : (y + 1) * height, x * width : (x + 1) * width] = tile
    return out


def write_png(file: Path, image: NDArray[np.uint8]) -> None:
    """An image as PNG, atomically."""
    ok, data = cv2.imencode(".png", image)
    if not ok:
        raise ValueError(f"cv2 cannot encode {image.shape}")
    atomic_write(file, data.tobytes())
