"""What a sink is: it is told every result in order and then closed, whatever happened."""

from __future__ import annotations

from typing import Protocol

from edgeseg.model import Result
from edgeseg.stream.frame import StreamFrame


class Sink(Protocol):
    """Written to by one thread."""

    name: str
    """Of its stage in the closing table."""

    def write(self, frame: StreamFrame, result: Result) -> None:
        """Takes one frame and its result.

        Raises:
            OutputError: the disk refused.
        """
        ...

    def close(self) -> None:
        """Finishes what was written, so that it can be used; also after a failure or Ctrl-C.

        Raises:
            OutputError: the disk refused.
        """
        ...
