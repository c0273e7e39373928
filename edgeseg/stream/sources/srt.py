"""srt://: MPEG-TS over SRT, where this FFmpeg was built with it."""

from __future__ import annotations

from edgeseg.stream.sources.base import SourceOptions
from edgeseg.stream.sources.network import NetworkCamera, Settings


def camera(url: str, _: SourceOptions) -> NetworkCamera:
    """Caller mode unless the URL says otherwise (?mode=listener)."""
    options = {"probesize": "100000", "analyzeduration": "200000", "connect_timeout": "2500"}
    return NetworkCamera(url, Settings(options, open_s=5.0, read_s=1.5))
