"""How late a frame is by the stream's own clock, and whether its size can be believed. Pure."""

from __future__ import annotations

# A jump of the stream's clock against ours that no network makes: a new epoch.
_JUMP = 10.0
# Clocks of cameras run up to 100 ppm wrong: the baseline may creep up by that.
_CREEP = 2e-4
# A connection begins with what the server had queued; it is over when a frame had to be waited for, or after this long.
_SETTLE = 0.5


class Lag:
    """Seconds by which a frame comes later than the promptest frame of its connection."""

    def __init__(self) -> None:
        self._base: float | None = None
        self._at = 0.0
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
            if self._base is None or offset < self._base or offset - self._base > _JUMP:
                self._base = offset
            self._at = received
            late = offset - self._base
        if not self._settled:
            self._settled = waited or received - self._since > _SETTLE
        return late if self._settled else None


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
