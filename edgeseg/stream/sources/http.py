"""http(s)://: MJPEG as cameras and microscopes serve it, HLS, or any file that FFmpeg plays."""

from __future__ import annotations

import re

from edgeseg.stream.sources.base import SourceOptions
from edgeseg.stream.sources.network import NetworkCamera, Settings

_BURSTS = (".m3u8", ".m3u", ".mp4", ".mkv", ".ts", ".webm")


def camera(url: str, _: SourceOptions) -> NetworkCamera:
    """HLS comes in segments of seconds and is played at its own pace; MJPEG is shown as it comes."""
    port = 443 if url.lower().startswith("https:") else 80
    path = re.split("[?#]", url.lower(), maxsplit=1)[0]  # urlsplit refuses some addresses; connecting says so later
    if path.endswith(_BURSTS):
        options = {"probesize": "500000", "analyzeduration": "1000000"}
        if ".m3u" in path:
            options["live_start_index"] = "-1"  # the newest segment
        return NetworkCamera(url, Settings(options, open_s=10, read_s=10, timed=False, paced=True, port=port))
    # MJPEG carries no times: FFmpeg makes them up at 25 a second.
    return NetworkCamera(url, Settings({"probesize": "5000"}, read_s=2.0, timed=False, port=port))
