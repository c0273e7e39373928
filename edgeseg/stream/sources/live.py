"""What a live source is to the capture process: opened, read, closed, by one thread; every failure opens a new one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
from numpy.typing import NDArray


class Trouble(Exception):  # noqa: N818 - a dropped connection is the weather, not an error
    """Why a source gives nothing now: a sentence of a few words, without secrets.

    ``slow``: trying again soon is of no use (credentials, path). ``ended``: a clean end. ``final``: no trying again.
    """

    def __init__(self, text: str, *, slow: bool = False, ended: bool = False, final: bool = False) -> None:
        super().__init__(text)
        self.slow, self.ended, self.final = slow, ended, final


@dataclass(frozen=True)
class Taken:
    """A picture as it left the decoder.

    Attributes:
        image: uint8 BGR [H, W, 3].
        source_time: seconds by the stream's own clock; None where it has none.
        received: monotonic seconds at which its data had come in.
        decode_ms: decoding and conversion.
        damaged: whether data it depends on was missing or wrong.
        waited: whether it had to be waited for: nothing older was queued.
    """

    image: NDArray[np.uint8]
    source_time: float | None
    received: float
    decode_ms: float
    damaged: bool = False
    waited: bool = True


@dataclass
class Facts:
    """What is known once a source is open; ``notes`` are said to the user once."""

    framerate: float | None = None
    notes: tuple[str, ...] = ()


class Camera(Protocol):
    """A live source.

    Attributes:
        open_s: seconds that opening may take.
        read_s: seconds that a frame may take, after which the source counts as silent.
        timed: whether ``source_time`` tells how late a frame is.
        damaged: packets that could not be decoded, so far.
    """

    open_s: float
    read_s: float
    timed: bool
    damaged: int

    def open(self) -> Facts:
        """Raises: Trouble."""
        ...

    def read(self) -> list[Taken]:
        """The next pictures, mostly one; none where data came that makes no picture.

        Raises:
            Trouble: nothing came in time, or the source ended.
        """
        ...

    def close(self) -> None:
        """Frees everything; only the thread that reads calls it."""
        ...
