"""The annotated picture for plain clients (MJPEG, snapshots): overlay drawn in, and a banner unless it is live."""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from edgeseg.stream.web.message import JPEG_QUALITY

if TYPE_CHECKING:
    from edgeseg.model import Result
    from edgeseg.stream.frame import StreamFrame
    from edgeseg.stream.overlay import Overlay
    from edgeseg.stream.status import Status

RED, AMBER, WHITE = (40, 40, 200), (0, 130, 220), (255, 255, 255)


def annotated(overlay: Overlay, frame: StreamFrame | None, result: Result | None, status: Status) -> bytes:
    """JPEG of the frame, its mask only while LIVE; a grey picture with the state if there is no frame."""
    if frame is None:
        image = np.full((480, 640, 3), 24, np.uint8)
    elif result is not None and status.state == "LIVE":
        image = overlay.draw(frame, result)
    else:
        image = frame.image.copy()
    if status.state != "LIVE":
        _banner(image, status)
    return cv2.imencode(".jpg", image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])[1].tobytes()


def _banner(image: np.ndarray[tuple[int, ...], np.dtype[np.uint8]], status: Status) -> None:
    unit = max(0.5, image.shape[0] / 480)
    top = int(image.shape[0] - 64 * unit)
    image[top:] = RED if status.state in ("STALE", "LOST") else AMBER
    text = f"{status.state}  {status.age_ms / 1e3:.1f} s" if status.sequence >= 0 else status.state
    for line, (words, scale) in enumerate(((text, 0.9), (status.reason, 0.5))):
        # OpenCV's letters are ASCII.
        ascii_words = words.encode("ascii", "replace").decode()
        at = (int(12 * unit), top + int((28 + 24 * line) * unit))
        thickness = max(1, round((2 - line) * unit))
        cv2.putText(image, ascii_words, at, cv2.FONT_HERSHEY_SIMPLEX, scale * unit, WHITE, thickness, cv2.LINE_AA)
