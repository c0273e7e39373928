"""The viewer in a thread of its own: started before the model, stopped within a second."""

from __future__ import annotations

import asyncio
import logging
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Self

import uvicorn

from edgeseg.errors import OutputError
from edgeseg.stream.web.address import Address
from edgeseg.stream.web.app import make_app
from edgeseg.stream.web.channel import Channel
from edgeseg.stream.web.connection import MOST_CONNECTIONS, Connection
from edgeseg.stream.web.guard import Guard
from edgeseg.stream.web.secret import find_token
from edgeseg.stream.web.sink import WebSink

if TYPE_CHECKING:
    from edgeseg.model import Model

# What clients get wrong is answered to them; without a handler Python would print it for the server's owner.
logging.getLogger("uvicorn").addHandler(logging.NullHandler())


class Viewer:
    """Serves the page; :meth:`add` gives a sink for each stream.

    Args:
        place: ``[HOST:]PORT``; port 0 takes a free one.

    Raises:
        UsageError: no such address, or a token that is too short.
        OutputError: the port is taken.
    """

    def __init__(self, place: str) -> None:
        address = Address.parse(place)
        token, made = (None, False) if address.local else find_token()
        listener = address.listen()
        self.address = Address(address.host, int(listener.getsockname()[1]))
        self._channels: list[Channel] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._encoder = ThreadPoolExecutor(1, "edgeseg web encode")
        self._server = uvicorn.Server(
            uvicorn.Config(
                Guard(make_app(self._channels), self.address, token),
                loop="asyncio",
                http=Connection,
                ws="websockets-sansio",
                ws_max_size=1024,  # a page sends empty messages
                ws_per_message_deflate=False,  # pictures are compressed already
                ws_ping_interval=5,
                ws_ping_timeout=5,
                lifespan="off",
                log_config=None,
                access_log=False,  # an address may carry the token
                server_header=False,
                limit_concurrency=MOST_CONNECTIONS,
                timeout_graceful_shutdown=1,
            )
        )
        self._loop = asyncio.new_event_loop()
        self._up = threading.Event()
        self._thread = threading.Thread(target=self._run, args=(listener,), name="edgeseg web", daemon=True)
        self._thread.start()
        if not self._up.wait(10):
            raise OutputError("the viewer did not start within 10 s; run again with --verbose")
        self.url = self.address.url()
        if made:
            sys.stderr.write(f"viewer: {self.url}?token={token}\n")

    def _run(self, listener: object) -> None:
        asyncio.set_event_loop(self._loop)
        self._loop.call_soon(self._up.set)
        try:
            self._loop.run_until_complete(self._server.serve(sockets=[listener]))  # type: ignore[list-item]
        finally:
            for task in (rest := asyncio.all_tasks(self._loop)):
                task.cancel()
            self._loop.run_until_complete(asyncio.gather(*rest, return_exceptions=True))
            self._loop.close()

    def add(self, stream: str, model: Model) -> WebSink:
        """A sink for one more stream.

        Args:
            stream: its name, without secrets.
            model: whose classes and thresholds the page offers.
        """
        channel = Channel(len(self._channels), stream, model, self._encoder)
        self._channels.append(channel)
        self._loop.call_soon_threadsafe(self._watch_over, channel)
        return WebSink(channel)

    def _watch_over(self, channel: Channel) -> None:
        task = self._loop.create_task(channel.pump())
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def close(self) -> None:
        """Sends the viewers home and frees the port; done within a second."""
        if not self._thread.is_alive():
            return
        self._loop.call_soon_threadsafe(self._stop)
        self._thread.join(0.6)
        # Whoever still hangs on a dead network is not waited for.
        self._server.force_exit = True
        self._thread.join(2)
        self._encoder.shutdown(wait=False, cancel_futures=True)

    def _stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        for channel in self._channels:
            channel.close()
        self._server.should_exit = True

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
