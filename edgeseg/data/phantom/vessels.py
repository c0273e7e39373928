"""Branching vessels on a plane: grown step by step, drawn with sub-pixel widths."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.data.phantom.clip import Bytes

Steer = Callable[[float, float, float, float], float]


@dataclass(frozen=True)
class Branch:
    """A stretch of vessel between two forks.

    Attributes:
        points: float64 [N, 2], x and y in units of the plane.
        widths: float64 [N], in the same units.
    """

    points: NDArray[np.float64]
    widths: NDArray[np.float64]


@dataclass(frozen=True)
class Growth:
    """How a tree grows; lengths in units of the plane.

    Attributes:
        step: length of one step.
        tortuosity: how much the winding about the heading changes per step, in radians.
        length: mean number of steps between forks.
        thinnest: a branch ends when it gets thinner than this.
        taper: width lost per step, as a fraction.
        span: farthest allowed from the plane's origin.
        share: smallest and largest part of the flow that the wider branch of a fork takes.
    """

    step: float
    tortuosity: float
    length: float
    thinnest: float
    taper: float
    span: float
    share: tuple[float, float]


def grow(
    rng: np.random.Generator,
    start: tuple[float, float],
    heading: float,
    width: float,
    rule: Growth,
    steer: Steer,
) -> list[Branch]:
    """Grows one tree.

    Widths at a fork follow Murray's law, w³ = w₁³ + w₂³ (Murray, PNAS 1926).

    Args:
        rng: where the chances come from.
        start: root, x and y.
        heading: first direction, in radians.
        width: at the root.
        rule: how it grows.
        steer: x, y, heading, width → turn per step in radians, for vessels that follow an anatomy.
    """
    branches: list[Branch] = []
    stack = [(start[0], start[1], heading, width, 0)]
    while stack:
        x, y, angle, w, depth = stack.pop()
        points, widths = [(x, y)], [w]
        winding = 0.0
        for _ in range(max(4, int(rng.gamma(6.0, rule.length / 6.0)))):
            # Windings swing about the heading instead of adding up to curls.
            winding = 0.85 * winding + rule.tortuosity * rng.standard_normal()
            angle += 0.15 * rule.tortuosity * rng.standard_normal() + steer(x, y, angle, w)
            x += rule.step * float(np.cos(angle + winding))
            y += rule.step * float(np.sin(angle + winding))
            w *= 1 - rule.taper
            points.append((x, y))
            widths.append(w)
            if x * x + y * y > rule.span**2:
                break
        branches.append(Branch(np.array(points), np.array(widths)))
        if x * x + y * y > rule.span**2 or depth > 12:
            continue
        share = rng.uniform(*rule.share)
        side = 1.0 if rng.random() < 0.5 else -1.0
        for part, turn in (
            (share, rng.uniform(0.05, 0.3)),
            (1 - share, -rng.uniform(0.45, 1.0)),
        ):
            thinner = w * part ** (1 / 3)
            if thinner > rule.thinnest:
                stack.append((x, y, angle + side * turn, thinner, depth + 1))
    return branches


def draw(
    canvas: Bytes,
    branches: list[Branch],
    scale: float,
    offset: tuple[float, float],
    wider: float = 1.0,
) -> None:
    """Draws branches as antialiased white into ``canvas`` uint8 [H, W].

    Args:
        canvas: drawn into, highest value wins.
        branches: in units of the plane.
        scale: pixels per unit.
        offset: pixel of the plane's origin, x and y.
        wider: factor on all widths.
    """
    bits = 4
    unit = scale * (1 << bits)
    shift = np.array(offset) * (1 << bits)
    for branch in branches:
        along = np.gradient(branch.points, axis=0)
        along /= np.linalg.norm(along, axis=1, keepdims=True) + 1e-9
        across = np.stack([-along[:, 1], along[:, 0]], axis=1) * (branch.widths * wider / 2)[:, None]
        left = np.rint((branch.points + across) * unit + shift).astype(np.int32)
        right = np.rint((branch.points - across) * unit + shift).astype(np.int32)
        outline = np.concatenate([left, right[::-1]])
        cv2.fillPoly(canvas, [outline], 255, cv2.LINE_AA, bits)
