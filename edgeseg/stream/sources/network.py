"""Network streams through PyAV: timeouts, one decoding thread, fast probe, FFmpeg's errors in words."""

from __future__ import annotations

import contextlib
import socket
import threading
import time
from collections import deque
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import av
from av.video.reformatter import VideoReformatter

from edgeseg.redact import redact_of
from edgeseg.stream.sources.color import to_bgr
from edgeseg.stream.sources.deinterlace import Deinterlacer
from edgeseg.stream.sources.live import Facts, Taken, Trouble

# A read that took this share of its timeout gives a frame from before the silence: not to be shown.
STALE_SHARE = 0.9
# Below this a read found its data waiting: there is a queue in front of us.
_AT_ONCE = 0.003
# For the name server and the source together, before FFmpeg is asked.
_REACH_S = 2.5

_Place = tuple[socket.AddressFamily, socket.SocketKind, int, str, Any]


@dataclass(frozen=True)
class Settings:
    """How a scheme is opened.

    ``options`` are FFmpeg's; ``container`` its format where it must be told; ``paced`` plays at the stream's own
    speed what arrives in bursts; ``timed`` says whether its clock tells how late a frame is; ``port`` is reached by
    TCP, and asked for before FFmpeg is; ``ends``: its end is the end, not a fault.
    """

    options: dict[str, str] = field(default_factory=dict)
    container: str | None = None
    open_s: float = 3.0
    read_s: float = 1.0
    timed: bool = True
    paced: bool = False
    port: int | None = None
    ends: bool = False


class NetworkCamera:
    """A URL that FFmpeg opens."""

    def __init__(self, url: str, settings: Settings) -> None:
        self._url, self._settings = url, settings
        self.open_s, self.read_s, self.timed = settings.open_s, settings.read_s, settings.timed
        self.damaged = 0
        self._broken = False
        self._held: deque[av.VideoFrame] = deque()
        self._container: av.container.InputContainer | None = None

    def open(self) -> Facts:
        settings = self._settings
        if "://" in self._url:
            _check(self._url)
        if settings.port is not None:
            _reach(self._url, settings.port)
        elif "://" in self._url and (host := urlsplit(self._url).hostname):
            _places(host, 0)
        began = time.monotonic()
        options = {"analyzeduration": "0", "probesize": "32", "flags": "low_delay"} | settings.options
        try:
            self._container = av.open(
                self._url,
                format=settings.container,
                timeout=(settings.open_s, settings.read_s),
                options=options,
                metadata_errors="replace",
            )
        except (av.FFmpegError, OSError, ValueError) as error:
            if time.monotonic() - began > STALE_SHARE * settings.open_s:  # FFmpeg calls that invalid data
                raise Trouble("accepts the connection and does not answer") from error
            raise trouble_of(error, self._url) from error
        if not self._container.streams.video:
            raise Trouble("it carries no video", slow=True)
        stream = self._container.streams.video[0]
        stream.thread_type = "NONE"
        stream.codec_context.thread_count = 1
        # A decoder that conceals errors invents picture content; this one reports them.
        stream.codec_context.options = {"err_detect": "crccheck+bitstream+buffer+explode"}
        self._packets = self._container.demux(stream)
        self._reformatter, self._fields = VideoReformatter(), Deinterlacer()
        self._broken, self._first, self._began = False, None, 0.0
        self._held.clear()
        rate = stream.average_rate or stream.guessed_rate
        return Facts(float(rate) if rate else None)

    def read(self) -> list[Taken]:
        asked = time.monotonic()
        if self._held:  # one a read: at a slow stream's own pace all of them would take longer than a read may
            return self._taken([self._held.popleft()], asked, waited=True)
        try:
            packet = next(self._packets)
        except StopIteration:
            raise self._end() from None
        except (av.FFmpegError, OSError) as error:
            raise trouble_of(error, self._url) from error
        received = time.monotonic()
        if received - asked >= STALE_SHARE * self.read_s:
            raise Trouble("no data came in time")
        try:
            frames = packet.decode()
        except av.FFmpegError:
            self.damaged += 1
            self._broken = True
            return []
        if packet.size == 0 and packet.dts is None:  # the flush at the end gives what the decoder still held
            self._held.extend(frames)
            return []
        return self._taken(frames, received, waited=received - asked > _AT_ONCE)

    def _taken(self, frames: list[av.VideoFrame], received: float, *, waited: bool) -> list[Taken]:
        return [taken for frame in frames if (taken := self._take(frame, received, waited=waited))]

    def _end(self) -> Trouble:
        return Trouble("the stream ended", ended=True, final=self._settings.ends)

    def _take(self, frame: av.VideoFrame, received: float, *, waited: bool) -> Taken | None:
        # What follows a damaged frame is predicted from it, until the next whole picture.
        if frame.is_corrupt:
            self.damaged += 1
            self._broken = True
        elif frame.key_frame:
            self._broken = False
        start = time.perf_counter()
        try:
            image = to_bgr(self._fields(frame), self._reformatter)
        except (av.FFmpegError, ValueError, MemoryError) as error:  # of a size or format that nothing makes
            self.damaged += 1
            raise Trouble(f"a frame of {frame.width}x{frame.height} cannot be converted") from error
        source_time = float(frame.time) if frame.time is not None else None
        if self._settings.paced and source_time is not None:
            self._pace(source_time)
            received, waited = time.monotonic(), True
        decode = (time.perf_counter() - start) * 1e3
        return Taken(image, source_time, received, decode, self._broken, waited)

    def _pace(self, source_time: float) -> None:
        """Waits until a frame of a stream that comes in bursts is due; never longer than the reading may take."""
        now = time.monotonic()
        if self._first is None or not -0.5 < self._began + source_time - self._first - now < self.read_s:
            self._first, self._began = source_time, now
        time.sleep(max(0.0, self._began + source_time - self._first - now))

    def close(self) -> None:
        if self._container is not None:
            with contextlib.suppress(av.FFmpegError, OSError):
                self._container.close()
            self._container = None

    @property
    def notes(self) -> tuple[str, ...]:
        return self._fields.notes if self._container is not None else ()

    _first: float | None = None
    _began: float = 0.0


