"""The fit: content box, placement, resampling and the way back, against references written plainly."""

from __future__ import annotations

import math

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from edgeseg import fit
from edgeseg.errors import DataError
from edgeseg.manifest import Fit, Frame

Image = NDArray[np.uint8]
SIZES = [(1, 1), (3, 5), (31, 33), (64, 64), (100, 37), (288, 384), (480, 560), (577, 1023), (7, 900), (1080, 1920)]


def spec(mode: str, height: int = 288, width: int = 384, *, enlarge: bool = True) -> Frame:
    return Frame(
        height=height,
        width=width,
        fit=Fit.model_validate({"region": "frame", "mode": mode, "enlarge": enlarge}),
    )


def plain_content_box(frame: Image, level: int) -> fit.Box:
    """The contract's words, one by one."""
    height, width = frame.shape[:2]
    value = frame.max(axis=2)
    columns = [sum(int(v) > level for v in value[:, x]) >= height / 32 for x in range(width)]
    rows = [sum(int(v) > level for v in value[y]) >= width / 32 for y in range(height)]

    def longest(flags: list[bool]) -> tuple[int, int]:
        best, start = (0, 0), None
        for at, flag in enumerate([*flags, False]):
            if flag and start is None:
                start = at
            if not flag and start is not None:
                if at - start > best[1]:
                    best = (start, at - start)
                start = None
        return best

    (left, across), (top, down) = longest(columns), longest(rows)
    if across < width / 4 or down < height / 4:
        return fit.Box(0, 0, width, height)
    return fit.Box(left, top, across, down)


@pytest.mark.parametrize("seed", range(40))
def test_content_box_is_what_the_contract_says(seed: int) -> None:
    rng = np.random.default_rng(seed)
    height, width = (int(n) for n in rng.integers(4, 90, 2))
    frame = np.zeros((height, width, 3), np.uint8)
    for _ in range(rng.integers(0, 4)):
        y, x = int(rng.integers(0, height)), int(rng.integers(0, width))
        part = frame[y : y + int(rng.integers(1, height)), x : x + int(rng.integers(1, width))]
        part[..., rng.integers(0, 3)] = rng.integers(20, 30)
    frame[rng.random((height, width)) < rng.choice([0, 0.01, 0.04])] = 25
    assert fit.content_box(frame, 24) == plain_content_box(frame, 24)


def test_content_box_of_round_optics() -> None:
    frame = np.zeros((480, 640, 3), np.uint8)
    cv2.circle(frame, (330, 240), 200, (10, 20, 90), -1)
    cv2.putText(frame, "PATIENT 1", (5, 20), cv2.FONT_HERSHEY_PLAIN, 1, (255, 255, 255))
    box = fit.content_box(frame, 24)
    assert abs(box.left - 130) <= 2
    assert abs(box.left + box.width - 531) <= 2
    assert abs(box.top - 40) <= 2


@pytest.mark.parametrize("value", [0, 24, 25, 255])
def test_content_box_of_flat_frames_is_all(value: int) -> None:
    assert fit.content_box(np.full((50, 70, 3), value, np.uint8), 24) == fit.Box(0, 0, 70, 50)


@pytest.mark.parametrize("enlarge", [True, False])
@pytest.mark.parametrize("mode", ["resize", "pad", "crop"])
@pytest.mark.parametrize("network", [(288, 384), (64, 96), (224, 224), (8, 8)])
@pytest.mark.parametrize("size", SIZES)
def test_placement(size: tuple[int, int], network: tuple[int, int], mode: str, enlarge: bool) -> None:
    height, width = size
    p = fit.place(height, width, spec(mode, *network, enlarge=enlarge))
    source, target = p.source, p.target
    # Inside of frame and network, never empty.
    assert source.left >= 0
    assert source.top >= 0
    assert source.left + source.width <= width
    assert source.top + source.height <= height
    assert source.width >= 1
    assert source.height >= 1
    assert 1 <= target.width <= network[1]
    assert 1 <= target.height <= network[0]
    # Centred, the odd pixel right and below.
    for free, before in (
        (network[1] - target.width, target.left),
        (network[0] - target.height, target.top),
    ):
        assert before == free // 2
    if not enlarge:
        assert target.width <= source.width
        assert target.height <= source.height
    if mode != "crop":
        assert source == fit.Box(0, 0, width, height)
    if mode == "resize" and enlarge:
        assert (target.height, target.width) == network
    if mode == "pad":
        s = min(network[0] / height, network[1] / width)
        s = s if enlarge else min(1.0, s)
        assert target.height == max(1, math.floor(s * height + 0.5))
        assert target.width == max(1, math.floor(s * width + 0.5))
    if mode == "crop":
        # The largest part of the network's aspect: one side whole, the other within a pixel.
        assert source.width == width or source.height == height
        assert abs(source.width * network[0] / network[1] - source.height) <= max(1, network[0] / network[1])
        assert abs((width - source.width) - 2 * source.left) <= 1
        assert abs((height - source.height) - 2 * source.top) <= 1
        if enlarge or (source.height >= network[0] and source.width >= network[1]):
            assert (target.height, target.width) == network


