"""The still picture of a retina: its ground, optic disc, macula and vessel tree.

The plane's unit is the radius of the field of view, its origin the middle of the field when the eye rests.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edgeseg.data.phantom.clip import Bytes, Floats
from edgeseg.data.phantom.noise import tile
from edgeseg.data.phantom.vessels import Branch, Growth, Steer, draw, grow

# The picture reaches this far from its middle, so that a drifting eye never shows an edge.
SPAN = 1.22


@dataclass(frozen=True)
class Retina:
    """A drawn retina.

    Attributes:
        colour: uint8 [N, N, 3], BGR, evenly lit.
        vessels: uint8 [N, N], how much of the pixel a vessel covers.
        scale: pixels per unit; the origin is at N / 2.
    """

    colour: Bytes
    vessels: Bytes
    scale: float


def build_retina(rng: np.random.Generator, scale: float) -> Retina:
    """Draws a retina at ``scale`` pixels per radius of the field of view; the anatomy does not depend on it."""
    size = 2 * int(np.ceil(SPAN * scale))
    eye = 1.0 if rng.random() < 0.5 else -1.0
    fovea = np.array([rng.uniform(-0.08, 0.08), rng.uniform(-0.05, 0.08)])
    disc = fovea + np.array([eye * rng.uniform(0.58, 0.68), rng.uniform(-0.09, -0.02)])
    arteries, veins = _trees(rng, disc, fovea, eye)
    cover = {}
    for name, trees, wider in (
        ("artery", arteries, 1.0),
        ("vein", veins, 1.0),
        ("reflex", arteries, 0.3),
    ):
        cover[name] = np.zeros((size, size), np.uint8)
        draw(cover[name], trees, scale, (size / 2, size / 2), wider)
    axis = (np.arange(size, dtype=np.float32) + 0.5 - size / 2) / np.float32(scale)
    x, y = axis[None, :], axis[:, None]
    colour = _ground(rng, x, y, disc, fovea)
    _disc(rng, colour, x, y, disc, eye)
    soft = 0.0022 * scale
    for name, dark in (
        ("vein", np.array([0.50, 0.44, 0.66], np.float32)),
        ("artery", np.array([0.62, 0.58, 0.82], np.float32)),
    ):
        shown = cv2.GaussianBlur(cover[name], (0, 0), max(soft, 0.3)).astype(np.float32)[..., None] / 255
        colour *= 1 - shown * (1 - dark) * np.float32(rng.uniform(0.85, 1.1))
    colour += (cover["reflex"].astype(np.float32) / 255)[..., None] * np.array([6, 14, 22], np.float32)
    both = np.maximum(cover["artery"], cover["vein"])
    return Retina(np.clip(np.rint(colour), 0, 255).astype(np.uint8), both, scale)


def _trees(rng: np.random.Generator, disc: Floats, fovea: Floats, eye: float) -> tuple[list[Branch], list[Branch]]:
    rule = Growth(
        step=0.018,
        tortuosity=rng.uniform(0.05, 0.11),
        length=9,
        thinnest=0.0062,
        taper=0.0045,
        span=1.25,
        share=(0.84, 0.97),
    )
    kinds: tuple[list[Branch], list[Branch]] = ([], [])
    for number, width in enumerate((0.027, 0.036)):
        branches = kinds[number]
        for up in (-1.0, 1.0):
            wide = width * rng.uniform(0.85, 1.1)
            start = disc + np.array([0.0, up * 0.015]) + rng.normal(0, 0.012, 2)
            # Temporal arcade: up (or down), then round the macula.
            heading = up * np.pi / 2 - eye * up * rng.uniform(-0.25, 0.2) + (0.12 if number else -0.12)
            arch = rng.uniform(0.5, 0.62) + 0.05 * number
            branches += grow(
                rng,
                (start[0], start[1]),
                heading,
                wide,
                rule,
                _arcade(fovea, -eye * up, arch),
            )
            # Nasal: outwards, away from the macula.
            heading = (0 if eye > 0 else np.pi) + eye * up * rng.uniform(0.4, 1.1)
            branches += grow(rng, (start[0], start[1]), heading, wide * 0.75, rule, _free(fovea))
            # Small ones towards the macula.
            heading = (np.pi if eye > 0 else 0) - eye * up * rng.uniform(0.15, 0.6)
            branches += grow(rng, (start[0], start[1]), heading, wide * 0.42, rule, _free(fovea))
    return kinds


def _wrapped(angle: float) -> float:
    return float((angle + np.pi) % (2 * np.pi) - np.pi)


def _free(fovea: Floats) -> Steer:
    """Turns vessels away before they reach the fovea, which has none."""

    def steer(x: float, y: float, angle: float, _width: float) -> float:
        dx, dy = x - float(fovea[0]), y - float(fovea[1])
        near = max(0.0, 1 - float(np.hypot(dx, dy)) / 0.3)
        if not near:
            return 0.0
        return 0.9 * near * float(np.sign(_wrapped(float(np.arctan2(dy, dx)) - angle)))

    return steer


def _arcade(fovea: Floats, turn: float, arch: float) -> Steer:
    """Leads wide vessels round the fovea at the distance ``arch``; thin ones go as they like."""
    free = _free(fovea)

    def steer(x: float, y: float, angle: float, width: float) -> float:
        dx, dy = x - float(fovea[0]), y - float(fovea[1])
        around = float(np.arctan2(dy, dx)) + turn * np.pi / 2
        # Flatter than a circle: the arcade opens towards the temporal side.
        inward = turn * float(np.clip((np.hypot(dx, dy) - arch) * 1.6, -0.5, 0.5))
        lead = float(np.clip((width - 0.014) / 0.008, 0, 1))
        return 0.09 * lead * _wrapped(around + inward - angle) + free(x, y, angle, width)

    return steer


def _ground(rng: np.random.Generator, x: Floats, y: Floats, disc: Floats, fovea: Floats) -> Floats:
    shape = (y.shape[0], x.shape[1])
    tint = rng.dirichlet([1, 1, 1]) @ np.array([[38.0, 92.0, 205.0], [60.0, 118.0, 200.0], [34.0, 72.0, 176.0]])
    # Noise on a fixed grid, enlarged: the same anatomy at every size.
    grid = (512, 512)
    blotch = tile(rng, grid, (5, 5), 3)
    choroid = np.abs(tile(rng, grid, (26, 26), 2))
    grain = tile(rng, grid, (170, 170), 1)
    field = 0.035 * blotch - rng.uniform(0.0, 0.05) * (choroid - 0.8) + 0.012 * grain
    field = cv2.resize(field.astype(np.float32), shape[::-1], interpolation=cv2.INTER_CUBIC)
    colour = np.empty((*shape, 3), np.float32)
    to_disc = np.hypot(x - np.float32(disc[0]), y - np.float32(disc[1]))
    to_fovea = np.hypot(x - np.float32(fovea[0]), (y - np.float32(fovea[1])) * np.float32(1.1))
    glow = 0.22 * np.exp(-((to_disc / 0.33) ** 2))
    macula = rng.uniform(0.22, 0.36) * np.exp(-((to_fovea / 0.15) ** 2)) + 0.1 * np.exp(-((to_fovea / 0.4) ** 2))
    for channel, (of_glow, of_macula, of_field) in enumerate(((0.6, 1.2, 1.3), (1.0, 1.2, 1.5), (0.5, 0.75, 0.7))):
        colour[..., channel] = tint[channel] * (1 + of_glow * glow - of_macula * macula + of_field * field)
    pit = np.exp(-((to_fovea / 0.018) ** 2)) * np.float32(rng.uniform(0, 22))
    colour += pit[..., None]
    return colour


def _disc(
    rng: np.random.Generator,
    colour: Floats,
    x: Floats,
    y: Floats,
    disc: Floats,
    eye: float,
) -> None:
    wide, tall = rng.uniform(0.115, 0.14), rng.uniform(0.125, 0.155)
    dx, dy = x - np.float32(disc[0]), y - np.float32(disc[1])
    away = np.hypot(dx / np.float32(wide), dy / np.float32(tall))
    rim = 0.5 - 0.5 * np.tanh((away - 1) * np.float32(rng.uniform(8, 13)))
    cup_x = dx + np.float32(eye * 0.02)
    deep = rng.uniform(0.4, 0.6)
    cup = 0.5 - 0.5 * np.tanh((np.hypot(cup_x / np.float32(wide * deep), dy / np.float32(tall * deep)) - 1) * 3.5)
    pale = np.array([105, 178, 236], np.float32) * np.float32(rng.uniform(0.92, 1.04))
    white = np.array([165, 222, 248], np.float32)
    colour += (0.9 * rim)[..., None] * (pale - colour)
    colour += (0.85 * cup * rim)[..., None] * (white - colour)
    # A crescent of bared sclera or pigment on the temporal side.
    crescent = np.exp(-(((away - 1.12) / 0.09) ** 2)) * np.clip(-eye * dx / np.float32(wide), 0, 1)
    colour *= 1 + (np.float32(rng.uniform(-0.3, 0.3)) * crescent)[..., None]
