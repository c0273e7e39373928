"""``phantom:[colonoscopy|fundus][?seed=N&frames=N]``: a synthetic camera at real-time pace."""

from __future__ import annotations

import time
from urllib.parse import parse_qs

import numpy as np

from edgeseg.data.phantom import PHANTOMS, PhantomClip
from edgeseg.errors import EdgesegError, InputError
from edgeseg.stream.sources.base import SourceOptions
from edgeseg.stream.sources.live import Facts, Taken, Trouble

SIZE, RATE, FRAMES = (640, 480), 25.0, 100


def clip_of(text: str, options: SourceOptions) -> PhantomClip:
    """The clip that the camera plays forwards and backwards: its truth is ``clip[index].mask``.

    Raises:
        InputError: no such phantom.
    """
    name, _, query = text.removeprefix("phantom:").removeprefix("//").partition("?")
    kind, asked = name.strip("/") or "colonoscopy", parse_qs(query)
    if kind not in PHANTOMS:
        raise InputError(f"{text}: there is no phantom {kind!r}; choose one of {', '.join(PHANTOMS)}")
    try:
        seed, frames = (int(asked.get(key, [str(default)])[0]) for key, default in (("seed", 0), ("frames", FRAMES)))
    except ValueError as error:
        raise InputError(f"{text}: seed and frames are whole numbers, such as phantom:{kind}?seed=3") from error
    width, height = options.video_size or SIZE
    try:
        return PHANTOMS[kind](frames, width, height, seed)
    except EdgesegError as error:
        raise InputError(f"{text}: {error}") from error


def check(text: str) -> None:
    """Raises: InputError, without rendering anything."""
    clip_of(text, SourceOptions())


def index_at(position: int, frames: int) -> int:
    """Frame of the clip shown at a position in the stream: there and back again, so that nothing jumps."""
    period = max(1, 2 * frames - 2)
    return min(position % period, period - position % period) if frames > 1 else 0


class Phantom:
    """Frames are rendered when first shown and kept; a machine too slow for the rate gives fewer, never late ones."""

    timed = True
    open_s, read_s = 10.0, 5.0

    def __init__(self, clip: PhantomClip, framerate: float) -> None:
        self._clip, self._rate = clip, framerate
        self._kept: dict[int, np.ndarray[tuple[int, ...], np.dtype[np.uint8]]] = {}
        self.damaged = 0

    def open(self) -> Facts:
        self._position = 0
        self._began = self._due = time.monotonic()
        return Facts(self._rate)

    def read(self) -> list[Taken]:
        index = index_at(self._position, len(self._clip))
        start = time.perf_counter()
        if index not in self._kept:
            self._kept[index] = self._clip[index].image
        took = (time.perf_counter() - start) * 1e3
        time.sleep(max(0.0, self._due - time.monotonic()))
        now = time.monotonic()
        if now > self._due + 1 / self._rate:
            self._due = now
        taken = Taken(self._kept[index], now - self._began, now, took)
        self._position += 1
        self._due += 1 / self._rate
        return [taken]

    def close(self) -> None:
        """Rendered frames stay."""


def camera(text: str, options: SourceOptions) -> Phantom:
    """The synthetic camera."""
    try:
        return Phantom(clip_of(text, options), options.framerate or RATE)
    except InputError as error:
        raise Trouble(str(error), final=True) from error
