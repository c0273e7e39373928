"""``phantom:[colonoscopy|fundus][?seed=N&frames=N]``: a synthetic camera at real-time pace."""

from __future__ import annotations

import threading
import time
from urllib.parse import parse_qs

import numpy as np
from numpy.typing import NDArray

from edgeseg.data.phantom import PHANTOMS, PhantomClip
from edgeseg.errors import EdgesegError, InputError
from edgeseg.stream.sources.base import SourceOptions
from edgeseg.stream.sources.live import Facts, Taken, Trouble

SIZE, RATE, FRAMES = (640, 480), 25.0, 100


def clip_of(text: str, options: SourceOptions) -> PhantomClip:
    """The clip that the camera plays forwards and backwards.

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


def check(text: str, options: SourceOptions) -> None:
    """Raises: InputError, without rendering anything."""
    clip_of(text, options)


class Phantom:
    """Plays what is rendered so far, there and back again so that nothing jumps; the clip grows while it plays."""

    timed = True
    open_s, read_s = 20.0, 1.0

    def __init__(self, clip: PhantomClip, framerate: float) -> None:
        self._clip, self._rate = clip, framerate
        self._ready: list[NDArray[np.uint8]] = []
        self._stop = threading.Event()
        self.damaged = 0

    def open(self) -> Facts:
        for index in range(min(2, len(self._clip))):
            self._ready.append(self._clip[index].image)
        threading.Thread(target=self._render, daemon=True).start()
        self._index, self._step = 0, 1
        self._began = self._due = time.monotonic()
        return Facts(self._rate)

    def _render(self) -> None:
        for index in range(len(self._ready), len(self._clip)):
            if self._stop.is_set():
                return
            self._ready.append(self._clip[index].image)

    def read(self) -> list[Taken]:
        time.sleep(max(0.0, self._due - time.monotonic()))
        now = time.monotonic()
        self._due = max(self._due, now - 1 / self._rate) + 1 / self._rate
        taken = Taken(self._ready[self._index], now - self._began, now, 0.0)
        if not 0 <= self._index + self._step < len(self._ready):
            self._step = -self._step
        self._index = max(0, self._index + self._step)
        return [taken]

    def close(self) -> None:
        self._stop.set()


def camera(text: str, options: SourceOptions) -> Phantom:
    """The synthetic camera."""
    try:
        return Phantom(clip_of(text, options), options.framerate or RATE)
    except InputError as error:
        raise Trouble(str(error), final=True) from error
