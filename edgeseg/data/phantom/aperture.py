"""The shape in which an endoscope shows its picture on a black screen."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from edgeseg.data.phantom.clip import Floats


@dataclass(frozen=True)
class Aperture:
    """Where the picture lies in the frame.

    Attributes:
        left, top, width, height: box of the picture, pixels.
        cover: float32 [height, width], 1 where picture is, 0 on the black border, a pixel wide ramp between.
        border: float32 [3], grey levels of the border.
    """

    left: int
    top: int
    width: int
    height: int
    cover: Floats
    border: Floats


def endoscope(rng: np.random.Generator, width: int, height: int) -> Aperture:
    """Draws an octagon, a disc with flat sides or a rounded square of 4:3 to 1:1, never the whole frame."""
    aspect = rng.uniform(1.08, 1.3)
    high = height * rng.uniform(0.88, 0.97)
    wide = min(high * aspect, width * 0.97)
    high = min(high, wide / rng.uniform(1.05, 1.2)) if wide < high * 1.05 else high
    box_w, box_h = max(16, round(wide)), max(16, round(high))
    left = round((width - box_w) * rng.uniform(0.4, 0.6))
    top = round((height - box_h) * rng.uniform(0.4, 0.6))
    x = (np.arange(box_w, dtype=np.float32) + 0.5 - box_w / 2)[None, :]
    y = (np.arange(box_h, dtype=np.float32) + 0.5 - box_h / 2)[:, None]
    a, b = box_w / 2 - 1, box_h / 2 - 1
    sides = np.maximum(np.abs(x) - a, np.abs(y) - b)
    kind = rng.choice(["octagon", "disc", "rounded"], p=[0.55, 0.25, 0.2])
    if kind == "octagon":
        cut = rng.uniform(0.2, 0.32) * 2 * b
        inside = np.maximum(sides, (np.abs(x) + np.abs(y) - (a + b - cut)) / np.float32(np.sqrt(2)))
    elif kind == "disc":
        inside = np.maximum(sides, np.hypot(x, y) - rng.uniform(0.98, 1.1) * max(a, b))
    else:
        radius = rng.uniform(0.15, 0.4) * b
        inside = (
            np.hypot(
                np.maximum(np.abs(x) - a + radius, 0),
                np.maximum(np.abs(y) - b + radius, 0),
            )
            - radius
        )
    cover = np.clip(0.5 - inside, 0, 1).astype(np.float32)
    border = (rng.uniform(0, 8) + rng.uniform(0, 3, 3)).astype(np.float32)
    return Aperture(left, top, box_w, box_h, cover, border)
