"""`--crop`: the picture stays, the patient's name goes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

import edgeseg
from edgeseg.data.phantom import colonoscopy
from edgeseg.errors import InputError, UsageError
from edgeseg.stream.crop import EVERY, PATIENCE, Crop
from edgeseg.stream.frame import StreamFrame
from edgeseg.stream.pipeline import run

NAME = "DOE, JANE 1970-01-01 F"


def scope(seed: int, size: tuple[int, int] = (640, 360)) -> tuple[np.ndarray, np.ndarray]:
    """A phantom frame and where its picture truly is (uint8, 0 or 255)."""
    image = colonoscopy(2, *size, seed)[0].image
    _, lit = cv2.threshold(image.max(2), 14, 255, cv2.THRESH_BINARY)
    points = cv2.convexHull(cv2.findNonZero(cv2.morphologyEx(lit, cv2.MORPH_OPEN, np.ones((9, 9)))))
    return image, cv2.fillConvexPoly(np.zeros_like(lit), points, 255)


def written(image: np.ndarray, truth: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """With text in the black on every side, and where the letters are."""
    unit = image.shape[0] / 360
    layer = np.zeros_like(truth)
    gap = int(9 * unit) | 1  # closer to the picture than this, letters touch it at the search's size
    free = cv2.dilate(truth, np.ones((gap, gap)))
    for row in range(int(14 * unit), image.shape[0], int(24 * unit)):
        for x in (2, int(image.shape[1] - 150 * unit)):
            cv2.putText(layer, NAME, (x, row), cv2.FONT_HERSHEY_SIMPLEX, 0.45 * unit, 255, max(1, round(unit)))
    letters = (layer > 0) & (free == 0)
    out = image.copy()
    out[letters] = 230
    return out, letters


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize("size", [(640, 360), (320, 240), (1280, 720)])
def test_text_goes_and_the_picture_stays(seed: int, size: tuple[int, int]) -> None:
    image, truth = scope(seed, size)
    given, letters = written(image, truth)
    assert letters.sum() > 100
    before = given.copy()
    said: list[str] = []
    out = Crop.parse("auto", said.append).apply(given)
    assert np.array_equal(given, before)
    assert out.shape == given.shape
    assert out[letters].max() == 0
    inside = truth > 0
    lost = (out[inside] != given[inside]).any(1).mean()
    assert lost < 0.02, lost
    assert len(said) == 1
    assert said[0].startswith("crop: picture of ")


def test_a_picture_that_fills_the_frame_is_left() -> None:
    said: list[str] = []
    crop = Crop.parse("auto", said.append)
    image = np.full((240, 320, 3), 120, np.uint8)
    for _ in range(12):
        assert crop.apply(image) is image
    assert said == ["crop: the picture fills the frame; nothing is cut"]


def test_nothing_is_shown_until_a_picture_is_found() -> None:
    """A processor's black screen carries the patient's name too."""
    crop = Crop.parse("auto")
    dark = np.zeros((360, 640, 3), np.uint8)
    cv2.putText(dark, NAME, (20, 200), cv2.FONT_HERSHEY_SIMPLEX, 1.2, (255, 255, 255), 2)
    assert crop.apply(dark).max() == 0
    image, truth = scope(0)
    assert crop.apply(image)[truth > 0].mean() > 40
    assert crop.apply(dark).max() > 0  # the area is held; what is in it is shown


def test_a_corner_that_lights_up_joins() -> None:
    image, truth = scope(1)
    dim = image.copy()
    dim[:, 340:] = 0
    crop = Crop.parse("auto")
    assert crop.apply(dim)[:, 345:].max() == 0
    for _ in range(EVERY):
        out = crop.apply(image)
    inside = truth > 0
    assert (out[inside] != image[inside]).any(1).mean() < 0.02


def test_a_smaller_picture_is_found_anew() -> None:
    """The processor shows its small picture now: text stands where the large one was."""
    image, _ = scope(0)
    small = np.zeros_like(image)
    small[90:270, 320:640] = cv2.resize(image, (320, 180))
    cv2.putText(small, NAME, (190, 40), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (255, 255, 255), 2)
    crop = Crop.parse("auto")
    crop.apply(image)
    assert crop.apply(small)[:60].max() > 200
    for _ in range(EVERY * (PATIENCE + 1)):
        out = crop.apply(small)
    assert out[:60].max() == 0


def test_each_picture_has_its_own_area(tmp_path: Path) -> None:
    image, _ = scope(0)
    small = np.zeros_like(image)
    small[90:270, 320:640] = cv2.resize(image, (320, 180))
    cv2.putText(small, NAME, (190, 40), cv2.FONT_HERSHEY_SIMPLEX, 0.7, (255, 255, 255), 2)
    for name, one in (("a.png", image), ("b.png", small)):
        cv2.imwrite(str(tmp_path / name), one)
    kept: list[np.ndarray] = []

    class Keeper:
        name = "keeper"

        def write(self, frame: StreamFrame, _: object) -> None:
            kept.append(frame.image)

        def status(self, _: object) -> None: ...

        def close(self) -> None: ...

    with edgeseg.open("npnet-polyp").load(threads=1) as model:
        run(model, str(tmp_path), [Keeper()], crop=Crop.parse("auto"))
    assert kept[0].max() > 100
    assert kept[1][:60].max() == 0


def test_a_new_size_is_found_anew() -> None:
    crop = Crop.parse("auto")
    for size in ((640, 360), (320, 240)):
        image, truth = scope(2, size)
        given, letters = written(image, truth)
        assert crop.apply(given)[letters].max() == 0


def test_rectangle() -> None:
    image = np.arange(60 * 80 * 3, dtype=np.uint8).reshape(60, 80, 3)
    out = Crop.parse("20:10:5:7").apply(image)
    assert np.array_equal(out, image[7:17, 5:25])
    assert out.flags.c_contiguous
    assert Crop.parse("off").apply(image) is image
    with pytest.raises(InputError, match="reaches out of the 80x60 frame"):
        Crop.parse("80:60:1:0").apply(image)


@pytest.mark.parametrize(
    "text", ["", "Auto", "1:2:3", "0:2:0:0", "1:2:3:-4", "1:2:3:4:5", "a:b:c:d", "1:2:3:4\n", "٣:1:0:0"]
)
def test_what_is_no_crop(text: str) -> None:
    with pytest.raises(UsageError, match="--crop"):
        Crop.parse(text)


@pytest.mark.parametrize("name", ["colonoscopy_polyp_53f.mp4", "laparoscopy_720p_250f.mp4"])
def test_real_clips(data_dir: Callable[[str], Path], name: str) -> None:
    """Every frame keeps what is bright and in one piece; only the border goes."""
    from edgeseg.stream.sources import open_source

    crop, said = None, []
    source = open_source(str(data_dir("video") / name))
    for frame in source:
        crop = crop or Crop.parse("auto", said.append)
        out = crop.apply(frame.image)
        lost = cv2.countNonZero((frame.image.max(2) > 60).view(np.uint8) & (out.max(2) == 0).view(np.uint8))
        assert lost < 0.01 * out.shape[0] * out.shape[1], (frame.sequence, lost)
        if frame.sequence == 40:
            break
    source.close()
    assert len(said) == 1, said
