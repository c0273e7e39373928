"""A window (``--show``), where the full opencv-python and a display are there."""

from __future__ import annotations

import os

import cv2

from edgeseg.errors import BackendError
from edgeseg.model import Result
from edgeseg.stream.frame import StreamFrame
from edgeseg.stream.overlay import Overlay


def check() -> None:
    """Raises: BackendError, with what to do, where no window can be shown."""
    if "GUI:                           NONE" in cv2.getBuildInformation() or not hasattr(cv2, "imshow"):
        raise BackendError(
            "--show: this OpenCV has no windows; run: pip uninstall opencv-python-headless && pip install opencv-python"
        )
    if not (os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY")):
        raise BackendError("--show: there is no display here; write a video with --out FILE.mp4 instead")


class Window:
    """Shows the overlay; closing the window or q ends the run.

    Raises:
        BackendError: no window can be shown here.
    """

    name = "show"

    def __init__(self, overlay: Overlay) -> None:
        check()
        self._overlay = overlay

    def write(self, frame: StreamFrame, result: Result) -> None:
        cv2.imshow("edgeseg", self._overlay.draw(frame, result))
        if cv2.waitKey(1) & 0xFF == ord("q"):
            raise KeyboardInterrupt

    def close(self) -> None:
        cv2.destroyAllWindows()
