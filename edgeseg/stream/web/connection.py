"""A connection to the viewer, which holds its place only while something is asked or answered on it."""

from __future__ import annotations

import asyncio

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

# Connections altogether; beyond them requests get 503.
MOST_CONNECTIONS = 256
# Of one address: the rest stays free for others. Behind a proxy all viewers are one address.
MOST_OF_ONE = 128
# A request must have come whole so long after the connection was made, or after the answer before it.
PATIENCE_S = 5.0


class Connection(H11Protocol):
    """uvicorn's, which waits for a first request for ever, and for a next one as long as a byte comes now and then."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        peers = [getattr(one, "client", None) for one in self.connections]  # address and port, a page's sockets too
        if sum(peer is not None and peer[:1] == (self.client or ())[:1] for peer in peers) > MOST_OF_ONE:
            transport.abort()
        else:
            self._wait()

    def handle_events(self) -> None:
        super().handle_events()
        if self.cycle is not None and not self.cycle.response_complete:
            self._settle()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        self._settle()
        super().handle_websocket_upgrade(event)

    def on_response_complete(self) -> None:
        self._wait()  # first: the next request may be there already
        super().on_response_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._settle()
        super().connection_lost(exc)

    def _wait(self) -> None:
        self._settle()
        self._deadline = self.loop.call_later(PATIENCE_S, self.transport.close)

    def _settle(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
