"""http(s)://: MJPEG as cameras and microscopes serve it, HLS, or any file that FFmpeg plays."""

from __future__ import annotations

from urllib.parse import urlsplit

from edgeseg.stream.sources.base import SourceOptions
from edgeseg.stream.sources.network import NetworkCamera, Settings


def camera(url: str, _: SourceOptions) -> NetworkCamera:
    """HLS comes in segments of seconds and is played at its own pace; MJPEG is shown as it comes."""
    port = 443 if url.lower().startswith("https:") else 80
    if urlsplit(url).path.lower().endswith((".m3u8", ".m3u", ".mp4", ".mkv", ".ts", ".webm")):
        options = {"probesize": "500000", "analyzeduration": "1000000", "live_start_index": "-1"}
        return NetworkCamera(url, Settings(_known(url, options), open_s=10, read_s=10, timed=False, paced=True, port=port))
    # MJPEG carries no times: FFmpeg makes them up at 25 a second.
    return NetworkCamera(url, Settings({"probesize": "5000"}, read_s=2.0, timed=False, port=port))


def _known(url: str, options: dict[str, str]) -> dict[str, str]:
    """``live_start_index`` belongs to HLS alone; FFmpeg ignores what it does not know, and PyAV lets it."""
    return options if ".m3u" in urlsplit(url).path.lower() else {k: v for k, v in options.items() if k[0] != "l"}
