"""What a source is: an iterable of frames that knows its name and pace."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from edgeseg.stream.frame import StreamFrame


@dataclass(frozen=True)
class SourceOptions:
    """What a camera is asked for; files ignore it. ``video_size`` is width, height."""

    video_size: tuple[int, int] | None = None
    framerate: float | None = None


class FrameSource(Protocol):
    """Recorded sources give every frame in order; live ones are drained at the camera's pace.

    Attributes:
        name: for messages, without secrets.
        live: whether frames come at their own pace.
        stills: single pictures, each with a name of its own.
        length: number of frames where known.
        framerate: frames per second where known.
        warning: what was wrong though frames came, such as damaged packets; empty if nothing.
    """

    name: str
    live: bool
    stills: bool
    length: int | None
    framerate: float | None
    warning: str

    def __iter__(self) -> Iterator[StreamFrame]:
        """Frames until the end.

        Raises:
            InputError: a recorded source is damaged.
            SourceError: a camera is gone.
        """
        ...

    def close(self) -> None:
        """Frees the source; only the thread that reads it calls this."""
        ...
