from __future__ import annotations

import itertools
import tracemalloc

import cv2
import numpy as np
import pytest

from edgeseg.manifest import Fit, Frame
from edgeseg.tiles import starts, tiled

SPEC = Frame(height=64, width=96, fit=Fit(region="frame", mode="pad"))


def blue(tile: np.ndarray) -> np.ndarray:
    """A network that says what it sees: probability = blue, and its negative."""
    assert tile.shape == (64, 96, 3)
    assert tile.dtype == np.uint8
    assert tile.flags.c_contiguous
    return np.stack([tile[..., 0], 255 - tile[..., 0]])


@pytest.mark.parametrize("length", [1, 64, 65, 100, 200, 513])
def test_tiles_cover_an_axis_and_overlap(length: int) -> None:
    begins = starts(length, 64)
    assert begins[0] == 0
    assert begins[-1] + 64 >= length
    assert length <= 64 or begins[-1] + 64 == length
    assert all(b - a <= 48 for a, b in itertools.pairwise(begins))


@pytest.mark.parametrize("size", [(150, 210), (64, 96), (40, 300), (301, 97)])
def test_at_full_resolution_every_pixel_is_its_own(size: tuple[int, int]) -> None:
    frame = np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8)
    out = tiled(frame, blue, SPEC, zoom=100.0)
    np.testing.assert_array_equal(out[0], frame[..., 0])
    np.testing.assert_array_equal(out[1], 255 - frame[..., 0])


def test_zoom_bounds_the_scale() -> None:
    seen = []

    def note(tile: np.ndarray) -> np.ndarray:
        seen.append(tile)
        return tile[..., :1].transpose(2, 0, 1)

    tiled(np.zeros((640, 960, 3), np.uint8), note, SPEC, zoom=1.0)
    assert len(seen) == 1
    tiled(np.zeros((640, 960, 3), np.uint8), note, SPEC, zoom=1.5)
    assert len(seen) == 1 + 4


def test_only_the_content_is_looked_at() -> None:
    spec = SPEC.model_copy(update={"fit": Fit(region="content", content_level=24, mode="pad")})
    frame = np.zeros((300, 400, 3), np.uint8)
    frame[60:240, 100:300] = 200
    out = tiled(frame, blue, spec, zoom=1.5)
    assert out[0, 150, 200] == 200
    assert out[:, :50].max() == 0
    assert out[:, :, :90].max() == 0


def test_seams_do_not_show() -> None:
    """A network that is unsure towards its tile's edge: averaged with falling weights, no step remains."""

    def vignette(tile: np.ndarray) -> np.ndarray:
        y, x = np.mgrid[:64, :96]
        edge = np.minimum(np.minimum(y, 63 - y), np.minimum(x, 95 - x))
        return np.clip(150 + edge, 150, 165).astype(np.uint8)[None]

    out = tiled(np.full((300, 400, 3), 90, np.uint8), vignette, SPEC, zoom=100.0)[0].astype(int)
    inner = out[32:-32, 32:-32]
    assert np.abs(np.diff(inner, axis=0)).max() <= 2
    assert np.abs(np.diff(inner, axis=1)).max() <= 2


def test_memory_stays_in_its_stated_bound() -> None:
    height, width = 1200, 1600
    frame = cv2.resize(np.random.default_rng(0).integers(0, 256, (30, 40, 3), dtype=np.uint8), (width, height))
    tracemalloc.start()
    tiled(frame, lambda tile: tile[..., :1].transpose(2, 0, 1), SPEC, zoom=100.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < (4 * 2 + 3 + 1) * height * width + 1_000_000
