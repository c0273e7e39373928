"""The viewer as a sink of one stream."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from edgeseg.model import Result
    from edgeseg.stream.drift import DriftReport
    from edgeseg.stream.frame import StreamFrame
    from edgeseg.stream.status import Status
    from edgeseg.stream.web.channel import Channel


class WebSink:
    """Written to by one thread; never waits, whatever the viewers do. Keeps the newest frame until the next comes."""

    name = "web"

    def __init__(self, channel: Channel) -> None:
        self._channel = channel

    def write(self, frame: StreamFrame, result: Result | None) -> None:
        """Shows a frame; None as result lets the picture through without a mask."""
        self._channel.write(frame, result)

    def status(self, status: Status) -> None:
        """On every change and twice a second."""
        self._channel.say(status)

    def drift(self, report: DriftReport) -> None:
        """The newest comparison with the training frames."""
        self._channel.drift = report

    def close(self) -> None:
        """The page says that the stream has ended; the server goes on for the others."""
        self._channel.end()
