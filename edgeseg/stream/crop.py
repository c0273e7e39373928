"""``--crop``: what of a camera's frame is shown, recorded and segmented.

``auto`` finds the round or octagonal picture of an endoscope and makes everything outside it black, the patient's name
that the processor writes there above all. The frame keeps its size, so masks and boxes stay in the camera's pixels.
``W:H:X:Y`` (as ffmpeg's crop filter) cuts that rectangle out; masks and boxes are in pixels of the cut.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import cv2
import numpy as np

from edgeseg.errors import InputError, UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgeseg.stream.frame import StreamFrame

    Image = NDArray[np.uint8]

# A pixel shows something above this grey level; that of the manifests' content_level.
LEVEL = 24
# Sought in a picture of this many rows; a letter's stroke is one to three pixels there and goes in the opening.
ROWS = 270
STROKE = 11
# Looked for again so often: a corner that was dark at first joins when it is lit.
EVERY = 5
# A picture under this share of the frame on a side is none: text on black, a logo.
SMALLEST = 0.25
# So many looks in a row at a picture this much smaller than the one held, and it is found anew: the processor zoomed.
SMALLER, PATIENCE = 0.8, 40
# What stands out of the found shape by less than this share of the frame is not cut.
WHOLE = 0.97


@dataclass(frozen=True)
class Rectangle:
    """``W:H:X:Y``."""

    width: int
    height: int
    left: int
    top: int


class Crop:
    """One for each stream; used by one thread.

    Args:
        what: "off", "auto" or a rectangle.
        say: told in one line what was found.
    """

    def __init__(self, what: str | Rectangle, say: Callable[[str], None] | None = None) -> None:
        self._what, self._say = what, say or (lambda _: None)
        self._size: tuple[int, int] | None = None
        self._count = self._smaller = 0
        self._shape: Image | None = None  # what shows something, at the search's size
        self._cover: Image | None = None  # the same at frame size; None where nothing is cut
        self._said = ""

    @classmethod
    def parse(cls, text: str, say: Callable[[str], None] | None = None) -> Crop:
        """``off``, ``auto`` or ``W:H:X:Y``.

        Raises:
            UsageError: anything else.
        """
        if text in ("off", "auto"):
            return cls(text, say)
        found = re.fullmatch(r"(\d{1,5}):(\d{1,5}):(\d{1,5}):(\d{1,5})", text, re.ASCII)
        if found is None or not (int(found[1]) and int(found[2])):
            raise UsageError(f"--crop {text}: give off, auto or W:H:X:Y, such as 1080:1000:420:40")
        width, height, left, top = (int(part) for part in found.groups())
        return cls(Rectangle(width, height, left, top), say)

    def forget(self) -> None:
        """What comes next is another picture, as among stills: it is looked for anew."""
        self._shape, self._cover, self._count, self._smaller = None, None, 0, 0

    def apply(self, image: Image) -> Image:
        """The picture alone.

        Args:
            image: uint8 BGR [H, W, 3]; not changed.

        Returns:
            uint8 BGR of the same size, black outside the picture (all of it until a picture was found); for a
            rectangle that part; the image itself where nothing is cut.

        Raises:
            InputError: the frame is smaller than the rectangle.
        """
        if self._what == "off":
            return image
        if isinstance(self._what, Rectangle):
            return _cut(image, self._what)
        if self._size != image.shape[:2]:
            self._size = image.shape[:2]
            self.forget()
        if self._count % EVERY == 0 or self._shape is None:
            self._look(image)
        self._count += 1
        if self._shape is None:
            return np.zeros_like(image)
        return image if self._cover is None else cv2.copyTo(image, self._cover)

    def _look(self, image: Image) -> None:
        """Finds the shape, or lets the held one grow."""
        seen = picture_area(image)
        if seen is None:
            return
        held = self._shape
        if held is not None and cv2.countNonZero(cv2.subtract(seen, held)) == 0:
            smaller = cv2.countNonZero(seen) < SMALLER * cv2.countNonZero(held)
            self._smaller = self._smaller + 1 if smaller else 0
            if self._smaller < PATIENCE:
                return
            held = None
        self._smaller = 0
        self._shape = _hull(seen if held is None else cv2.max(seen, held))
        share = cv2.countNonZero(self._shape) / self._shape.size
        if share >= WHOLE:
            self._cover = None
            self._tell("crop: the picture fills the frame; nothing is cut")
            return
        height, width = image.shape[:2]
        self._cover = cv2.resize(self._shape, (width, height), interpolation=cv2.INTER_LINEAR)
        self._cover = cv2.threshold(self._cover, 127, 255, cv2.THRESH_BINARY)[1]
        left, top, w, h = cv2.boundingRect(self._cover)
        self._tell(f"crop: picture of {w}x{h} at {left},{top}; the rest of the {width}x{height} frame is black")

    def _tell(self, line: str) -> None:
        kind = line.partition(";")[2]
        if kind != self._said:  # growing by a few pixels is no news
            self._said = kind
            self._say(line)


def cropped(crop: Crop | None, frame: StreamFrame, *, stills: bool = False) -> StreamFrame:
    """The frame as everything after the source sees it; among ``stills`` each is another picture."""
    if crop is None:
        return frame
    if stills:
        crop.forget()
    image = crop.apply(frame.image)
    return frame if image is frame.image else replace(frame, image=image)


def picture_area(image: Image) -> Image | None:
    """Where an endoscope's picture lies, without the text around it.

    What is brighter than black is opened (strokes of letters vanish), the largest piece kept, and made convex: round,
    octagonal and rectangular pictures all are, and a dark lumen at the rim is inside.

    Args:
        image: uint8 BGR [H, W, 3].

    Returns:
        uint8 [h, w], 0 or 255, at the search's size; None where there is no picture.
    """
    rows = min(ROWS, image.shape[0])
    columns = max(1, round(image.shape[1] * rows / image.shape[0]))
    small = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
    blue, green, red = cv2.split(small)
    bright = cv2.threshold(cv2.max(cv2.max(blue, green), red), LEVEL, 255, cv2.THRESH_BINARY)[1]
    side = max(3, STROKE * rows // ROWS | 1)
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    # Beyond the frame counts as picture, or the corners of one that fills it would go.
    opened = cv2.morphologyEx(bright, cv2.MORPH_OPEN, kernel, borderType=cv2.BORDER_REPLICATE)
    count, labels, stats, _ = cv2.connectedComponentsWithStats(opened, connectivity=8)
    if count < 2:
        return None
    largest = 1 + int(np.argmax(stats[1:, cv2.CC_STAT_AREA]))
    hull = _hull((labels == largest).astype(np.uint8) * np.uint8(255))
    _, _, width, height = cv2.boundingRect(hull)
    if width < SMALLEST * columns or height < SMALLEST * rows:
        return None
    return hull


def _hull(mask: Image) -> Image:
    contours, _ = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_SIMPLE)
    points = cv2.convexHull(np.concatenate(contours))
    out: Image = np.zeros_like(mask)
    cv2.fillConvexPoly(out, points, 255)
    return out


def _cut(image: Image, part: Rectangle) -> Image:
    height, width = image.shape[:2]
    if part.left + part.width > width or part.top + part.height > height:
        text = f"{part.width}:{part.height}:{part.left}:{part.top}"
        raise InputError(f"--crop {text} reaches out of the {width}x{height} frame; give a rectangle inside it")
    return np.ascontiguousarray(image[part.top : part.top + part.height, part.left : part.left + part.width])
