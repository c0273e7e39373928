"""What goes over the WebSocket: the length of a JSON header (uint32, little-endian), the header, JPEG, PNG.

The header has the state at the moment of sending. A picture brings the frame as JPEG and, if it was segmented, the
probability as one grey PNG, the classes' maps below each other: threshold and opacity are the browser's.
"""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from edgeseg.postprocess import without_small

if TYPE_CHECKING:
    from edgeseg.model import Result
    from edgeseg.stream.frame import StreamFrame
    from edgeseg.stream.status import Status

JPEG_QUALITY = 85
_LENGTH = struct.Struct("<I")


def picture(frame: StreamFrame, result: Result | None) -> bytes:
    """The part that all viewers of a frame share: its own JSON (with length), JPEG and PNG."""
    _, jpeg = cv2.imencode(".jpg", frame.image, [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY])
    height, width = frame.image.shape[:2]
    about: dict[str, Any] = {"sequence": frame.sequence, "width": width, "height": height, "jpeg": len(jpeg)}
    about["wall_time"] = round(frame.wall_time, 3)
    png = b""
    if result is not None:
        target, source = result.placement.target, result.placement.source
        part = result.probability[:, target.top : target.top + target.height, target.left : target.left + target.width]
        if min_area := result.model.spec.output.min_area:
            part = without_small(part, result.model.thresholds, min_area)
        maps = np.ascontiguousarray(part).reshape(-1, target.width)
        # Mostly 0 and 255: run lengths alone make it small, in a fraction of zlib's time.
        options = [cv2.IMWRITE_PNG_COMPRESSION, 1, cv2.IMWRITE_PNG_STRATEGY, cv2.IMWRITE_PNG_STRATEGY_RLE]
        png = cv2.imencode(".png", maps, options)[1].tobytes()
        about |= {"source": list(source), "classes": len(part)}
    text = json.dumps(about).encode()
    return _LENGTH.pack(len(text)) + text + jpeg.tobytes() + png


def message(header: dict[str, Any], shared: bytes | None) -> bytes:
    """A header of this very moment, and the picture if there is a new one."""
    text = json.dumps(header, ensure_ascii=False).encode()
    return _LENGTH.pack(len(text)) + text + (shared or b"")


def status_json(status: Status) -> dict[str, Any]:
    """A status as the API and the viewer read it."""
    return {
        "stream": status.stream,
        "state": status.state,
        "reason": status.reason,
        "sequence": status.sequence,
        "age_ms": round(status.age_ms, 1),
        "wall_time": round(status.wall_time, 3),
        "fps": round(status.fps, 2),
        "dropped": status.dropped,
        "degraded": status.degraded,
        "stages": {name: round(value, 2) for name, value in (status.latency_ms or {}).items()},
    }
