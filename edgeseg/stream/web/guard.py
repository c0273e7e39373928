"""Who may come in: the Host, the Origin, and beyond this machine the token. Also the headers every answer carries.

Host: a page of a foreign site may reach 127.0.0.1 through a name that it makes point there (DNS rebinding); such a
request still carries the foreign name. Origin: a foreign page's WebSocket or form carries its own.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
import socket
from urllib.parse import parse_qsl, urlencode, urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from edgeseg.stream.web.address import Address

# Probes of an orchestrator carry no token; these two say one word each.
OPEN_PATHS = ("/live", "/ready")
HEADERS = {
    "Content-Security-Policy": "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' blob: data:; "
    "connect-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}


class Guard:
    """ASGI middleware around the whole viewer.

    Args:
        app: what is guarded.
        address: where the viewer listens.
        token: what a caller must show; None on this machine alone.
    """

    def __init__(self, app: ASGIApp, address: Address, token: str | None) -> None:
        self._app, self._address = app, address
        self._token = token.encode() if token else None
        # Cookies know no ports: two viewers on one machine must not overwrite each other's.
        self._cookie_name = f"edgeseg-{address.port}"
        self._cookie = hmac.new(self._token, b"cookie", hashlib.sha256).hexdigest() if self._token else ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] in ("http.response.start", "websocket.http.response.start"):
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send_with_headers)
        elif scope["type"] == "http":
            await refusal(scope, receive, send_with_headers)
        else:
            await deny(scope, receive, send_with_headers, refusal.status_code)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = headers.get("host", "")
        if not self.host_allowed(host):
            return PlainTextResponse("403: this host name is not the viewer's\n", 403)
        origin = headers.get("origin")
        if origin is not None and origin.lower() not in (f"http://{host.lower()}", f"https://{host.lower()}"):
            return PlainTextResponse("403: another site may not read the viewer\n", 403)
        if self._token is None or scope["path"] in OPEN_PATHS:
            return None
        return self._check_token(scope, headers)

    def host_allowed(self, host: str) -> bool:
        """Whether a Host header names this viewer; any port, for a tunnel may end on another."""
        try:
            name = (urlsplit(f"//{host}").hostname or "").rstrip(".")
        except ValueError:
            return False
        if name in ("localhost", "127.0.0.1", "::1", self._address.host.lower()):
            return True
        if self._address.local:
            return False
        # An address cannot be rebound, only a name can.
        return _is_ip(name) or name in (socket.gethostname().lower(), socket.getfqdn().lower())

    def _check_token(self, scope: Scope, headers: Headers) -> Response | None:
        kind, _, bearer = headers.get("authorization", "").partition(" ")
        if kind.lower() == "bearer" and self._same(bearer.strip()):
            return None
        if self._has_cookie(headers.get("cookie", "")):
            return None
        query = parse_qsl(scope["query_string"].decode("latin-1"))
        if scope["type"] == "http" and any(name == "token" and self._same(value) for name, value in query):
            # Into a cookie and out of the address bar, the history and the referrer.
            rest = urlencode([(name, value) for name, value in query if name != "token"])
            answer = RedirectResponse("/" + scope["path"].lstrip("/") + (f"?{rest}" if rest else ""), 303)
            answer.set_cookie(self._cookie_name, self._cookie, httponly=True, samesite="strict")
            return answer
        return PlainTextResponse(
            "401: open the address with ?token=... that the program printed, or send it as a bearer token\n",
            401,
            {"WWW-Authenticate": "Bearer"},
        )

    def _has_cookie(self, header: str) -> bool:
        """Whether ours is among them. Other services of this host set odd ones, which must not hide it."""
        pairs = (pair.strip().partition("=") for pair in header.split(";"))
        return any(
            name == self._cookie_name and hmac.compare_digest(value.encode(), self._cookie.encode())
            for name, _, value in pairs
        )

    def _same(self, given: str) -> bool:
        return self._token is not None and hmac.compare_digest(given.encode(), self._token)


async def deny(scope: Scope, receive: Receive, send: Send, code: int) -> None:
    """Answers a WebSocket's opening with a plain HTTP status."""
    await receive()  # websocket.connect
    if "websocket.http.response" in scope.get("extensions", {}):
        await send({"type": "websocket.http.response.start", "status": code, "headers": []})
        await send({"type": "websocket.http.response.body", "body": b""})
    else:
        await send({"type": "websocket.close", "code": 1008})


def _is_ip(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
