"""A video file beside live streams: played at its own pace, once."""

from __future__ import annotations

from edgeseg.stream.sources.base import SourceOptions
from edgeseg.stream.sources.network import NetworkCamera, Settings


def camera(path: str, _: SourceOptions) -> NetworkCamera:
    """The file as if a camera gave it."""
    options = {"probesize": "5000000", "analyzeduration": "5000000", "flags": ""}
    return NetworkCamera(path, Settings(options, open_s=10, read_s=10, timed=False, paced=True, ends=True))
