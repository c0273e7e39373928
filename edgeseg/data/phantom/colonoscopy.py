"""A synthetic colonoscopy: a lit, wet, folded tube with polyps whose masks are exact."""

from __future__ import annotations

import cv2
import numpy as np

from edgeseg.data.phantom.aperture import endoscope
from edgeseg.data.phantom.clip import Bytes, Floats, PhantomClip, check_request
from edgeseg.data.phantom.journey import Journey, View
from edgeseg.data.phantom.march import lens
from edgeseg.data.phantom.noise import sensor, to_bytes
from edgeseg.data.phantom.shade import Lamp, shade
from edgeseg.data.phantom.tunnel import build_tunnel

# Taller pictures are rendered at this height and enlarged: the optics of real endoscopes resolve no more.
_TALLEST = 600


def colonoscopy(frames: int, width: int = 640, height: int = 480, seed: int = 0) -> PhantomClip:
    """A clip through a synthetic colon.

    The same seed, size and number of frames give the same clip. The scene depends on the seed alone, the aperture
    also on the size, the camera's pace on the number of frames; frame 0 is the same for every number of frames.
    A clip of 48 frames or more holds frames with and without a polyp, a long one about 45 % without.

    Args:
        frames: at least 1.
        width: 32 to 8192 pixels.
        height: 32 to 8192 pixels.
        seed: 0 or more.

    Raises:
        UsageError: outside of these.
    """
    check_request(frames, width, height, seed)
    scene = _Scene(frames, width, height, seed)
    return PhantomClip(frames, width, height, seed, scene.render)


class _Scene:
    def __init__(self, frames: int, width: int, height: int, seed: int) -> None:
        self.size, self.seed = (width, height), seed
        self.tunnel = build_tunnel(np.random.default_rng([seed, 1]))
        self.journey = Journey(seed, frames, self.tunnel)
        rng = np.random.default_rng([seed, 2])
        self.aperture = endoscope(rng, width, height)
        shrink = min(1.0, _TALLEST / self.aperture.height)
        self.inner = (
            max(16, round(self.aperture.width * shrink)),
            max(16, round(self.aperture.height * shrink)),
        )
        self.rays = lens(*self.inner, rng.uniform(0.75, 1.0))
        self.lamp = Lamp.draw(rng)
        self.noise = float(rng.uniform(1.0, 3.5))
        self.blur = float(rng.uniform(0.45, 0.8))
        x, y = (np.linspace(-1, 1, n, dtype=np.float32) for n in self.inner)
        self.vignette = 1 - rng.uniform(0.1, 0.35) * (x[None, :] ** 2 + y[:, None] ** 2)

    def render(self, index: int) -> tuple[Bytes, Bytes]:
        view = self.journey.view(index)
        picture, truth = self._picture(view)
        place = self.aperture
        rng = np.random.default_rng([self.seed, 3, index])
        blurred = np.asarray(cv2.GaussianBlur(picture, (0, 0), self.blur), np.float32)
        picture = sensor(rng, blurred, self.noise)
        coverage = truth.astype(np.float32)
        if self.inner != (place.width, place.height):
            whole = (place.width, place.height)
            picture = np.asarray(cv2.resize(picture, whole, interpolation=cv2.INTER_CUBIC), np.float32)
            coverage = np.asarray(cv2.resize(coverage, whole, interpolation=cv2.INTER_LINEAR), np.float32)
        width, height = self.size
        image = np.empty((height, width, 3), np.uint8)
        image[:] = to_bytes(np.broadcast_to(place.border, (1, 1, 3)).copy())
        mask = np.zeros((height, width), np.uint8)
        box = (
            slice(place.top, place.top + place.height),
            slice(place.left, place.left + place.width),
        )
        picture = place.border + place.cover[..., None] * (picture - place.border)
        image[box] = to_bytes(picture)
        mask[box] = np.where((coverage > 0.5) & (place.cover > 0.5), 255, 0)
        return image, mask

    def _picture(self, view: View) -> tuple[Floats, Bytes]:
        axes = view.axes.astype(np.float32)
        rays = np.tensordot(axes.T, self.rays, axes=1)
        light, truth = shade(self.tunnel, view, rays, self.lamp)
        light *= (self.vignette / self.lamp.exposure(light))[..., None]
        # A camera's curve: straight in the dark, bending over towards white.
        picture = 255 * (1 - np.exp(-light)) ** np.float32(1 / 1.25)
        return picture.astype(np.float32), truth
