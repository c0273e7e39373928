"""Phantoms: the same again for the same request, exact masks, both kinds of stretches, any size."""

from __future__ import annotations

import numpy as np
import pytest

from edgeseg.data.phantom import PHANTOMS, colonoscopy, fundus
from edgeseg.errors import UsageError

KINDS = sorted(PHANTOMS)


@pytest.mark.parametrize("kind", KINDS)
def test_same_request_same_frames(kind: str) -> None:
    """Two clips of one request agree to the byte, in any order of frames; another seed differs."""
    first, second = PHANTOMS[kind](60, 160, 120, 3), PHANTOMS[kind](60, 160, 120, 3)
    later = first[41]
    assert np.array_equal(first[0].image, second[0].image)
    assert np.array_equal(later.image, second[41].image)
    assert np.array_equal(later.mask, second[41].mask)
    assert not np.array_equal(first[0].image, first[1].image)
    assert not np.array_equal(first[0].image, PHANTOMS[kind](60, 160, 120, 4)[0].image)


@pytest.mark.parametrize("kind", KINDS)
def test_first_frame_does_not_depend_on_length(kind: str) -> None:
    """A golden frame is named by seed and index alone."""
    assert np.array_equal(
        PHANTOMS[kind](1, 160, 120, 7)[0].image,
        PHANTOMS[kind](500, 160, 120, 7)[0].image,
    )


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("width", "height"), [(200, 120), (97, 131), (33, 32), (384, 288)])
def test_any_size(kind: str, width: int, height: int) -> None:
    """Frames have the size, types and values that they promise."""
    frame = PHANTOMS[kind](2, width, height, 1)[1]
    assert frame.index == 1
    assert frame.image.shape == (height, width, 3)
    assert frame.mask.shape == (height, width)
    assert frame.image.dtype == frame.mask.dtype == np.uint8
    assert set(np.unique(frame.mask)) <= {0, 255}
    assert frame.image.max() > 100


@pytest.mark.parametrize("kind", KINDS)
def test_full_hd(kind: str) -> None:
    """One 1080p frame, with target."""
    frame = PHANTOMS[kind](1, 1920, 1080, 7)[0]
    assert frame.image.shape == (1080, 1920, 3)
    assert 0.003 < (frame.mask > 0).mean() < 0.5


@pytest.mark.parametrize(("frames", "seed", "step"), [(48, 0, 1), (48, 5, 1), (143, 9, 3)])
def test_stretches_with_and_without_polyp(frames: int, seed: int, step: int) -> None:
    """False alarms must have room to happen: a part of every clip holds no polyp, and a part does."""
    clip = colonoscopy(frames, 96, 72, seed)
    seen = np.array([clip[i].mask.any() for i in range(0, frames, step)])
    assert 0.25 < seen.mean() < 0.75
    # Stretches, not single frames: one change where a polyp leaves, one where the next comes, a few behind folds.
    assert np.abs(np.diff(seen.astype(int))).sum() <= 6


def test_long_clip_costs_no_more() -> None:
    """The last of 100,000 frames is there at once, and about 40 % of them hold no polyp."""
    clip = colonoscopy(100_000, 96, 72, 2)
    assert len(clip) == 100_000
    seen = np.mean([clip[i].mask.any() for i in range(50_000, 50_192, 4)])
    assert 0.4 < seen < 0.75
    assert clip[-1].index == 99_999


@pytest.mark.parametrize("seed", [2, 909])
def test_camera_never_enters_a_polyp(seed: int) -> None:
    """While it passes one, the camera keeps clear of it: the picture is never all polyp."""
    clip = colonoscopy(96, 64, 48, seed)
    assert max((clip[i].mask > 0).mean() for i in range(10, 50, 2)) < 0.4


@pytest.mark.parametrize("seed", range(4))
def test_polyp_differs_from_what_surrounds_it(seed: int) -> None:
    """The mask lies where the picture shows something: its rim has stronger edges than the wall nearby."""
    import cv2

    frame = colonoscopy(48, 384, 288, seed)[0]
    assert frame.mask.any()
    kernel = np.ones((5, 5), np.uint8)
    rim = cv2.morphologyEx(frame.mask, cv2.MORPH_GRADIENT, kernel) > 0
    ring = (cv2.dilate(frame.mask, kernel, iterations=8) > 0) & (cv2.dilate(frame.mask, kernel, iterations=2) == 0)
    smooth = cv2.GaussianBlur(frame.image, (0, 0), 1.5).astype(np.float32)
    edges = np.hypot(cv2.Sobel(smooth, cv2.CV_32F, 1, 0), cv2.Sobel(smooth, cv2.CV_32F, 0, 1)).mean(axis=2)
    assert np.median(edges[rim]) > 1.5 * np.median(edges[ring & (frame.image.max(axis=2) > 20)])


@pytest.mark.parametrize("seed", range(3))
def test_vessels_are_darker_in_green(seed: int) -> None:
    """Vessels absorb green light: their pixels are darker than those a few pixels away."""
    import cv2

    frame = fundus(10, 640, 480, seed)[4]
    near = (cv2.dilate(frame.mask, np.ones((9, 9), np.uint8)) > 0) & (frame.mask == 0) & (frame.image[..., 2] > 60)
    inside = (frame.mask > 0) & (frame.image[..., 2] > 60)
    assert 0.02 < (frame.mask > 0).mean() < 0.15
    assert frame.image[..., 1][inside].mean() < 0.9 * frame.image[..., 1][near].mean()


def test_border_is_black_and_content_smaller_than_frame() -> None:
    """As with real endoscopes, the picture does not fill the frame."""
    image = colonoscopy(1, 640, 480, 3)[0].image
    assert image[:4].max() < 16
    assert image[:, :4].max() < 16
    assert image[220:260, 300:340].max() > 30


def test_index_out_of_range() -> None:
    """A clip ends, so that it can be iterated and indexed like a list."""
    clip = fundus(2, 64, 48, 0)
    assert [frame.index for frame in clip] == [0, 1]
    with pytest.raises(IndexError):
        clip[2]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("request_", [(0, 64, 48, 0), (1, 8, 48, 0), (1, 64, 9000, 0), (1, 64, 48, -1)])
def test_impossible_requests(kind: str, request_: tuple[int, int, int, int]) -> None:
    """One sentence that says what to give instead."""
    with pytest.raises(UsageError, match=r"^[^\n]+;[^\n]+$"):
        PHANTOMS[kind](*request_)


def test_retina_reaches_past_every_glance() -> None:
    """However the eye drifts and looks aside, the painted retina fills the picture: its rim is never seen."""
    from edgeseg.data.phantom.retina import SPAN

    drift, glance = 0.035, 0.08
    assert 1 + (drift + glance) * 1.5 < SPAN
