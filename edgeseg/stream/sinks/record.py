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

    Raises:
        UsageError: neither .mp4 nor .mkv.
        OutputError: it cannot be created.
    """

    name = "record"
    # A second of patience: a hole in a recording cannot be filled.
    depth = 25

    def __init__(self, path: Path, codec: Codec = Codec.h264) -> None:
        self._encoder = Encoder(path, None, codec, live=True, lossless=True)
        self._began: float | None = None

    def write(self, frame: StreamFrame, _: Result | None) -> None:
        self._began = frame.source_time if self._began is None else self._began
        self._encoder.write(frame.image, frame.source_time - self._began)

    def status(self, _: Status) -> None:
        """A recording has frames alone; states are in the events."""

    def close(self) -> None:
        self._encoder.close()
