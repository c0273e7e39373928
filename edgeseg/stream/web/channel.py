"""One stream as the viewer sees it: the newest frame, its status, and who is watching.

The pipeline's thread only leaves a frame here. Encoding happens in the viewer's own threads, once for all that watch,
and not at all when nobody does.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from edgeseg.stream.overlay import Overlay
from edgeseg.stream.web.message import picture, status_json
from edgeseg.stream.web.pace import Pace
from edgeseg.stream.web.slot import Slot
from edgeseg.stream.web.state import plain, shown_status
from edgeseg.stream.web.still import annotated

if TYPE_CHECKING:
    from edgeseg.model import Model, Result
    from edgeseg.stream.drift import DriftReport
    from edgeseg.stream.frame import StreamFrame
    from edgeseg.stream.status import Status

MOST_VIEWERS = 32
# A page that hears nothing for 500 ms says STALE by itself.
HEARTBEAT_S = 0.2
# Faster cameras than this are thinned out on their way to the browser.
SHORTEST_S = 1 / 31


@dataclass(frozen=True)
class Shown:
    """A frame and what the model said of it; None where the picture passes without a mask."""

    frame: StreamFrame
    result: Result | None


class Full(Exception):  # noqa: N818 - a state, not a failure
    """As many watch as may."""


class Channel:
    """See the module. ``number`` counts the streams from 0."""

    def __init__(self, number: int, stream: str, model: Model, executor: Executor) -> None:
        self.number, self.stream = number, plain(stream)
        self.classes = [
            {"name": one.name, "color": one.color, "threshold": level}
            for one, level in zip(model.spec.classes[1:], model.thresholds, strict=True)
        ]
        self.engine = str(model.engine)
        self.frames, self.masks, self.refused, self._skipped = 0, 0, 0, 0
        self.last_ms = 0.0
        self.drift: DriftReport | None = None
        self.pace = Pace()
        self._overlay, self._executor = Overlay(model.spec.classes), executor
        self._shown: Shown | None = None
        self._said: Status | None = None
        self._ended = False
        self._pages: set[Slot] = set()
        self._plain: set[Slot] = set()
        self._fresh = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None

    # From the pipeline's thread.

    def write(self, frame: StreamFrame, result: Result | None) -> None:
        """Leaves a frame; costs microseconds."""
        self._shown = Shown(frame, result)
        self.frames += 1
        if result is not None:
            self.masks += 1
            self.last_ms = result.age_ms
            self.pace.add(self.last_ms)
        self._notify()

    def say(self, status: Status) -> None:
        """Leaves what the pipeline says of the stream."""
        self._said = status
        self._notify()

    def end(self) -> None:
        """No more frames will come."""
        self._ended = True
        self._notify()

    def _notify(self) -> None:
        if self._loop is not None and self.viewers:
            with contextlib.suppress(RuntimeError):  # the loop is closed: nobody is left to tell
                self._loop.call_soon_threadsafe(self._fresh.set)

    # From anywhere.

    def status(self) -> Status:
        """Of what is shown, at this moment."""
        shown = self._shown
        received = shown.frame.received - shown.frame.lag if shown else None
        sequence = shown.frame.sequence if shown else -1
        return shown_status(self.stream, self._said, received, sequence, ended=self._ended)

    def json(self) -> dict[str, Any]:
        """What the API says and every message's header holds."""
        fps, p50, p95 = self.pace.figures()
        out = {"number": self.number, **status_json(self.status())}
        out["fps"] = out["fps"] or round(fps, 2)
        out["time"] = round(time.monotonic() * 1e3, 1)
        out["last_ms"] = round(self.last_ms, 1)
        out["latency_ms"] = {"p50": round(p50, 1), "p95": round(p95, 1)}
        out["viewers"] = self.viewers
        if self.drift is not None:
            out["drift"] = {"psi": round(self.drift.psi, 4), "warning": self.drift.warning}
        return out

    def about(self) -> dict[str, Any]:
        """What does not change."""
        return {"classes": self.classes, "engine": self.engine}

    def snapshot(self) -> bytes | None:
        """Annotated JPEG; None before the first frame."""
        shown = self._shown
        return annotated(self._overlay, shown.frame, shown.result, self.status()) if shown else None

    @property
    def viewers(self) -> int:
        return len(self._pages) + len(self._plain)

    @property
    def skipped(self) -> int:
        """Pictures that a slow viewer did not get."""
        return self._skipped + sum(slot.skipped for slot in (*self._pages, *self._plain))

    # In the viewer's event loop.

    @contextlib.contextmanager
    def watch(self, *, page: bool) -> Iterator[Slot]:
        """A slot that gets pictures: messages for a page, annotated JPEG for a plain client.

        Raises:
            Full: the cap is reached.
        """
        if self.viewers >= MOST_VIEWERS:
            self.refused += 1
            raise Full
        slot, group = Slot(), self._pages if page else self._plain
        group.add(slot)
        self._fresh.set()
        try:
            yield slot
        finally:
            group.discard(slot)
            self._skipped += slot.skipped

    def close(self) -> None:
        """Sends every viewer home."""
        for slot in (*self._pages, *self._plain):
            slot.close()

    async def pump(self) -> None:
        """Turns the newest frame into pictures for those who watch, for ever."""
        self._loop = asyncio.get_running_loop()
        last: Shown | None = None
        known: set[Slot] = set()
        while True:
            began = time.monotonic()
            watching, shown = self._pages | self._plain, self._shown
            try:
                await self._hand_out(shown, known, fresh=shown is not last)
            except Exception:  # one frame that cannot be encoded must not end the viewer; pages say STALE meanwhile
                logging.getLogger(__name__).exception("a picture could not be made")
            last, known = shown, watching
            await asyncio.sleep(max(0.0, SHORTEST_S - (time.monotonic() - began)))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(HEARTBEAT_S):
                    await self._fresh.wait()
            self._fresh.clear()

    async def _hand_out(self, shown: Shown | None, known: set[Slot], *, fresh: bool) -> None:
        """A new picture for everybody, the standing one for those who just came, at least the state for the rest."""
        loop = asyncio.get_running_loop()
        pages, plain = set(self._pages), set(self._plain)
        wanted = pages if fresh else pages - known
        shared = None
        if wanted and shown is not None:
            shared = await loop.run_in_executor(self._executor, picture, shown.frame, shown.result)
        for slot in pages:
            slot.put(shared if slot in wanted else None)
        if plain and (fresh or self.status().state != "LIVE" or plain - known):
            one = await loop.run_in_executor(self._executor, self._annotated, shown)
            for slot in plain:
                slot.put(one)

    def _annotated(self, shown: Shown | None) -> bytes:
        return annotated(self._overlay, shown.frame if shown else None, shown.result if shown else None, self.status())
