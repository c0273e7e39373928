"""What tests of live streams are made of: the camera's process, a network that misbehaves, a watcher of states."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import av
import numpy as np

from edgeseg.stream.frame import StreamFrame
from edgeseg.stream.live.capture import Capture
from edgeseg.stream.live.nursery import Nursery
from edgeseg.stream.sources.base import SourceOptions

SERVER = Path(__file__).with_name("rtsp_camera.py")
PACKAGES = (Path(__file__).parent / "packages.txt").read_text().split()


@cache
def missing() -> bool:
    """Whether the camera cannot run here for want of Debian's packages."""
    code = (
        "import gi, numpy; gi.require_version('GstRtspServer', '1.0'); from gi.repository import GstRtspServer, Gst; "
    )
    code += "Gst.init(None); assert Gst.ElementFactory.find('x264enc')"
    try:
        return subprocess.run(["/usr/bin/python3", "-c", code], capture_output=True).returncode != 0
    except OSError:
        return True


def barcode(image: np.ndarray) -> tuple[int, int] | None:
    """Frame index and Unix milliseconds (its lower 40 bits) of a BGR frame of the camera; None without one."""
    block = image.shape[1] // 64
    if block < 1 or image.shape[0] < 16:
        return None
    levels = image[4:12, : block * 64, 1].reshape(8, 64, block).mean((0, 2))
    if levels.max() - levels.min() < 80:
        return None
    value = 0
    for level in levels:
        value = (value << 1) | int(level > 125)
    return value >> 40, value & 0xFFFFFFFFFF


def age_ms(image: np.ndarray) -> int | None:
    """Milliseconds since the camera made this frame, from its pixels."""
    code = barcode(image)
    return None if code is None else (int(time.time() * 1000) & 0xFFFFFFFFFF) - code[1]


