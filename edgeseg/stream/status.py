"""What a live stream says about itself: the signal state and the figures beside it."""

from __future__ import annotations

from dataclasses import dataclass

# In ascending order; the highest that holds wins (contract, "States").
STATES = ("LIVE", "FROZEN", "NO_SIGNAL", "INVALID", "STALE", "LOST")


@dataclass(frozen=True)
class Status:
    """Of one stream at one moment.

    Attributes:
        stream: name for messages, without secrets.
        state: one of :data:`STATES`.
        reason: why it is not LIVE, a few words; empty if it is.
        sequence: of the newest frame; -1 before the first.
        age_ms: of the newest frame, from its receipt to now.
        wall_time: Unix seconds of this moment.
        fps: frames with a result per second, over the last seconds.
        dropped: frames so far that a newer one overtook.
        latency_ms: p50 of each stage over the last seconds, and ``glass_to_mask``.
        degraded: frames come, but late or with losses.
    """

    stream: str
    state: str
    reason: str
    sequence: int
    age_ms: float
    wall_time: float
    fps: float = 0.0
    dropped: int = 0
    latency_ms: dict[str, float] | None = None
    degraded: bool = False
