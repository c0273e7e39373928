"""A local camera by index, through OpenCV."""

from __future__ import annotations

import time
from collections.abc import Iterator

import cv2
import numpy as np

from edgeseg.errors import SourceError
from edgeseg.stream.frame import StreamFrame
from edgeseg.stream.sources.base import SourceOptions

# OpenCV takes an int, and adds codes of its own above this.
_MOST = 100


class Camera:
    """A camera by index.

    Raises:
        SourceError: there is none, or another program holds it.
    """

    live = True
    stills = False
    length: int | None = None

    def __init__(self, index: int, options: SourceOptions) -> None:
        self.name = f"camera {index}"
        self.warning = ""
        if index >= _MOST:
            raise SourceError(f"camera {index}: cannot be opened; cameras are numbered 0 to {_MOST - 1}")
        level = cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
        try:
            self._capture = cv2.VideoCapture(index)
        finally:
            cv2.utils.logging.setLogLevel(level)
        if not self._capture.isOpened():
            self._capture.release()
            raise SourceError(f"camera {index}: cannot be opened; is it there (ls /dev/video*) and not in use?")
        if options.video_size:
            self._capture.set(cv2.CAP_PROP_FRAME_WIDTH, options.video_size[0])
            self._capture.set(cv2.CAP_PROP_FRAME_HEIGHT, options.video_size[1])
        if options.framerate:
            self._capture.set(cv2.CAP_PROP_FPS, options.framerate)
        self.framerate = self._capture.get(cv2.CAP_PROP_FPS) or None

    def __iter__(self) -> Iterator[StreamFrame]:
        begin, sequence = time.monotonic(), 0
        while True:
            start = time.perf_counter()
            ok, image = self._capture.read()
            if not ok:
                raise SourceError(f"{self.name}: gives no frames any more")
            now = time.monotonic()
            decode = (time.perf_counter() - start) * 1e3
            frame = np.ascontiguousarray(image, dtype=np.uint8)
            yield StreamFrame(frame, sequence, now - begin, now, time.time(), decode)
            sequence += 1

    def close(self) -> None:
        self._capture.release()
