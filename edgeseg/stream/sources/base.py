"""What a recorded source is: an iterable of frames that knows its name and pace. Live ones: live.py."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from edgeseg.stream.frame import StreamFrame


@dataclass(frozen=True)
class SourceOptions:
    """What a camera is asked for; files ignore it. ``video_size`` is width, height; ``pixel_format`` such as MJPG."""

    video_size: tuple[int, int] | None = None
    framerate: float | None = None
    pixel_format: str | None = None


class FrameSource(Protocol):
    """Gives every frame in order.

    Attributes:
        name: for messages, without secrets.
        stills: single pictures, each with a name of its own.
        length: number of frames where known.
        framerate: frames per second where known.
        warning: what was wrong though frames came, such as damaged packets; empty if nothing.
        notes: what is said of it at the end, such as that it is interlaced.
    """

    name: str
    stills: bool
    length: int | None
    framerate: float | None
    warning: str

    @property
    def notes(self) -> tuple[str, ...]: ...

    def __iter__(self) -> Iterator[StreamFrame]:
        """Frames until the end.

        Raises:
            InputError: a recorded source is damaged.
        """
        ...

    def close(self) -> None:
        """Frees the source; only the thread that reads it calls this."""
        ...
