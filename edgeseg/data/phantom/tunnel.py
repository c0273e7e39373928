"""The colon as a tube: its centre line, its wall as a height map, its mucosa as a texture.

Lengths are in mean radii of the tube. The wall is ``radius(theta, z)`` around a winding centre line; map and
texture repeat every ``PERIOD`` along the tube, so that a clip of any length needs no more memory than a short one.
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from edgeseg.data.phantom.clip import Bytes, Floats
from edgeseg.data.phantom.noise import tile
from edgeseg.data.phantom.vessels import Growth, draw, grow

PERIOD = 16.0
_MAP = (1024, 384)
_TEXTURE = (2048, 1024)
_GRAIN = 512
_GRAIN_AROUND, _GRAIN_ALONG = 4, 10


@dataclass(frozen=True)
class Tunnel:
    """A drawn tube.

    Attributes:
        wall: float32 [rows along z, columns around theta, 4]: radius, its derivatives by theta and by z, and
            ambient light 0 to 1.
        albedo: uint8 [rows, columns, 3], BGR reflectance, 255 = 1.
        stretch: float32 [rows, columns], what is added to z to find the place in the texture: the skin of a fold is
            as long as the fold is high, so the texture must not be smeared over its slope.
        grain: float32 [512, 512, 3], a repeated tile: slope around, slope along, brightness; about unit deviation.
        bends: float64 [4, 3]: amplitude, angular speed along z, phase of two sines in x and two in y.
    """

    wall: Floats
    stretch: Floats
    albedo: Bytes
    grain: Floats
    bends: Floats

    def centre(self, z: Floats) -> tuple[Floats, Floats]:
        """Centre line at ``z``: x and y, same shape."""
        a, b, c, d = (np.float32(amp) * np.sin(np.float32(speed) * z + np.float32(ph)) for amp, speed, ph in self.bends)
        return a + b, c + d

    def slope(self, z: Floats) -> tuple[Floats, Floats]:
        """Derivative of the centre line by z."""
        a, b, c, d = (
            np.float32(amp * speed) * np.cos(np.float32(speed) * z + np.float32(ph)) for amp, speed, ph in self.bends
        )
        return a + b, c + d

    def cylinder(self, x: Floats, y: Floats, z: Floats) -> tuple[Floats, Floats]:
        """Distance from the centre line and angle around it in radians, 0 to 2 pi, of points in space."""
        cx, cy = self.centre(z)
        rho, theta = cv2.cartToPolar(x - cx, y - cy)
        return np.asarray(rho, np.float32).reshape(x.shape), np.asarray(theta, np.float32).reshape(x.shape)

    def skin(self, theta: Floats, z: Floats) -> Floats:
        """Place along the texture, as ``z`` is along the tube."""
        return z + _look_up(self.stretch, theta, z)

    def radius(self, theta: Floats, z: Floats) -> Floats:
        """Radius of the wall."""
        return _look_up(self.wall[..., 0], theta, z)


def _look_up(image: Floats, theta: Floats, z: Floats) -> Floats:
    rows, columns = image.shape[:2]
    u = theta * np.float32(columns / (2 * np.pi)) - np.float32(0.5)
    v = np.mod(z, np.float32(PERIOD)) * np.float32(rows / PERIOD) - np.float32(0.5)
    return np.asarray(cv2.remap(image, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP), np.float32)


def look_up_wall(tunnel: Tunnel, theta: Floats, z: Floats) -> Floats:
    """Radius, slopes and ambient light, float32 [H, W, 4], at float32 [H, W] angles and places."""
    return _look_up(tunnel.wall, theta, z)


def look_up_albedo(tunnel: Tunnel, theta: Floats, z: Floats) -> Bytes:
    """Reflectance, uint8 [H, W, 3]."""
    rows, columns = tunnel.albedo.shape[:2]
    u = theta * np.float32(columns / (2 * np.pi)) - np.float32(0.5)
    v = np.mod(z, np.float32(PERIOD)) * np.float32(rows / PERIOD) - np.float32(0.5)
    return np.asarray(
        cv2.remap(tunnel.albedo, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP),
        np.uint8,
    )


def look_up_grain(tunnel: Tunnel, theta: Floats, z: Floats) -> Floats:
    """Fine relief and brightness, float32 [H, W, 3]."""
    u = np.mod(theta * np.float32(_GRAIN_AROUND * _GRAIN / (2 * np.pi)), np.float32(_GRAIN))
    v = np.mod(z * np.float32(_GRAIN_ALONG * _GRAIN / PERIOD), np.float32(_GRAIN))
    return np.asarray(cv2.remap(tunnel.grain, u, v, cv2.INTER_LINEAR, borderMode=cv2.BORDER_WRAP), np.float32)


def build_tunnel(rng: np.random.Generator) -> Tunnel:
    """Draws a tube with folds, mucosa and residue."""
    radius = _radius(rng)
    rows, columns = radius.shape
    padded = np.pad(radius, 1, mode="wrap")
    by_z = (padded[2:, 1:-1] - padded[:-2, 1:-1]) * np.float32(rows / PERIOD / 2)
    by_theta = (padded[1:-1, 2:] - padded[1:-1, :-2]) * np.float32(columns / (2 * np.pi) / 2)
    margin = 60
    wide = cv2.GaussianBlur(np.pad(radius, margin, mode="wrap"), (0, 0), 16)[margin:-margin, margin:-margin]
    ambient = np.clip(1 - 2.2 * np.maximum(radius - wide, 0), 0.35, 1).astype(np.float32)
    bends = np.array(
        [
            [
                rng.uniform(0.35, 0.8),
                2 * np.pi / rng.uniform(10, 14),
                rng.uniform(0, 6.3),
            ],
            [
                rng.uniform(0.05, 0.15),
                2 * np.pi / rng.uniform(5, 8),
                rng.uniform(0, 6.3),
            ],
            [
                rng.uniform(0.35, 0.8),
                2 * np.pi / rng.uniform(10, 14),
                rng.uniform(0, 6.3),
            ],
            [
                rng.uniform(0.05, 0.15),
                2 * np.pi / rng.uniform(5, 8),
                rng.uniform(0, 6.3),
            ],
        ],
        np.float32,
    )
    length = np.sqrt(1 + cv2.GaussianBlur(by_z, (0, 0), 2) ** 2)
    # As a texture must repeat, only what differs from the mean stretch can be followed.
    stretch = np.cumsum(length / length.mean(axis=0) - 1, axis=0) * (PERIOD / rows)
    wall = np.stack([radius, by_theta, by_z, ambient], axis=2)
    return Tunnel(wall, stretch.astype(np.float32), _albedo(rng), _grain(rng), bends)


def _radius(rng: np.random.Generator) -> Floats:
    rows, columns = _MAP
    theta = ((np.arange(columns, dtype=np.float32) + 0.5) * np.float32(2 * np.pi / columns))[None, :]
    z = ((np.arange(rows, dtype=np.float32) + 0.5) * np.float32(PERIOD / rows))[:, None]
    lobes = rng.uniform(0.02, 0.09)
    turn = rng.uniform(0, 2 * np.pi)
    radius = 1 + lobes * np.cos(3 * theta + turn) + np.zeros_like(z)
    radius += rng.uniform(0.02, 0.06) * tile(rng, _MAP, (24, 5), 2)
    tall = rng.uniform(0.1, 0.3)
    count = int(rng.integers(10, 22))
    place = (np.arange(count) + rng.uniform(-0.3, 0.3, count)) * (PERIOD / count)
    for at in place:
        # A semilunar fold: a crest over a part of the circumference, leaning and waving a little.
        lean = rng.uniform(0, 0.22) * np.sin(theta + rng.uniform(0, 6.3))
        lean = lean + rng.uniform(0, 0.1) * np.sin(2 * theta + rng.uniform(0, 6.3))
        off = np.mod(z - np.float32(at) - lean + PERIOD / 2, PERIOD) - PERIOD / 2
        broad = rng.uniform(0.09, 0.2)
        reach = np.clip(rng.uniform(0.0, 0.9) + np.cos(theta - rng.uniform(0, 6.3)), 0, None) ** 0.7
        reach = reach * (1 + 0.25 * np.cos(3 * theta + turn + np.pi))
        radius -= tall * rng.uniform(0.4, 1.2) * reach * (1 + (off / np.float32(broad)) ** 2) ** -1.5
    return np.asarray(np.maximum(radius, 0.45), np.float32)


def _albedo(rng: np.random.Generator) -> Bytes:
    rows, columns = _TEXTURE
    # From pale yellow-orange over salmon to dull red, as preparations, lamps and white balances differ.
    tint = rng.dirichlet([0.7, 0.7, 0.7]) @ np.array([[0.28, 0.50, 0.88], [0.40, 0.48, 0.86], [0.24, 0.32, 0.78]])
    colour = np.empty((rows, columns, 3), np.float32)
    blotch = tile(rng, _TEXTURE, (20, 8), 3)
    pale = tile(rng, _TEXTURE, (10, 4), 2)
    for channel, (red, light) in enumerate(((0.10, 0.06), (0.11, 0.05), (0.02, 0.03))):
        colour[..., channel] = tint[channel] * (1 - red * blotch + light * pale)
    # Blood absorbs blue and green: vessels darken those, red hardly.
    depth = _vessels(rng).astype(np.float32) * np.float32(rng.uniform(0.2, 0.7) / 255)
    depth *= np.clip(0.7 + 0.5 * tile(rng, _TEXTURE, (12, 5), 2), 0, 1)
    colour *= 1 - depth[..., None] * np.array([0.75, 0.85, 0.42], np.float32)
    if rng.random() < 0.5:
        residue = _residue(rng)
        stain = np.array([0.10, 0.38, 0.68], np.float32) * rng.uniform(0.7, 1.25)
        colour += residue[..., None] * (stain - colour)
    texture = np.clip(np.rint(colour * 255), 0, 255).astype(np.uint8)
    if rng.random() < 0.4:
        _bubbles(rng, texture)
    return texture


def _vessels(rng: np.random.Generator) -> Bytes:
    rows, columns = _TEXTURE
    scale = rows / PERIOD
    canvas = np.zeros((rows, columns), np.uint8)
    fine = np.zeros_like(canvas)
    rule = Growth(
        step=0.05,
        tortuosity=0.13,
        length=14,
        thinnest=0.012,
        taper=0.012,
        span=2.6,
        share=(0.5, 0.9),
    )
    for _ in range(int(rng.integers(50, 110))):
        tree = grow(
            rng,
            (0, 0),
            rng.uniform(0, 6.3),
            rng.uniform(0.018, 0.04),
            rule,
            lambda _x, _y, _a, _w: 0.0,
        )
        x, y = rng.uniform(0, columns), rng.uniform(0, rows)
        layer = canvas if rng.random() < 0.5 else fine
        for over_x in (-columns, 0, columns):
            for over_y in (-rows, 0, rows):
                if -400 < x + over_x < columns + 400 and -400 < y + over_y < rows + 400:
                    draw(layer, tree, scale, (x + over_x, y + over_y))
    # Half of them lie deeper and show blurred.
    deep = cv2.GaussianBlur(fine, (0, 0), 3.0)
    return np.maximum(cv2.GaussianBlur(canvas, (0, 0), 1.1), cv2.convertScaleAbs(deep, alpha=0.8)).astype(np.uint8)


def _bubbles(rng: np.random.Generator, texture: Bytes) -> None:
    """Draws clusters of foam: thin bright rims, each with a glint."""
    rows, columns = _TEXTURE
    for _ in range(int(rng.integers(4, 12))):
        middle = np.array([rng.uniform(60, columns - 60), rng.uniform(60, rows - 60)])
        for _ in range(int(rng.integers(4, 20))):
            at = middle + rng.normal(0, 16, 2)
            radius = rng.uniform(2.5, 8)
            x, y, r = (int(v * 8) for v in (*at, radius))
            cv2.circle(texture, (x, y), r, (170, 205, 228), 1, cv2.LINE_AA, 3)
            cv2.circle(texture, (x - r // 3, y - r // 3), max(8, r // 6), (250, 252, 255), -1, cv2.LINE_AA, 3)


def _residue(rng: np.random.Generator) -> Floats:
    theta = (np.arange(_TEXTURE[1], dtype=np.float32) + 0.5) * np.float32(2 * np.pi / _TEXTURE[1])
    # Fluid gathers on one side of the tube, y down being theta = pi / 2.
    low = np.clip(np.sin(theta + rng.uniform(-0.6, 0.6)), 0, 1)[None, :]
    field = tile(rng, _TEXTURE, (40, 14), 4) + 0.9 * low
    return np.asarray(np.clip((field - rng.uniform(2.0, 2.6)) * 1.2, 0, 0.7), np.float32)


def _grain(rng: np.random.Generator) -> Floats:
    shape = (_GRAIN, _GRAIN)
    relief = tile(rng, shape, (12, 12), 3) + 0.35 * tile(rng, shape, (70, 70), 1)
    padded = np.pad(relief, 1, mode="wrap")
    around = padded[1:-1, 2:] - padded[1:-1, :-2]
    along = padded[2:, 1:-1] - padded[:-2, 1:-1]
    light = tile(rng, shape, (64, 64), 2)
    return np.stack([around / around.std(), along / along.std(), light], axis=2).astype(np.float32)