def test_pad_rounds_half_up() -> None:
    """0.5 goes up, as floor(x + 0.5) does and as round() does not: 25/100 of 50 rows is 12.5."""
    assert fit.place(50, 100, spec("pad", 100, 25)).target == fit.Box(0, 43, 25, 13)


def test_place_within_a_box() -> None:
    box = fit.Box(100, 20, 400, 400)
    assert fit.place(480, 640, spec("pad"), box).source == box
    crop = fit.place(480, 640, spec("crop"), box)
    assert crop.source == fit.Box(100, 20 + 50, 400, 300)


def reference_bilinear(image: NDArray[np.float64], height: int, width: int) -> NDArray[np.float64]:
    """Half-pixel centres, edges repeated, in doubles."""

    def axis(n: int, m: int) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.float64]]:
        at = np.clip((np.arange(m) + 0.5) * n / m - 0.5, 0, n - 1)
        low = np.floor(at).astype(int)
        return low, np.minimum(low + 1, n - 1), at - low

    y0, y1, fy = axis(image.shape[0], height)
    x0, x1, fx = axis(image.shape[1], width)
    fy = fy.reshape(-1, *[1] * (image.ndim - 1))
    fx = fx.reshape(-1, *[1] * (image.ndim - 2))
    rows = image[y0] * (1 - fy) + image[y1] * fy
    return rows[:, x0] * (1 - fx) + rows[:, x1] * fx


def reference_resample(image: Image, height: int, width: int) -> NDArray[np.float64]:
    halve_y, halve_x = image.shape[0] > 2 * height, image.shape[1] > 2 * width
    out = reference_bilinear(image.astype(np.float64), height * (1 + halve_y), width * (1 + halve_x))
    if halve_y:
        out = (out[0::2] + out[1::2]) / 2
    if halve_x:
        out = (out[:, 0::2] + out[:, 1::2]) / 2
    return out


@pytest.mark.parametrize("channels", [None, 3])
@pytest.mark.parametrize(
    ("size", "to"),
    [
        ((1080, 1920), (288, 384)),
        ((576, 768), (288, 384)),
        ((577, 769), (288, 384)),
        ((288, 384), (288, 384)),
        ((480, 560), (288, 384)),
        ((300, 1000), (288, 384)),
        ((1000, 300), (288, 384)),
        ((100, 90), (288, 384)),
        ((5, 3), (64, 96)),
        ((1, 1), (8, 8)),
        ((201, 199), (100, 99)),
        ((64, 96), (1, 1)),
    ],
)
def test_resample_within_one_grey_level(size: tuple[int, int], to: tuple[int, int], channels: int | None) -> None:
    shape = size if channels is None else (*size, channels)
    image = np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8)
    before = image.copy()
    got = fit.resample(image, *to)
    assert got.dtype == np.uint8
    assert got.flags.c_contiguous
    assert np.array_equal(image, before)
    wanted = reference_resample(image, *to)
    assert got.shape == wanted.shape
    assert np.abs(got - wanted).max() <= 1.0


@pytest.mark.parametrize("axes", [(2, 2), (2, 1), (1, 2)])
def test_the_mean_rounds_half_up(axes: tuple[int, int]) -> None:
    """Three axes of halving, an image whose doubled size it already has: pairs 0,1 give 1, quads 0,0,1,1 too."""
    image = np.zeros((8 * axes[0], 8 * axes[1]), np.uint8)
    if axes[0] == 2:
        image[1::2] = 1
    else:
        image[:, 1::2] = 1
    # One row or column more makes it shrink by more than 2.
    bigger = np.pad(image, [(0, int(a == 2)) for a in axes], mode="edge")
    got = fit.resample(bigger, 8, 8)
    assert set(np.unique(got)) <= {0, 1}
    exact = reference_resample(bigger, 8, 8)
    clear = np.abs(exact - 0.5) > 0.26
    assert np.array_equal(got[clear], np.floor(exact[clear] + 0.5))


