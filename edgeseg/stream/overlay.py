"""Contour, tint, legend and time on the frame a mask was computed from."""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.manifest import Class
from edgeseg.model import Result
from edgeseg.stream.frame import StreamFrame

TINT = 0.25


class Overlay:
    """Draws a result onto a copy of its frame.

    Args:
        classes: of the manifest; the background first.
        latency: whether to write the milliseconds of the engine beside the time.
    """

    def __init__(self, classes: Sequence[Class]) -> None:
        self._classes = [(one.name, _bgr(one.color)) for one in classes[1:]]

    def draw(self, frame: StreamFrame, result: Result) -> NDArray[np.uint8]:
        """uint8 BGR of the frame's size."""
        image = frame.image.copy()
        # Lines and letters keep their share of the picture from 240p to 4K.
        unit = max(1.0, image.shape[0] / 480)
        areas = []
        for index, (_, colour) in enumerate(self._classes, 1):
            of_class = (result.mask == index).view(np.uint8)
            areas.append(int(cv2.countNonZero(of_class)))
            if areas[-1]:
                _paint(image, of_class, colour, unit)
        self._legend(image, frame, areas, unit)
        return image

    def _legend(self, image: NDArray[np.uint8], frame: StreamFrame, areas: Sequence[int], unit: float) -> None:
        minutes, seconds = divmod(frame.source_time, 60)
        lines = [(frame.name or f"{int(minutes):02d}:{seconds:06.3f}  #{frame.sequence}", (255, 255, 255))]
        for (name, colour), area in zip(self._classes, areas, strict=True):
            share = 100 * area / (image.shape[0] * image.shape[1])
            lines.append((f"{name} {share:.1f} %" if area else f"{name} -", colour))
        for row, (text, colour) in enumerate(lines):
            _write(image, text, (int(8 * unit), int((18 + 18 * row) * unit)), colour, unit)


def _paint(image: NDArray[np.uint8], mask: NDArray[np.uint8], colour: tuple[int, int, int], unit: float) -> None:
    """Tint inside, a line around with a dark one under it, legible on bright mucosa and on black."""
    left, top, width, height = cv2.boundingRect(mask)
    part = image[top : top + height, left : left + width]
    inside = mask[top : top + height, left : left + width]
    tinted = cv2.addWeighted(part, 1 - TINT, np.full_like(part, colour), TINT, 0)
    cv2.copyTo(tinted, inside, part)
    contours, _ = cv2.findContours(mask, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    thickness = max(1, round(1.5 * unit))
    if width * height > 4000 * unit * unit:  # thin structures, such as vessels, get the bright line alone
        cv2.drawContours(image, contours, -1, (0, 0, 0), thickness + 2, cv2.LINE_AA)
    cv2.drawContours(image, contours, -1, colour, thickness, cv2.LINE_AA)


def _write(image: NDArray[np.uint8], text: str, at: tuple[int, int], colour: tuple[int, int, int], unit: float) -> None:
    scale, thickness = 0.45 * unit, max(1, round(unit))
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, (0, 0, 0), thickness + 2, cv2.LINE_AA)
    cv2.putText(image, text, at, cv2.FONT_HERSHEY_SIMPLEX, scale, colour, thickness, cv2.LINE_AA)


def _bgr(color: str) -> tuple[int, int, int]:
    return int(color[5:7], 16), int(color[3:5], 16), int(color[1:3], 16)
