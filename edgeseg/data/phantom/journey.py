"""Where the camera is in each frame, and which polyps are in reach."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from edgeseg.data.phantom.clip import Floats
from edgeseg.data.phantom.noise import wobble
from edgeseg.data.phantom.polyps import Polyp, build_polyp
from edgeseg.data.phantom.tunnel import Tunnel

# One polyp station every SPACING radii. A polyp rises from the wall between FAR and NEAR ahead of the camera, where
# it is dark and small, so that frames between stations hold none for certain.
SPACING, FAR, NEAR = 6.6, 3.2, 2.6
# Share of a station's time → distance of its polyp ahead of the camera.
_TIMES = np.array([-0.25, 0.0, 0.08, 0.2, 0.35, 0.54, 0.62, 1.0, 1.08, 1.2])
_AHEAD = np.array([5.58, 4.2, 2.6, 1.9, 1.45, 1.0, -0.3, -2.4, -4.0, -4.7])


@dataclass(frozen=True)
class View:
    """The camera in one frame.

    Attributes:
        eye: float64 [3].
        axes: float64 [3, 3], rows: right, down, forward.
        polyps: those in reach, each with how far it has grown, 0 to 1.
    """

    eye: NDArray[np.float64]
    axes: NDArray[np.float64]
    polyps: list[tuple[Polyp, float]]


class Journey:
    """The way of the camera through a tunnel."""

    def __init__(self, seed: int, frames: int, tunnel: Tunnel) -> None:
        """Draws the way. Frame 0 depends on the seed alone, the pace on ``frames`` (48 to 143 a station)."""
        self.tunnel = tunnel
        self.seed = seed
        rng = np.random.default_rng([seed, 101])
        self.pace = 1 / (frames / max(1, round(frames / 96)) if frames >= 48 else 48)
        self.start = rng.uniform(0.24, 0.38)
        self.shift = [wobble(rng, (25, 90)) for _ in range(2)]
        self.look = [wobble(rng, (20, 80)) for _ in range(3)]
        self.push = wobble(rng, (18, 50))
        self.interest = rng.uniform(0.4, 0.9)
        self.stray = rng.uniform(0.08, 0.22)
        self.restless = rng.uniform(0.1, 0.34)
        self.roll = rng.uniform(0, 2 * np.pi)
        self.station = lru_cache(maxsize=8)(self._station)

    def _station(self, number: int) -> tuple[Polyp, ...]:
        if number < 0:
            return ()
        rng = np.random.default_rng([self.seed, 102, number])
        z = number * SPACING
        theta = self._open_place(rng, z)
        polyps = [build_polyp(rng, self.tunnel, z, theta)]
        if rng.random() < 0.25:
            other = theta + rng.choice([-1, 1]) * rng.uniform(0.9, 2.2)
            polyps.append(build_polyp(rng, self.tunnel, z + rng.uniform(0.1, 0.6), other % (2 * np.pi)))
        return tuple(polyps)

    def _open_place(self, rng: np.random.Generator, z: float) -> float:
        """An angle at ``z`` where no high fold stands between the wall and a camera that comes nearer."""
        angles = rng.uniform(0, 2 * np.pi, 5)
        theta, before = np.meshgrid(angles, z - np.linspace(0, 1.3, 12))
        clear = self.tunnel.radius(theta.astype(np.float32), before.astype(np.float32)).min(axis=0)
        return float(angles[int(np.argmax(clear))])

    def view(self, index: int) -> View:
        """The camera in frame ``index``."""
        progress = self.start + index * self.pace
        number = int(np.floor(progress))
        # A mean over a little time rounds the corners of the table.
        times = np.clip(progress - number + np.linspace(-0.05, 0.05, 9), _TIMES[0], _TIMES[-1])
        z = number * SPACING - float(np.interp(times, _TIMES, _AHEAD).mean()) + 0.12 * self.push(index)
        share = progress - number

        cx, cy = (float(c) for c in self.tunnel.centre(np.array(z, np.float32)))
        polyps, weight, target, aside = [], 0.0, np.zeros(3), np.zeros(2)
        for station in (number, number + 1):
            for place, polyp in enumerate(self.station(station)):
                ahead = station * SPACING - z
                grown = float(np.clip((FAR - ahead) / (FAR - NEAR), 0, 1))
                if grown > 0.05 and ahead > -1.5:
                    polyps.append((polyp, grown * grown * (3 - 2 * grown)))
                    if place == 0 and station == number:
                        weight = self.interest * float(np.interp(share, [0.05, 0.25, 0.52, 0.64], [0, 1, 1, 0]))
                        target = polyp.base + 0.2 * polyp.axes[2]
                        # Whoever looks at a polyp keeps away from it.
                        aside = polyp.axes[2][:2] * float(np.interp(share, [0.2, 0.4, 0.7, 0.85], [0, 1, 1, 0]))
        eye = np.array([cx, cy, z])
        off = self.stray * np.array([self.shift[0](index), self.shift[1](index)]) + 0.2 * aside
        # Folds reach in to 0.45 radii at most: the camera stays clear of them.
        eye[:2] += off * min(1.0, 0.36 / float(np.linalg.norm(off) + 1e-9))
        ahead_z = np.array(z + 1.6, np.float32)
        far = np.array([*(float(c) for c in self.tunnel.centre(ahead_z)), float(ahead_z)])
        forward = _unit(far - eye)
        if weight:
            forward = _unit((1 - weight) * forward + weight * _unit(target - eye))
        roll = self.roll + 0.35 * self.look[2](index)
        side = _unit(np.cross([np.sin(roll), np.cos(roll), 0.0], forward))
        down = np.cross(forward, side)
        turn = self.restless * np.array([self.look[0](index), self.look[1](index)])
        forward = _unit(forward + turn[0] * side + turn[1] * down)
        side = _unit(np.cross(down, forward))
        return View(eye, np.stack([side, np.cross(forward, side), forward]), polyps)


def _unit(vector: NDArray[np.float64] | Floats) -> NDArray[np.float64]:
    return np.asarray(vector / np.linalg.norm(vector), np.float64)