def moving(index: int, width: int, height: int) -> np.ndarray:
    """BGR of a textured scene that moves, so that a lost packet is seen."""
    rng = np.random.default_rng(0)
    scene = np.clip(rng.normal(120, 40, (height // 8, width // 8, 3)), 0, 255).astype(np.uint8)
    return np.roll(scene.repeat(8, 0).repeat(8, 1), 5 * index, axis=1)


@contextlib.contextmanager
def sending(picture: Callable[[int], np.ndarray], **options: str) -> Iterator[str]:
    """MPEG-TS over UDP to a free port of this machine, 25 frames a second; the address to read it from.

    ``picture`` makes frame after frame, ``options`` are x264's.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind(("127.0.0.1", 0))
        address = f"udp://127.0.0.1:{probe.getsockname()[1]}"
    over = threading.Event()

    def send() -> None:
        with av.open(f"{address}?pkt_size=1316", "w", format="mpegts") as video:
            stream = video.add_stream("libx264", rate=25)
            stream.height, stream.width = picture(0).shape[:2]
            stream.pix_fmt = "yuv420p"
            stream.options = {"preset": "ultrafast", "tune": "zerolatency", **options}
            index = 0
            while not over.wait(0.04):
                video.mux(stream.encode(av.VideoFrame.from_ndarray(picture(index), format="bgr24")))
                index += 1

    thread = threading.Thread(target=send, daemon=True)
    thread.start()
    try:
        yield address
    finally:
        over.set()
        thread.join(5)


class Camera:
    """The RTSP server in a process of its own; ``do`` sends it a command."""

    def __init__(self, *words: str, port: int = 0) -> None:
        self._words = words
        self.port = port
        self.start()

    def start(self) -> None:
        self.process = subprocess.Popen(
            ["/usr/bin/python3", str(SERVER), "--port", str(self.port), *self._words],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        line = self.process.stdout.readline()
        assert line.strip().isdecimal(), "the camera did not start"
        self.port = int(line)

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/cam"

    def do(self, command: str) -> None:
        self.process.stdin.write(command + "\n")
        self.process.stdin.flush()
        assert self.process.stdout.readline() == "done\n"

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()
        self.process.stdin.close()
        self.process.stdout.close()

    def stop(self) -> None:
        os.kill(self.process.pid, signal.SIGSTOP)

    def go_on(self) -> None:
        os.kill(self.process.pid, signal.SIGCONT)


class Network:
    """A TCP relay in front of the camera.

    ``mode``: "on"; "hole" (bytes vanish in both directions, connections stay; new ones are accepted and mute);
    "refuse" (existing connections are reset, new ones too). ``rate`` bytes a second; ``pauses`` = (seconds of silence,
    every so many seconds), which is what loss looks like through TCP.
    """

    def __init__(self, port: int) -> None:
        self._to = port
        self.mode, self.rate, self.pauses = "on", 0.0, (0.0, 0.0)
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._open: set[socket.socket] = set()
        self._closing = False
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"rtsp://127.0.0.1:{self.port}/cam"

    def _accept(self) -> None:
        while not self._closing:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            if self.mode == "refuse":
                _reset(client)
                continue
            self._open.add(client)
            thread = threading.Thread(target=self._serve, args=(client,), daemon=True)
            self._threads.append(thread)
            thread.start()

    def _serve(self, client: socket.socket) -> None:
        server = None
        try:
            while self.mode == "hole":
                time.sleep(0.02)
                if self._closing:
                    return
            server = socket.create_connection(("127.0.0.1", self._to), timeout=5)
            self._open.add(server)
            self._pass(client, server)
        except OSError:
            return
        finally:
            for one in (client, server):
                if one is not None:
                    self._open.discard(one)
                    one.close()

    def _pass(self, client: socket.socket, server: socket.socket) -> None:
        began = time.monotonic()
        while not self._closing:
            ready, _, _ = select.select([client, server], [], [], 0.2)
            for one in ready:
                data = one.recv(1 << 14)
                if not data:
                    return
                if self.mode == "hole":
                    continue
                silence, every = self.pauses
                if silence and (time.monotonic() - began) % every < silence:
                    time.sleep(silence)
                if self.rate:
                    time.sleep(len(data) / self.rate)
                (server if one is client else client).sendall(data)

    def reset(self) -> None:
        """Cuts every connection with RST."""
        for one in list(self._open):
            _reset(one)

    def close(self) -> None:
        self._closing = True
        self._listener.shutdown(socket.SHUT_RDWR)
        for thread in self._threads:
            thread.join(2)
        self._listener.close()


def _reset(one: socket.socket) -> None:
    with contextlib.suppress(OSError):
        one.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        one.close()


class Server:
    """A TCP server that does one thing to whoever connects."""

    def __init__(self, answer: Callable[[socket.socket], None]) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self._answer, self._kept = answer, []
        self._thread = threading.Thread(target=self._accept, daemon=True)
        self._thread.start()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                self._kept.append(client)
                with contextlib.suppress(OSError):
                    self._answer(client)

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join(2)
        self._listener.close()
        for one in self._kept:
            one.close()


class Watcher:
    """A capture without a model: what states it went through and when, and its newest frame."""

    def __init__(self, source: str, options: SourceOptions | None = None, **more: object) -> None:
        self.nursery = Nursery(pass_input=source == "-")
        self._news = threading.Event()
        self.capture = Capture(source, options or SourceOptions(), self.nursery, self._news.set, **more)
        self.timeline: list[tuple[float, str, str]] = []
        self.frames: list[tuple[float, StreamFrame, str]] = []
        self.capture.start()

    def step(self) -> None:
        """Waits up to 20 ms for news and takes a frame."""
        self._news.wait(0.02)
        self._news.clear()
        frame = self.capture.take()
        now = time.monotonic()
        if frame is not None:
            state, _ = self.capture.frame_state(frame, now)
            self.frames = [*self.frames[-50:], (now, frame, state)]
        state, reason, _ = self.capture.state()
        if not self.timeline or self.timeline[-1][1:] != (state, reason):
            self.timeline.append((now, state, reason))

    def until(self, condition: Callable[[], bool], seconds: float = 20.0) -> float:
        """Steps until it holds; how long it took.

        Raises:
            AssertionError: it did not.
        """
        began = time.monotonic()
        while not condition():
            assert time.monotonic() - began < seconds, (self.timeline, self.capture.counts)
            self.step()
        return time.monotonic() - began

    @property
    def state(self) -> str:
        return self.capture.state()[0]

    @property
    def reason(self) -> str:
        return self.capture.state()[1]

    def wait_state(self, state: str, seconds: float = 20.0) -> float:
        return self.until(lambda: self.state == state, seconds)

    def fresh(self, seconds: float = 20.0) -> float:
        """Until a frame comes that the camera made after this call; how long it took."""
        since = int(time.time() * 1000) & 0xFFFFFFFFFF

        def there() -> bool:
            code = barcode(self.frames[-1][1].image) if self.frames else None
            return code is not None and code[1] >= since and self.state == "LIVE"

        return self.until(there, seconds)

    def close(self) -> None:
        self.capture.stop()
        self.capture.join(3)
        self.nursery.close()