def test_noise_is_averaged_away() -> None:
    """What the two-step way is for: noise of σ 6 at 1080p leaves under 2 at 288×384, plain bilinear leaves 4.5."""
    noise = np.clip(np.random.default_rng(0).normal(128, 6, (1080, 1920)), 0, 255).astype(np.uint8)
    assert fit.resample(noise, 288, 384).std() < 2
    assert cv2.resize(noise, (384, 288), interpolation=cv2.INTER_LINEAR).std() > 4


def test_fit_pads_with_the_value_and_keeps_the_frame() -> None:
    frame = np.random.default_rng(1).integers(0, 256, (100, 100, 3), dtype=np.uint8)
    placement = fit.place(100, 100, spec("pad", 100, 120))
    out = fit.fit(frame, placement, 77)
    assert np.array_equal(out[:, 10:110], frame)
    assert (out[:, :10] == 77).all()
    assert (out[:, 110:] == 77).all()
    mask = fit.fit(frame[..., 0], placement, 0)
    assert mask.shape == (100, 120)


def test_fit_of_a_slice_of_a_larger_frame() -> None:
    """Frames need not be contiguous."""
    frame = np.random.default_rng(1).integers(0, 256, (90, 200, 3), dtype=np.uint8)
    view = frame[::2, 10:150]
    placement = fit.place(45, 140, spec("pad", 64, 96))
    assert np.array_equal(fit.fit(view, placement), fit.fit(view.copy(), placement))


def test_fit_refuses_another_size() -> None:
    with pytest.raises(DataError, match="frame is 11x10 but was planned as"):
        fit.fit(np.zeros((10, 11, 3), np.uint8), fit.place(10, 10, spec("pad")))


@pytest.mark.parametrize("upsample", ["bilinear", "nearest"])
@pytest.mark.parametrize("dtype", [np.uint8, np.float32])
@pytest.mark.parametrize("mode", ["resize", "pad", "crop"])
@pytest.mark.parametrize("size", SIZES)
def test_back_fills_the_box_and_nothing_else(size: tuple[int, int], mode: str, dtype: type, upsample: str) -> None:
    height, width = size
    box = fit.Box(width // 8, height // 9, max(1, width // 2), max(1, height // 2))
    p = fit.place(height, width, spec(mode, 64, 96), box)
    probability = np.full((2, 64, 96), 200, dtype)
    probability[1] = 100
    out = fit.back(probability, p, upsample)
    assert out.shape == (2, height, width)
    assert out.dtype == dtype
    inside = np.zeros((height, width), bool)
    s = p.source
    inside[s.top : s.top + s.height, s.left : s.left + s.width] = True
    for channel, value in ((0, 200), (1, 100)):
        assert (out[channel][inside] == value).all()
        assert (out[channel][~inside] == 0).all()


@pytest.mark.parametrize("mode", ["resize", "pad", "crop"])
@pytest.mark.parametrize("size", [(288, 384), (480, 560), (576, 1024), (1080, 1920), (90, 120), (333, 517)])
def test_there_and_back_again(size: tuple[int, int], mode: str) -> None:
    """A disc keeps its place and its area: an offset of half a network pixel would show."""
    height, width = size
    frame = np.zeros(size, np.uint8)
    centre, radius = (width * 0.55, height * 0.45), 0.2 * min(size)
    cv2.circle(frame, (int(centre[0] * 16), int(centre[1] * 16)), int(radius * 16), 255, -1, shift=4)
    p = fit.place(height, width, spec(mode))
    mask = fit.back(fit.fit(frame, p)[None], p)[0] >= 128
    truth = frame >= 128
    assert (mask & truth).sum() / (mask | truth).sum() > 0.965
    for axis in (0, 1):
        shift = np.argwhere(mask)[:, axis].mean() - np.argwhere(truth)[:, axis].mean()
        assert abs(shift) < 0.25 * max(1.0, height / 288, width / 384)


def test_back_does_not_bleed_the_padding_into_the_frame() -> None:
    """At the frame's edge the network's padding says nothing: the outermost pixels keep their probability."""
    p = fit.place(100, 300, spec("pad", 64, 96))
    probability = np.zeros((1, 64, 96), np.uint8)
    t = p.target
    probability[0, t.top : t.top + t.height, t.left : t.left + t.width] = 255
    assert (fit.back(probability, p) == 255).all()
