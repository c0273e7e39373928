"""The addresses of the viewer; each handler is a few lines over a channel."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from importlib import resources

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.types import Receive, Scope, Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from edgeseg.stream.web import metrics
from edgeseg.stream.web.channel import Channel, Full
from edgeseg.stream.web.guard import deny
from edgeseg.stream.web.message import message
from edgeseg.stream.web.slot import Slot

FILES = {
    "": "text/html",
    "viewer.css": "text/css",
    "viewer.js": "text/javascript",
    "tile.js": "text/javascript",
    "mask.js": "text/javascript",
    "icon.svg": "image/svg+xml",
}
# Messages under way to a page that it has not drawn yet: one on the wire, one being decoded.
WINDOW = 2
# A viewer that takes nothing for so long has gone, or stands still: its place is given free.
PATIENCE_S = 10.0
BOUNDARY = "edgeseg-frame"


def make_app(channels: Sequence[Channel]) -> Starlette:
    """The application; ``channels`` may grow while it runs."""
    registry = metrics.registry(channels)

    def of(request: Request | WebSocket) -> Channel:
        number = request.path_params["number"]
        for channel in channels:
            if str(channel.number) == number:
                return channel
        raise HTTPException(404, f"no such stream; there are {len(channels)}")

    async def static(request: Request) -> Response:
        name = request.path_params.get("name", "")
        if name not in FILES:
            raise HTTPException(404)
        data = resources.files(__package__ or "").joinpath("static", name or "index.html").read_bytes()
        return Response(data, media_type=FILES[name])

    async def streams(_: Request) -> Response:
        return JSONResponse([channel.json() | channel.about() for channel in channels])

    async def stream(request: Request) -> Response:
        channel = of(request)
        return JSONResponse(channel.json() | channel.about())

    async def snapshot(request: Request) -> Response:
        data = await asyncio.to_thread(of(request).snapshot)
        if data is None:
            raise HTTPException(503, "no frame yet")
        return Response(data, media_type="image/jpeg")

    async def mjpeg(request: Request) -> Response:
        return Mjpeg(of(request))

    async def live(_: Request) -> Response:
        return PlainTextResponse("live\n")

    async def ready(_: Request) -> Response:
        # A channel exists once the model is loaded; a frozen or black picture is fresh all the same.
        fresh = bool(channels) and all(channel.status().state not in ("STALE", "LOST") for channel in channels)
        return PlainTextResponse("ready\n" if fresh else "not ready\n", 200 if fresh else 503)

    async def scrape(_: Request) -> Response:
        return Response(metrics.text(registry), headers={"Content-Type": metrics.CONTENT_TYPE})

    async def socket(websocket: WebSocket) -> None:
        await serve_page(of(websocket), websocket)

    return Starlette(
        routes=[
            Route("/", static),
            Route("/static/{name}", static),
            Route("/api/streams", streams),
            Route("/api/streams/{number}", stream),
            Route("/api/streams/{number}/snapshot.jpg", snapshot),
            Route("/stream/{number}.mjpeg", mjpeg),
            Route("/live", live),
            Route("/ready", ready),
            Route("/metrics", scrape),
            WebSocketRoute("/ws/{number}", socket),
        ]
    )


async def serve_page(channel: Channel, websocket: WebSocket) -> None:
    """Sends to one page what it can take: each message waits for the page to have drawn the last but one."""
    with contextlib.ExitStack() as stack:
        try:
            slot = stack.enter_context(channel.watch(page=True))
        except Full:
            await deny(websocket.scope, websocket.receive, websocket.send, 503)
            return
        await websocket.accept()
        credit = asyncio.Semaphore(WINDOW)

        async def hear() -> None:
            while True:
                if (await websocket.receive())["type"] == "websocket.disconnect":
                    return
                if credit._value < WINDOW:  # noqa: SLF001 - a page cannot earn more than there is
                    credit.release()

        hearing = asyncio.create_task(hear())
        try:
            while not slot.closed and not hearing.done():
                async with slot.patience(PATIENCE_S):
                    await credit.acquire()
                    shared = await slot.get()
                    await websocket.send_bytes(message(channel.json(), shared))
        except (TimeoutError, WebSocketDisconnect, RuntimeError):
            pass  # gone, or stands still
        finally:
            hearing.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await hearing
            with contextlib.suppress(Exception):
                async with asyncio.timeout(0.2):
                    await websocket.close(1001)


async def _gone(receive: Receive, slot: Slot) -> None:
    """Waits for the client to leave, which sending to it does not tell."""
    while (await receive())["type"] != "http.disconnect":
        pass
    slot.close()


class Mjpeg(Response):
    """Annotated JPEGs, one after the other in one answer: what an <img> or a player shows without a script."""

    def __init__(self, channel: Channel) -> None:
        super().__init__(media_type=f"multipart/x-mixed-replace; boundary={BOUNDARY}")
        self._channel = channel

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            if scope["method"] == "HEAD":
                await self._begin(send)
                await send({"type": "http.response.body", "body": b"", "more_body": False})
                return
            with self._channel.watch(page=False) as slot:
                hearing = asyncio.create_task(_gone(receive, slot))
                try:
                    await self._serve(slot, send)
                finally:
                    hearing.cancel()
        except Full:
            await PlainTextResponse("503: as many watch as may\n", 503)(scope, receive, send)

    async def _begin(self, send: Send) -> None:
        headers = [(name, value) for name, value in self.raw_headers if name != b"content-length"]
        await send({"type": "http.response.start", "status": 200, "headers": headers})

    async def _serve(self, slot: Slot, send: Send) -> None:
        await self._begin(send)
        with contextlib.suppress(TimeoutError, OSError):
            while not slot.closed:
                async with slot.patience(PATIENCE_S):
                    jpeg = await slot.get()
                    if jpeg is None:
                        continue
                    part = f"--{BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                    body = part.encode() + jpeg + b"\r\n"
                    await send({"type": "http.response.body", "body": body, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})
