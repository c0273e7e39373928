"""What a sink is: it is told every result in order and then closed, whatever happened."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from edgeseg.model import Result
from edgeseg.redact import redact
from edgeseg.stream import journal
from edgeseg.stream.frame import StreamFrame
from edgeseg.stream.status import Status

if TYPE_CHECKING:
    from edgeseg.stream.drift import DriftReport


class Sink(Protocol):
    """Written to by one thread.

    A sink may have ``depth``, how many frames may wait for it on a live stream (1 if it has none: the newest); it
    loses what it is too slow for, alone.
    """

    name: str
    """Of its stage in the closing table."""

    def write(self, frame: StreamFrame, result: Result | None) -> None:
        """Takes one frame and its result; None where no mask can be trusted, which only live streams have.

        Raises:
            OutputError: the disk refused.
        """
        ...

    def status(self, status: Status) -> None:
        """What a live stream says of itself: at every change, before the first frame it holds for, and at rest.

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


@runtime_checkable
class Watches(Protocol):
    """A sink that wants to know whether a live stream still looks like the training frames."""

    def drift(self, report: DriftReport) -> None:
        """Takes a report, one every ten seconds or so."""
        ...


class Closed(KeyboardInterrupt):
    """The user closed the window, or pressed q or Escape: the run ends as if it were over."""


def settle(failures: Iterable[BaseException | None], ending: BaseException | None) -> None:
    """Says how sinks failed, whatever else ends the run (``ending``).

    Raises:
        BaseException: the first failure, where the run came to its end or a signal ended it: a signal's exit code
            says that the outputs were finished. The others are said on standard error.
    """
    wins = ending is None or isinstance(ending, KeyboardInterrupt)
    told = [repr(ending)]
    first: BaseException | None = None
    for failure in failures:
        if failure is None or isinstance(failure, Closed) or repr(failure) in told:
            continue
        told.append(repr(failure))
        if wins and first is None:
            first = failure
        else:
            journal.say(f"edgeseg: {redact(str(failure) or type(failure).__name__)}", journal.ERROR)
    if first is not None:
        raise first