def _check(url: str) -> None:
    """FFmpeg's words for an address that is none are no help, and trying again is of no use."""
    try:
        parts = urlsplit(url)
    except ValueError:  # an IPv6 address without its closing bracket
        raise Trouble("its address is none", final=True) from None
    try:
        _ = parts.port
    except ValueError:
        raise Trouble("its port is no number", final=True) from None


def _reach(url: str, port: int) -> None:
    """Asks for the port, again every half second: the kernel itself would wait seconds between two such attempts."""
    parts = urlsplit(url)
    end = time.monotonic() + _REACH_S
    places = _places(parts.hostname or "", parts.port or port)
    while True:
        try:
            _connect(places)
        except TimeoutError:
            if time.monotonic() < end:
                continue
            raise Trouble("does not answer") from None
        except OSError as error:
            raise trouble_of(error, url) from error
        return


def _places(host: str, port: int) -> list[_Place]:
    """What the name stands for, asked in a thread.

    A name server that is away holds the system's call for ten seconds: this process would be taken for a hung one.
    """
    found: list[_Place] = []
    failed: list[Exception] = []

    def ask() -> None:
        try:
            found.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            failed.append(error)

    thread = threading.Thread(target=ask, name="edgeseg name", daemon=True)
    thread.start()
    thread.join(_REACH_S)
    if thread.is_alive():
        raise Trouble("its name is not known here (the name server does not answer)")
    if failed and isinstance(failed[0], UnicodeError):
        raise Trouble("its name is no host name", final=True)
    if failed:
        raise Trouble(f"its name is not known here ({getattr(failed[0], 'strerror', failed[0])})")
    return found


def _connect(places: list[_Place]) -> None:
    """To the first of them that answers."""
    for number, (family, kind, protocol, _, place) in enumerate(places, 1):
        try:
            with socket.socket(family, kind, protocol) as one:
                one.settimeout(0.5)
                one.connect(place)
                return
        except OSError:
            if number == len(places):
                raise


def trouble_of(error: BaseException, url: str) -> Trouble:
    """FFmpeg's typed errors as words; the URL that they print is left out."""
    known: tuple[tuple[type[BaseException] | tuple[type[BaseException], ...], str, bool], ...] = (
        (getattr(av.error, "HTTPUnauthorizedError", ()), "bad credentials", True),
        (getattr(av.error, "HTTPForbiddenError", ()), "access is forbidden", True),
        (getattr(av.error, "HTTPNotFoundError", ()), f"there is no {_path(url)} on it", True),
        (ConnectionRefusedError, "refuses the connection", False),
        (ConnectionError, "the connection broke", False),
        ((getattr(av.error, "ExitError", ()), TimeoutError), "no data came in time", False),  # type: ignore[arg-type]
        (av.error.InvalidDataError, "what it sends is no video", False),
        (av.error.EOFError, "the stream ended", False),
        (av.error.ProtocolNotFoundError, "this FFmpeg does not speak its protocol", True),
    )
    for kinds, words, slow in known:
        if isinstance(error, kinds):
            hopeless = isinstance(error, av.error.ProtocolNotFoundError)  # however often it is asked
            return Trouble(words, slow=slow, ended=isinstance(error, av.error.EOFError), final=hopeless)
    text = (getattr(error, "strerror", None) or str(error) or type(error).__name__).splitlines()[0]
    return Trouble(redact_of(str(text), url))


def _path(url: str) -> str:
    try:
        return urlsplit(url).path or "such stream"
    except ValueError:  # a file's name may begin like an address that is none
        return "such stream"
