"""Masks as PNG, class index per pixel times 255 / classes (a single class: 0 and 255)."""

from __future__ import annotations

import re
import time
from pathlib import Path

import cv2
import numpy as np

from edgeseg.atomic import atomic_write, disk_errors
from edgeseg.model import Result
from edgeseg.stream.frame import StreamFrame
from edgeseg.stream.status import Status


class MaskFolder:
    """NAME.png per still, SEQUENCE.png (eight digits) per video frame, each complete or not there.

    A single class is written 0 and 255, as data sets have it; several classes as their index. A frame without a
    trustworthy mask gets no file; so that none of an earlier run stands in for it, those numbered ones are moved into a
    folder beside, NAME.DATE.

    Raises:
        OutputError: they cannot be moved.
    """

    name = "masks"
    depth = 8

    def __init__(self, folder: Path, classes: int, *, numbered: bool = True) -> None:
        self._folder = folder
        if numbered:
            _set_aside(folder)
        self._scale = np.uint8(255 if classes == 1 else 1)

    def write(self, frame: StreamFrame, result: Result | None) -> None:
        if result is None:
            return
        _, data = cv2.imencode(".png", result.mask * self._scale, [cv2.IMWRITE_PNG_COMPRESSION, 1])
        atomic_write(self._folder / f"{frame.name or f'{frame.sequence:08d}'}.png", data.tobytes())

    def status(self, _: Status) -> None:
        """A mask is there or not."""

    def close(self) -> None:
        """Every file is complete already."""


def _set_aside(folder: Path) -> None:
    old = sorted(file for file in folder.glob("*.png") if re.fullmatch(r"\d{8}", file.stem))
    if not old:
        return
    with disk_errors(folder):
        stamp = time.strftime("%Y%m%d-%H%M%S", time.localtime(old[-1].stat().st_mtime))
        aside = folder.with_name(f"{folder.name}.{stamp}")
        aside.mkdir(exist_ok=True)
        for file in old:
            file.replace(aside / file.name)
