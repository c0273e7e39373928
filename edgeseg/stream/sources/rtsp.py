"""rtsp:// and rtsps://: over TCP always; a lost datagram would be a damaged picture."""

from __future__ import annotations

from edgeseg.stream.sources.base import SourceOptions
from edgeseg.stream.sources.network import NetworkCamera, Settings


def camera(url: str, _: SourceOptions) -> NetworkCamera:
    """A camera that is asked for its video alone.

    FFmpeg's ``fflags=nobuffer`` is left out on purpose: it throws away what was read while probing, which is the
    keyframe that a camera sends first (a second until the next, at the usual distance).
    """
    port = 322 if url.lower().startswith("rtsps:") else 554
    options = {"rtsp_transport": "tcp", "allowed_media_types": "video"}
    return NetworkCamera(url, Settings(options, port=port))
