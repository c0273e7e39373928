"""Masks as PNG, class index per pixel times 255 / classes (a single class: 0 and 255)."""

from __future__ import annotations

import re
import struct
import time
import zlib
from pathlib import Path

import cv2
import numpy as np

from edgeseg.atomic import atomic_write, disk_errors
from edgeseg.model import Result
from edgeseg.stream.frame import StreamFrame
from edgeseg.stream.status import Status

# A text that PNG has for this. Whoever corrects such a mask by hand saves it without, and then it is theirs.
_SAID = b"tEXtSoftware\0edgeseg infer"
_MARK = struct.pack(">I", len(_SAID) - 4) + _SAID + struct.pack(">I", zlib.crc32(_SAID))
_HEAD = 33  # the signature and IHDR, after which it stands


class MaskFolder:
    """NAME.png per still, SEQUENCE.png (eight digits) per video frame, each complete or not there.

    A single class is written 0 and 255, as data sets have it; several classes as their index. A text in the file says
    who wrote it (:func:`written_here`). A frame without a trustworthy mask gets no file; so that none of an earlier run
    stands in for it, those numbered ones are moved into a folder beside, NAME.DATE.

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
        png = data.tobytes()
        file = self._folder / f"{frame.name or f'{frame.sequence:08d}'}.png"
        atomic_write(file, png[:_HEAD] + _MARK + png[_HEAD:])

    def status(self, _: Status) -> None:
        """A mask is there or not."""

    def close(self) -> None:
        """Every file is complete already."""


def written_here(file: Path) -> bool:
    """Whether a mask is one that :class:`MaskFolder` wrote, and nobody saved since.

    Raises:
        OutputError: it cannot be looked at.
    """
    with disk_errors(file), file.open("rb") as opened:
        return opened.read(_HEAD + len(_MARK))[_HEAD:] == _MARK


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
