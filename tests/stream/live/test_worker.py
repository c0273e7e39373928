"""The capture process's own work, in this process: a camera that does as it is told, and what is said of it."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from edgeseg.stream.live import worker as module
from edgeseg.stream.live.slot import Slot
from edgeseg.stream.live.worker import Worker
from edgeseg.stream.sources.live import Facts, Taken, Trouble


class Scripted:
    """A camera: each session is a list of pictures (numbers of damaged packets before them), then its trouble."""

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
