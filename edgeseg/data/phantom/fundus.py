"""A synthetic fundus camera sequence: a retina that drifts and jumps under a lamp, with exact vessel masks."""

from __future__ import annotations

import cv2
import numpy as np

from edgeseg.data.phantom.clip import Bytes, PhantomClip, check_request
from edgeseg.data.phantom.noise import sensor, to_bytes, wobble
from edgeseg.data.phantom.retina import build_retina

# Frames between two glances (saccades) and between two flashes, shortest and longest.
_GLANCE = 35
_FLASH = 60


def fundus(frames: int, width: int = 640, height: int = 480, seed: int = 0) -> PhantomClip:
    """A clip of a synthetic retina; the masks are its vessels.

    The same seed and size give the same clip, of which ``frames`` frames are taken; the anatomy depends on the seed
    alone. Every frame holds vessels: the eye never blinks.

    Args:
        frames: at least 1.
        width: 32 to 8192 pixels.
        height: 32 to 8192 pixels.
        seed: 0 or more.

    Raises:
        UsageError: outside of these.
    """
    check_request(frames, width, height, seed)
    return PhantomClip(frames, width, height, seed, _Eye(width, height, seed).render)


class _Eye:
    def __init__(self, width: int, height: int, seed: int) -> None:
        self.size, self.seed = (width, height), seed
        rng = np.random.default_rng([seed, 11])
        self.radius = min(width, height) * rng.uniform(0.46, 0.485)
        self.retina = build_retina(np.random.default_rng([seed, 12]), self.radius)
        self.drift = [wobble(rng, (40, 160)) for _ in range(2)]
        self.turn = wobble(rng, (60, 200))
        self.lamp = [wobble(rng, (30, 120)) for _ in range(3)]
        self.noise = float(rng.uniform(1.2, 3.0))
        self.blur = max(0.3, 0.0022 * self.radius)
        self.rim = rng.uniform(0.15, 0.4)
        x = (np.arange(width, dtype=np.float32) + 0.5 - width / 2)[None, :] / np.float32(self.radius)
        y = (np.arange(height, dtype=np.float32) + 0.5 - height / 2)[:, None] / np.float32(self.radius)
        self.x, self.y = x, y
        away = np.hypot(x, y)
        inside = (1 - away) * np.float32(self.radius)
        # The notch that tells which way up the picture is.
        side = float(rng.choice([-1, 1]))
        if rng.random() < 0.5:
            notch = np.float32(0.045) - np.hypot(x - np.float32(side * 0.73), y + np.float32(0.70))
            inside = np.maximum(inside, notch * np.float32(self.radius))
        self.cover = np.clip(inside + 0.5, 0, 1).astype(np.float32)
        self.vignette = (1 - self.rim * away**3).astype(np.float32)
        self.border = float(rng.uniform(0, 6))

    def render(self, index: int) -> tuple[Bytes, Bytes]:
        rng = np.random.default_rng([self.seed, 13, index])
        matrix = self._matrix(index)
        colour = cv2.warpAffine(self.retina.colour, matrix, self.size, flags=cv2.INTER_LINEAR)
        vessels = cv2.warpAffine(self.retina.vessels, matrix, self.size, flags=cv2.INTER_LINEAR)
        picture = cv2.GaussianBlur(colour, (0, 0), self.blur).astype(np.float32)
        picture *= self._light(index)[..., None]
        # Bright parts bend over instead of being cut off.
        picture = np.where(picture > 200, 200 + 55 * (1 - np.exp((200 - picture) / 55)), picture)
        picture = sensor(rng, picture.astype(np.float32), self.noise)
        picture = self.border + self.cover[..., None] * (picture - self.border)
        mask = np.where((vessels > 127) & (self.cover > 0.5), 255, 0).astype(np.uint8)
        return to_bytes(picture.astype(np.float32)), mask

    def _matrix(self, index: int) -> np.ndarray[tuple[int, int], np.dtype[np.float64]]:
        """2x3, pixels of the retina's picture to pixels of the frame."""
        shift = 0.035 * np.array([self.drift[0](index), self.drift[1](index)]) + self._glance(index)
        angle = 0.05 * self.turn(index)
        cos, sin = np.cos(angle), np.sin(angle)
        middle = self.retina.colour.shape[0] / 2 - 0.5
        rotation = np.array([[cos, -sin], [sin, cos]])
        target = (np.array(self.size) - 1) / 2 + shift * self.radius
        return np.column_stack([rotation, target - rotation @ np.array([middle, middle])])

    def _glance(self, index: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
        """Where the eye looks: a place for each stretch, reached within three frames."""
        stretch, within = divmod(index, _GLANCE)

        def place(number: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
            return np.random.default_rng([self.seed, 14, number + 1]).uniform(-0.08, 0.08, 2)

        share = min(1.0, within / 3)
        share = share * share * (3 - 2 * share)
        return (1 - share) * place(stretch - 1) + share * place(stretch)

    def _light(self, index: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
        stretch, within = divmod(index, _FLASH)
        at = int(np.random.default_rng([self.seed, 15, stretch]).integers(6, _FLASH - 8))
        flash = 0.75 * float(np.exp(-(within - at) / 2.5)) if within >= at else 0.0
        gain = 1 + 0.1 * self.lamp[0](index) + flash
        tilt = 1 + 0.22 * (self.lamp[1](index) * self.x + self.lamp[2](index) * self.y)
        return np.asarray(gain * tilt * self.vignette, np.float32)
