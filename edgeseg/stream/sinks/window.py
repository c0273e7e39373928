"""A window (``--show``), where the full opencv-python and a display are there."""

from __future__ import annotations

import os

import cv2

from edgeseg.errors import BackendError
from edgeseg.model import Result
from edgeseg.stream.frame import StreamFrame
from edgeseg.stream.overlay import Overlay
from edgeseg.stream.sinks.base import Closed
from edgeseg.stream.status import Status


def check() -> None:
    """Raises: BackendError, with what to do, where no window can be shown."""
    if "GUI:                           NONE" in cv2.getBuildInformation() or not hasattr(cv2, "imshow"):
        raise BackendError(
            "--show: this OpenCV has no windows; run: pip uninstall opencv-python-headless && pip install opencv-python"
        )
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise BackendError("--show: there is no display here; write a video with --out FILE.mp4 instead")


class Window:
    """Shows the overlay.

    Raises:
        BackendError: no window can be shown here.
    """

    name = "show"

    def __init__(self, overlay: Overlay, title: str = "edgeseg") -> None:
        check()
        self._overlay, self._title = overlay, title
        self._status: Status | None = None
        self._frame: StreamFrame | None = None
        self._shown = False

    def write(self, frame: StreamFrame, result: Result | None) -> None:
        self._frame = frame
        self._show(self._overlay.draw(frame, result, self._status))

    def status(self, status: Status) -> None:
        self._status = status
        if status.state in ("STALE", "LOST") and self._frame is not None:
            self._show(self._overlay.old(self._frame, status))
        elif self._shown:
            self._keys()

    def _show(self, image: object) -> None:
        cv2.imshow(self._title, image)
        self._keys()
        self._shown = True

    def _keys(self) -> None:
        key = cv2.waitKey(1) & 0xFF
        if key in (ord("q"), 27) or (self._shown and cv2.getWindowProperty(self._title, cv2.WND_PROP_VISIBLE) < 1):
            raise Closed

    def close(self) -> None:
        cv2.destroyAllWindows()
