"""A video file beside live streams: played at its own pace, once."""

from __future__ import annotations

from pathlib import Path

from edgeseg.stream.sources.base import SourceOptions
from edgeseg.stream.sources.network import NetworkCamera, Settings


def camera(path: str, _: SourceOptions) -> NetworkCamera:
    """The file as if a camera gave it."""
    options = {"probesize": "5000000", "analyzeduration": "5000000", "flags": ""}
    # As an absolute path: FFmpeg takes what stands before a colon, as in 10:30.mp4, for a protocol.
    place = str(Path(path).absolute())
    return NetworkCamera(place, Settings(options, open_s=10, read_s=10, timed=False, paced=True, ends=True))
