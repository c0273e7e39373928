"""The capture process's own work, in this process: a camera that does as it is told, and what is said of it."""

from __future__ import annotations

import json
import os
import select
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from types import SimpleNamespace

import numpy as np
import pytest

from edgeseg.stream.live import worker as module
from edgeseg.stream.live.capture import Capture
from edgeseg.stream.live.slot import Slot
from edgeseg.stream.live.worker import Worker
from edgeseg.stream.sources.base import SourceOptions
from edgeseg.stream.sources.live import Facts, Taken, Trouble


class Scripted:
    """A camera: each session is a list of pictures (numbers of damaged packets before them), then its trouble,
    with which one more is damaged."""

    timed, open_s, read_s = False, 1.0, 1.0

    def __init__(self, *sessions: tuple[list[int], Trouble]) -> None:
        self._sessions = iter(sessions)
        self.damaged = 0

    def open(self) -> Facts:
        pictures, self._trouble = next(self._sessions)
        self._left = iter(pictures)
        return Facts()

    def read(self) -> list[Taken]:
        damaged = next(self._left, None)
        if damaged is None:
            self.damaged += 1
            raise self._trouble
        self.damaged += damaged
        return [Taken(np.zeros((24, 32, 3), np.uint8), None, 1.0, 0.0)]

    def close(self) -> None:
        pass


@pytest.fixture
def working(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., tuple[Worker, int]]]:
    """Makes workers of a scripted camera: the worker, and the reading end of the pipe that it talks into."""
    slot = Slot.create()
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    monkeypatch.setattr("time.sleep", lambda _: None)

    def make(source: str, *sessions: tuple[list[int], Trouble]) -> tuple[Worker, int]:
        one = Scripted(*sessions)
        monkeypatch.setattr(module, "_camera", lambda *_: one)
        made = Worker({"source": source, "retry": True, "keep": False, "sequence": 0}, slot)
        made._output = writing
        return made, reading

    yield make
    os.close(reading)
    os.close(writing)
    slot.close()


def lines(reading: int, kind: str) -> list[dict]:
    said = [json.loads(line) for line in os.read(reading, 1 << 16).splitlines()]
    return [one for one in said if one["type"] == kind]


def test_any_trouble_ends_standard_input(working, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Slot, "write", full)
    worker, reading = working("-", ([0], Trouble("unused")))  # has no second session
    worker.run()
    assert "shared memory" in lines(reading, "trouble")[0]["text"]


def test_a_session_leaves_a_gap_in_the_numbers(working) -> None:
    """Smoothing must not carry the old connection's mask over; attempts without a frame leave none."""
    lost, over = Trouble("lost"), Trouble("over", final=True)
    worker, reading = working("cam", ([], lost), ([0, 0], lost), ([], lost), ([0], over))
    worker.run()
    said = lines(reading, "frame")
    assert [one["sequence"] for one in said] == [0, 1, 3]
    assert [one["number"] for one in said] == [1, 2, 3]  # these tell what was dropped: nothing


def heard(worker: Worker, reading: int) -> Capture:
    """A supervisor that was told everything there is to read."""
    supervisor = Capture("cam", SourceOptions(), None, lambda: None)  # type: ignore[arg-type] - it is never started
    process, rest = SimpleNamespace(slot=worker._slot), b""
    while not supervisor.ended and select.select([reading], [], [], 5.0)[0]:
        *said, rest = (rest + os.read(reading, 1 << 16)).split(b"\n")
        for line in said:
            supervisor._message(process, json.loads(line))  # type: ignore[arg-type]
    return supervisor


def test_a_full_pipe_loses_frames_alone_and_they_are_counted(working) -> None:
    """A supervisor that stood still for a while: without the end it would wait for ever."""
    worker, reading = working("cam", (3000 * [0], Trouble("over", ended=True, final=True)))
    thread = threading.Thread(target=worker.run, daemon=True)
    thread.start()
    while thread.is_alive() and worker._number < 3000:
        thread.join(0.01)
    worker._slot.set_deadline(0.0)
    thread.join(0.5)  # it waits now, or has given up
    supervisor = heard(worker, reading)
    thread.join(5)
    assert supervisor.ended == "over"
    assert worker._slot.deadline() > 0  # what waits for its reader does not hang
    assert supervisor.counts.received < 3000
    assert supervisor.take() is not None  # the newest frame is not lost
    assert supervisor.dropped == 2999


def test_long_reasons_are_shortened_and_the_next_line_is_whole(working) -> None:
    over = Trouble("over", ended=True, final=True)
    worker, reading = working("cam", ([], Trouble("\U0001f600" * 5000)), ([0], over))
    worker.run()
    supervisor = heard(worker, reading)
    assert supervisor.ended == "over"
    assert supervisor.counts.received == 1


def test_every_damaged_packet_counts(working) -> None:
    worker, reading = working("cam", ([2, 0, 3], Trouble("over", ended=True, final=True)))
    worker.run()
    assert heard(worker, reading).counts.damaged == 6


def test_a_deadline_is_never_seen_half_written() -> None:
    """It would be one long gone: the process is killed as hung, and standard input ended with it."""
    slot = Slot.create()
    slot.set_deadline(1.0)
    writes = f"from edgeseg.stream.live.slot import Slot\ns = Slot({slot.handle})\nwhile True: s.set_deadline(2.0)"
    with subprocess.Popen([sys.executable, "-c", writes], pass_fds=[slot.handle]) as writer:
        try:
            while slot.deadline() != 2.0:
                assert writer.poll() is None
            assert {slot.deadline() for _ in range(300_000)} == {2.0}
        finally:
            writer.kill()
    slot.close()
