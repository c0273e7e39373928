"""Where the viewer listens: ``[HOST:]PORT``, and the socket for it."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
from dataclasses import dataclass

from edgeseg.errors import OutputError, UsageError

LOCAL = "127.0.0.1"
# A viewer that stands still holds back this much in the kernel and no more: old pictures must not pile up there.
SEND_BUFFER = 256 * 1024


@dataclass(frozen=True)
class Address:
    """``host`` a name or an IP address without brackets, ``port`` 0 for any free one."""

    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> Address:
        """``8080``, ``0.0.0.0:8080``, ``viewer.ward:8080`` or ``[::1]:8080``.

        Raises:
            UsageError: anything else.
        """
        host, colon, port = text.strip().rpartition(":")
        host = host.removeprefix("[").removesuffix("]") if host.startswith("[") else host
        bad = (colon and not host) or (":" in host and not text.strip().startswith("["))
        if bad or not (port.isascii() and port.isdecimal() and len(port) <= 5 and int(port) < 65536):
            raise UsageError(f"--web {text}: give PORT or HOST:PORT, such as 8080 or 0.0.0.0:8080")
        return cls(host or LOCAL, int(port))

    @property
    def local(self) -> bool:
        """Whether only this machine can reach it."""
        if self.host == "localhost":
            return True
        with contextlib.suppress(ValueError):
            return ipaddress.ip_address(self.host).is_loopback
        return False

    def url(self) -> str:
        """For a browser; a wildcard address is reached under this machine's name."""
        host = socket.gethostname() if self.host in ("0.0.0.0", "::") else self.host  # noqa: S104 - compared, not bound
        return f"http://[{host}]:{self.port}/" if ":" in host else f"http://{host}:{self.port}/"

    def listen(self) -> socket.socket:
        """A listening socket.

        Raises:
            UsageError: no such host here.
            OutputError: the port is taken, or needs a privilege.
        """
        try:
            found = socket.getaddrinfo(self.host, self.port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        except (OSError, UnicodeError) as error:  # the latter for names that no host has, such as a..b
            raise UsageError(f"--web {self.host}:{self.port}: no such host on this machine") from error
        family, kind, protocol, _, place = found[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, SEND_BUFFER)
            listener.bind(place)
            listener.listen(64)
        except OSError as error:
            listener.close()
            raise OutputError(
                f"the viewer cannot listen on {self.host}:{self.port} ({error.strerror}); take another port with --web"
            ) from error
        return listener
