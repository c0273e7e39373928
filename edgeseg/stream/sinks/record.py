"""The camera's frames as they came, with their times, to be replayed with ``--stream FILE`` or ``edgeseg compare``."""

from __future__ import annotations

from pathlib import Path

from edgeseg.commands.options import Codec
from edgeseg.model import Result
from edgeseg.stream.frame import StreamFrame
from edgeseg.stream.sinks.encoder import Encoder
from edgeseg.stream.status import Status


class Recorder:
    """Nothing is drawn in; frames that were damaged are kept too, as what the engine could have seen.

    From a change of size on they go into NAME-2.SUFFIX, and so on.

    Raises:
        UsageError: neither .mp4 nor .mkv.
        OutputError: it cannot be created.
    """

    name = "record"
    # A second of patience: a hole in a recording cannot be filled.
    depth = 25

    def __init__(self, path: Path, codec: Codec = Codec.h264) -> None:
        self._path, self._codec = path, codec
        self._encoder = Encoder(path, None, codec, live=True, lossless=True)
        self._size: tuple[int, ...] | None = None
        self._files = 1
        self._began: float | None = None

    def write(self, frame: StreamFrame, _: Result | None) -> None:
        size = frame.image.shape[:2]
        if self._size not in (None, size):
            self._turn()
        self._size = size
        self._began = frame.source_time if self._began is None else self._began
        self._encoder.write(frame.image, frame.source_time - self._began)

    def _turn(self) -> None:
        """The camera changed its size: its frames stay as they are, in another file."""
        self._encoder.close()
        self._began = None
        self._encoder = Encoder(self._next(), None, self._codec, live=True, lossless=True)

    def _next(self) -> Path:
        """A name that is free: it was not asked for, so nothing may be lost by it."""
        while True:
            self._files += 1
            path = self._path.with_name(f"{self._path.stem}-{self._files}{self._path.suffix}")
            if not path.exists():
                return path

    def status(self, _: Status) -> None:
        """A recording has frames alone; states are in the events."""

    def close(self) -> None:
        self._encoder.close()
