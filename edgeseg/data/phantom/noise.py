"""Random fields: tiles that join at their edges, slow wobbles in time, and the sensor's own noise."""

from __future__ import annotations

from collections.abc import Callable

import cv2
import numpy as np

from edgeseg.data.phantom.clip import Bytes, Floats


def tile(
    rng: np.random.Generator,
    shape: tuple[int, int],
    cells: tuple[int, int],
    octaves: int = 1,
) -> Floats:
    """Smooth noise that wraps round in both directions.

    Args:
        rng: where the values come from.
        shape: rows and columns of the result.
        cells: blobs of the coarsest octave along rows and columns.
        octaves: each further one has twice the cells and half the weight.

    Returns:
        float32 of ``shape``, zero mean, unit standard deviation.
    """
    total = np.zeros(shape, np.float32)
    for octave in range(octaves):
        rows, columns = (min(c << octave, s) for c, s in zip(cells, shape, strict=True))
        grid = rng.standard_normal((rows, columns)).astype(np.float32)
        total += np.float32(0.5**octave) * (_between(shape[0], rows) @ grid @ _between(shape[1], columns).T)
    return np.asarray((total - total.mean()) / (total.std() + np.float32(1e-6)), np.float32)


def _between(size: int, cells: int) -> Floats:
    """Weights float32 [size, cells] that blend smoothly from each of ``cells`` values to the next, round and round."""
    at = (np.arange(size) + 0.5) * (cells / size)
    base = np.floor(at).astype(np.intp)
    f = at - base
    weight = f * f * (3 - 2 * f)
    rows = np.arange(size)
    matrix = np.zeros((size, cells), np.float32)
    np.add.at(matrix, (rows, base % cells), 1 - weight)
    np.add.at(matrix, (rows, (base + 1) % cells), weight)
    return matrix


def wobble(rng: np.random.Generator, periods: tuple[float, float], waves: int = 3) -> Callable[[float], float]:
    """A slow random function of the frame index: a sum of sines, about -1 to 1.

    Args:
        rng: where phases and periods come from.
        periods: shortest and longest period, in frames.
        waves: number of sines.
    """
    speed = 2 * np.pi / rng.uniform(*periods, waves)
    phase = rng.uniform(0, 2 * np.pi, waves)
    weight = rng.uniform(0.4, 1.0, waves)
    weight /= weight.sum()
    return lambda at: float(np.sum(weight * np.sin(speed * at + phase)))


def sensor(rng: np.random.Generator, image: Floats, strength: float) -> Floats:
    """Adds the noise of a small sensor: stronger in the dark, a part of it shared by the channels.

    Args:
        rng: this frame's generator.
        image: float32 [H, W, 3], grey levels 0 to 255.
        strength: standard deviation in grey levels in the middle of the range.
    """
    height, width = image.shape[:2]
    # cv2's generator (this thread's own) is several times faster than numpy's; its seed is drawn from ours.
    cv2.setRNGSeed(int(rng.integers(1, 2**31 - 1)))
    grain = np.empty((height, width, 4), np.float32)
    cv2.randn(grain, np.zeros(4), np.full(4, strength))
    return np.asarray(image + np.float32(0.6) * grain[..., :3] + np.float32(0.8) * grain[..., 3:], np.float32)


def to_bytes(image: Floats) -> Bytes:
    """float32 grey levels to uint8, rounded and clipped."""
    return cv2.convertScaleAbs(np.maximum(image, 0)).astype(np.uint8, copy=False)
