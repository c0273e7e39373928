"""Contour, tint, legend, time and signal state on the frame a mask was computed from."""

from __future__ import annotations

import time
from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.manifest import Class
from edgeseg.model import Result
from edgeseg.stream.frame import StreamFrame
from edgeseg.stream.status import Status

TINT, STRONG_TINT = 0.25, 0.7
# Mean width in pixels at 480p below which a structure is thin.
THIN = 8
# BGR of the states that are not LIVE.
COLOURS = {
    "FROZEN": (160, 90, 0),
    "NO_SIGNAL": (90, 90, 90),
    "INVALID": (0, 90, 200),
    "STALE": (0, 60, 190),
    "LOST": (0, 0, 170),
}


class Overlay:
    """Draws a result onto a copy of its frame.

    Args:
        classes: of the manifest; the background first.
    """

    def __init__(self, classes: Sequence[Class]) -> None:
        self._classes = [(one.name, _bgr(one.color)) for one in classes[1:]]

    def draw(self, frame: StreamFrame, result: Result | None, status: Status | None = None) -> NDArray[np.uint8]:
        """uint8 BGR of the frame's size.

        ``result`` belongs to this very frame, or is None: nothing is drawn then that looks like a mask. ``status`` is
        a live stream's; its state and the frame's age are written on the picture.
        """
        image = frame.image.copy()
        # Lines and letters keep their share of the picture from 240p to 4K.
        unit = max(1.0, image.shape[0] / 480)
        areas: list[int] = []
        for index, (_, colour) in enumerate(self._classes, 1) if result is not None else ():
            assert result is not None  # noqa: S101 - the line above
            of_class = (result.mask == index).view(np.uint8)
            areas.append(int(cv2.countNonZero(of_class)))
            if areas[-1]:
                _paint(image, of_class, colour, unit)
        self._legend(image, frame, areas, unit)
        if status is not None:
            state = result.state if result is not None else status.state
            reason = status.reason if state == status.state else ""
            _banner(image, state, reason, frame.age(time.monotonic()), unit)
        return image

    def old(self, frame: StreamFrame, status: Status) -> NDArray[np.uint8]:
        """The last frame of a stream that gives no new ones: grey, without its mask, with its age."""
        grey = cv2.cvtColor(frame.image, cv2.COLOR_BGR2GRAY) // 2
        image: NDArray[np.uint8] = cv2.cvtColor(grey, cv2.COLOR_GRAY2BGR)
        unit = max(1.0, image.shape[0] / 480)
        self._legend(image, frame, [], unit)
        _banner(image, status.state, status.reason, frame.age(time.monotonic()), unit)
        return image

    def _legend(self, image: NDArray[np.uint8], frame: StreamFrame, areas: Sequence[int], unit: float) -> None:
        minutes, seconds = divmod(frame.source_time, 60)
        lines = [(frame.name or f"{int(minutes):02d}:{seconds:06.3f}  #{frame.sequence}", (255, 255, 255))]
        for (name, colour), area in zip(self._classes, areas, strict=False):
            share = 100 * area / (image.shape[0] * image.shape[1])
            lines.append((f"{name} {share:.1f} %" if area else f"{name} -", colour))
        for row, (text, colour) in enumerate(lines):
            _write(image, text, (int(8 * unit), int((18 + 18 * row) * unit)), colour, unit)


def _paint(image: NDArray[np.uint8], mask: NDArray[np.uint8], colour: tuple[int, int, int], unit: float) -> None:
    """Tint inside, a line around with a dark one under it, legible on bright mucosa and on black."""
    left, top, width, height = cv2.boundingRect(mask)
    part = image[top : top + height, left : left + width]
    inside = mask[top : top + height, left : left + width]
    contours, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    # Twice the area over the border's length is the mean width. Of thin structures, such as vessels, a drawn border
    # would hide what it surrounds: they get a strong tint alone.
    border = sum(cv2.arcLength(one, closed=True) for one in contours)
    thin = 2 * cv2.countNonZero(inside) < THIN * unit * border
    tint = STRONG_TINT if thin else TINT
    tinted = cv2.addWeighted(part, 1 - tint, np.full_like(part, colour), tint, 0)
    cv2.copyTo(tinted, inside, part)
    if thin:
        return
    thickness = max(1, round(1.5 * unit))
    cv2.drawContours(image, contours, -1, (0, 0, 0), thickness + 2, cv2.LINE_AA)
    cv2.drawContours(image, contours, -1, colour, thickness, cv2.LINE_AA)


def _banner(image: NDArray[np.uint8], state: str, reason: str, age: float, unit: float) -> None:
    """State and age on the lower edge; a bar in the state's colour where it is not LIVE."""
    text = f"{state}{f': {reason}' if reason else ''}  {age * 1e3:.0f} ms" if age < 10 else f"{state}: {age:.0f} s old"
    height = int(26 * unit)
    if state != "LIVE":
        image[-height:] = COLOURS[state]
    _write(image, text, (int(8 * unit), image.shape[0] - int(8 * unit)), (255, 255, 255), unit)


def _write(image: NDArray[np.uint8], text: str, at: tuple[int, int], colour: tuple[int, int, int], unit: float) -> None:
    scale, thickness = 0.45 * unit, max(1, round(unit))
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), thickness + 2, cv2.LINE_AA)
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, thickness, cv2.LINE_AA)


def _bgr(color: str) -> tuple[int, int, int]:
    return int(color[5:7], 16), int(color[3:5], 16), int(color[1:3], 16)
