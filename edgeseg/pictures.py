"""Contact sheets as PNG: frames with truth and prediction outlined."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.atomic import atomic_write

# Truth green, prediction orange.
TRUTH, PREDICTION = (80, 220, 60), (0, 140, 255)


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


def same_size(tiles: list[NDArray[np.uint8]], height: int = 288, width: int = 384) -> list[NDArray[np.uint8]]:
    """Tiles of any size, fitted into one size with black around."""
    out = []
    for tile in tiles:
        scale = min(height / tile.shape[0], width / tile.shape[1])
        size = (max(1, round(tile.shape[1] * scale)), max(1, round(tile.shape[0] * scale)))
        small = cv2.resize(tile, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        canvas = np.zeros((height, width, 3), np.uint8)
        top, left = (height - size[1]) // 2, (width - size[0]) // 2
        canvas[top : top + size[1], left : left + size[0]] = small
        out.append(canvas)
    return out
