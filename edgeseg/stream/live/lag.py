"""How late a frame is by the stream's own clock, whether its connection and its size can be believed. Pure."""

from __future__ import annotations

from edgeseg.stream.live.state import STALE_S

# From one frame to the next: no read takes so long, so the stream's clock was set. Measured against the frame before,
# never against the promptest one: a link that is too thin gets there by and by, with frames that are really so old.
_JUMP = 10.0
# Clocks of cameras run up to 100 ppm wrong: the baseline may creep up by that.
_CREEP = 2e-4
# A connection begins with what the server had queued; it is over when a frame had to be waited for, or after this long.
_SETTLE = 0.5
# A hiccup of the network is caught up with in less; a queue that stays is left behind by connecting anew.
_PATIENCE = 2.0
# A link that carries the stream hands its frames on within this.
_PACE = 0.25
# Older than its connection a frame is by what the server had queued for it.
_QUEUED = 1.0


class Lag:
    """Seconds by which a frame comes later than the promptest frame of its connection."""

    def __init__(self) -> None:
        self._base: float | None = None
        self._last = self._at = 0.0
        self._since: float | None = None
        self._settled = False

    def __call__(self, source_time: float | None, received: float, *, waited: bool = True) -> float | None:
        """Lag of a frame; None for one of the queue that a new connection begins with, which nobody should see."""
        self._since = received if self._since is None else self._since
        late = 0.0
        if source_time is not None:
            offset = received - source_time
            if self._base is not None:
                self._base += (received - self._at) * _CREEP
            if self._base is None or offset < self._base or offset - self._last > _JUMP:
                self._base = offset
            self._last, self._at = offset, received
            late = offset - self._base
        if not self._settled:
            self._settled = waited or received - self._since > _SETTLE
        return late if self._settled else None


class Link:
    """What is to be thought of a connection whose frames come late: whether to leave it, whether to believe the next.

    The promptest frame of a connection that is too thin was late itself. So what follows one that ended late is on
    trial: until it has kept pace for a while, its frames count as old as they can be.

    Args:
        trial: the connection before ended late, or on trial.
        began: monotonic seconds at which this one was asked for.
    """

    def __init__(self, *, trial: bool, began: float) -> None:
        self.trial, self._began = trial, began
        self._late_since: float | None = None
        self._in_pace_since: float | None = None

    def __call__(self, late: float, received: float) -> float:
        """Seconds by which the frame counts as late, given by how much it came after the promptest one."""
        if late > STALE_S:
            self._late_since = received if self._late_since is None else self._late_since
        else:
            self._late_since = None
        if late > _PACE or self._in_pace_since is None:
            self._in_pace_since = received
        self.trial = self.trial and received - self._in_pace_since <= _PATIENCE
        self._received = received
        return max(late, received - self._began + _QUEUED) if self.trial else late

    @property
    def late(self) -> bool:
        """Whether the last frame came late."""
        return self._late_since is not None

    @property
    def hopeless(self) -> bool:
        """Whether the last frame was one too many that came late."""
        return self._late_since is not None and self._received - self._late_since > _PATIENCE


class SizeGate:
    """Lets a new size in only after it held for some frames: damaged streams give single frames of any size."""

    HOLD = 5

    def __init__(self) -> None:
        self._size: tuple[int, ...] | None = None
        self._new: tuple[int, ...] | None = None
        self._count = 0
        self.bogus = 0

    def __call__(self, size: tuple[int, ...], *, damaged: bool = False) -> bool:
        """Whether a frame of this size is to be believed; ``bogus`` then says how many before it were not."""
        self.bogus = 0
        if size == self._size:
            self.bogus, self._count, self._new = self._count, 0, None
            return True
        if self._size is None and not damaged:
            self._size = size
            return True
        self._count = self._count + 1 if size == self._new else 1
        self._new = size
        if self._count < self.HOLD or damaged:
            return False
        self._size, self._new, self._count = size, None, 0
        return True
