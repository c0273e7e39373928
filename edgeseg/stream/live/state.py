"""The six states of a stream, decided here and nowhere else; pure, fed with numbers and asked with a time."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from edgeseg.stream.live.content import Content

STALE_S = 0.5
LOST_S = 3.0
FROZEN_S = 0.6
# The reason until a source gave its first frame or its first trouble.
CONNECTING = "connecting"
# Below both a frame shows what the one before showed: encoders leave that much of a repeated picture, the noise of a
# sensor (1 grey level is a mean difference of 1.1) or anything that moves more.
_STILL, _STILL_BLOCK = 0.35, 6.0
# A repeated picture pops at keyframes: one such change in the window is forgiven, if it is no new scene.
_POPS, _POP = 1, 4.0
_DARK, _BRIGHT, _FLAT = 32.0, 224.0, 8.0
_NOISE, _NOISE_SPREAD = 0.55, 40.0


@dataclass
class Signal:
    """What is known of one stream.

    Times are monotonic seconds. ``lag`` is how much older than its receipt a frame is known to be, by the
    stream's own clock. ``frozen_s`` is how long a picture must be unchanged.
    """

    frozen_s: float = FROZEN_S
    received: float | None = None
    lag: float = 0.0
    trouble: str = CONNECTING
    invalid: str = ""
    content: Content | None = None
    _recent: deque[tuple[float, bool]] = field(default_factory=deque, repr=False)

    def frame(self, received: float, content: Content, lag: float = 0.0) -> None:
        """A frame came."""
        self.received, self.lag, self.content, self.trouble = received, lag, content, ""
        changed = content.change > _STILL or content.block > _STILL_BLOCK
        if content.change > _POP:
            self._recent.clear()
        self._recent.append((received, changed))
        # One frame from before the window stays: it shows that the window is full.
        while len(self._recent) > 2 and self._recent[1][0] <= received - self.frozen_s:
            self._recent.popleft()

    def restart(self, trouble: str) -> None:
        """The source is being opened again; what was seen before says nothing about what comes."""
        self._recent.clear()
        self.trouble = trouble

    def age(self, now: float) -> float:
        """Seconds since the newest frame was taken; infinite before the first."""
        return float("inf") if self.received is None else now - self.received + self.lag

    def at(self, now: float, age: float | None = None) -> tuple[str, str]:
        """State and reason; the highest that holds wins. ``age`` is the newest frame's unless given."""
        age = self.age(now) if age is None else age
        if age > STALE_S:
            late = "frames come late" if self.lag > STALE_S else "no new frame"
            return "LOST" if age > LOST_S else "STALE", self.trouble or late
        if self.invalid:
            return "INVALID", self.invalid
        nothing = no_picture(self.content) if self.content else ""
        if nothing:
            return "NO_SIGNAL", nothing
        if self.frozen():
            return "FROZEN", "picture unchanged"
        return "LIVE", ""

    def frozen(self) -> bool:
        """Whether the picture was the same all through the window."""
        if len(self._recent) < 4 or self._recent[-1][0] - self._recent[0][0] < self.frozen_s - 1e-3:
            return False
        return sum(changed for _, changed in list(self._recent)[1:]) <= _POPS


def no_picture(content: Content) -> str:
    """Why this is no picture of anything ("black", "white", "noise"); empty if it may be one."""
    flat = content.high - content.low < _FLAT
    if flat and content.high < _DARK:
        return "black"
    if flat and content.low > _BRIGHT:
        return "white"
    if content.grain > _NOISE and content.high - content.low > _NOISE_SPREAD:
        return "noise"
    return ""
