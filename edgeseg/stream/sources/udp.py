"""udp:// (MPEG-TS), rtp:// (MPEG-TS in RTP) and .sdp files (any RTP); unicast to this machine or multicast."""

from __future__ import annotations

from edgeseg.stream.sources.base import SourceOptions
from edgeseg.stream.sources.network import NetworkCamera, Settings

# Nobody refuses a connection here: FFmpeg must be let wait for the tables that a transport stream repeats.
_PROBE = {"probesize": "200000", "analyzeduration": "300000"}


def camera(url: str, _: SourceOptions) -> NetworkCamera:
    """A sender that does not know of us. Lost datagrams are damaged frames."""
    if url.lower().endswith(".sdp"):
        options = _PROBE | {"protocol_whitelist": "file,udp,rtp"}
        return NetworkCamera(url, Settings(options, container="sdp", open_s=5.0, read_s=1.5))
    options = _PROBE | ({"fifo_size": "50000", "overrun_nonfatal": "1"} if url.lower().startswith("udp:") else {})
    return NetworkCamera(url, Settings(options, open_s=5.0, read_s=1.5))
