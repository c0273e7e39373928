"""`edgeseg sources`: what this machine can open, and why not the rest."""

from __future__ import annotations

import fcntl
import struct
from dataclasses import dataclass
from pathlib import Path

from edgeseg.stream.sources import TABLE, Kind

# struct v4l2_capability of <linux/videodev2.h>; VIDIOC_QUERYCAP.
_QUERYCAP = 0x80685600
_CAPTURE = 0x00000001
_DEVICE_CAPS = 0x80000000


@dataclass(frozen=True)
class Available:
    """A kind of source, or a device: ``name``, an ``example`` to type, whether it works, and what there is to say."""

    name: str
    example: str
    works: bool
    detail: str


def available() -> list[Available]:
    """Every kind of the table of sources, then the cameras that are plugged in."""
    return [_kind(kind) for kind in TABLE] + devices()


def _kind(kind: Kind) -> Available:
    import av

    from edgeseg.stream.sources.camera import has_gstreamer

    protocols = {"srt": "srt"}
    scheme = kind.example.partition(":")[0]
    if scheme == "gst" and not has_gstreamer():
        return Available(kind.name, kind.example, works=False, detail="this OpenCV was built without GStreamer")
    if scheme in protocols and not _speaks(protocols[scheme]):
        return Available(kind.name, kind.example, works=False, detail="this FFmpeg was built without libsrt")
    if kind.name == "camera":
        found = devices()
        detail = f"{len(found)} found" if found else "none is plugged in (no /dev/video* that captures)"
        return Available(kind.name, kind.example, works=bool(found), detail=detail)
    how = "PyAV " + av.__version__ if kind.live and scheme not in ("phantom", "gst", "-") else ""
    return Available(kind.name, kind.example, works=True, detail=how)


def _speaks(protocol: str) -> bool:
    """Asked by opening what cannot be there."""
    import av

    try:
        av.open(f"{protocol}://127.0.0.1:1?connect_timeout=1", timeout=0.2).close()
    except av.error.ProtocolNotFoundError:
        return False
    except (av.FFmpegError, OSError):
        return True
    return True


def devices() -> list[Available]:
    """V4L2 devices that capture; a camera has others, for metadata."""
    out = []
    for path in sorted(Path("/dev").glob("video*"), key=lambda one: (len(one.name), one.name)):
        try:
            with path.open("rb") as device:
                answer = bytearray(104)
                fcntl.ioctl(device, _QUERYCAP, answer)
        except OSError as error:
            out.append(Available("camera", str(path), works=False, detail=error.strerror or "cannot be opened"))
            continue
        card = bytes(answer[16:48]).split(b"\0")[0].decode("utf-8", "replace")
        capabilities, own = struct.unpack_from("<II", answer, 84)
        if (own if capabilities & _DEVICE_CAPS else capabilities) & _CAPTURE:
            out.append(Available("camera", str(path), works=True, detail=card))
    return out
