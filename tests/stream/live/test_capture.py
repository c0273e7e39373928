"""What the supervisor makes of what a capture process says, without one."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator

import numpy as np
import pytest

from edgeseg.stream.live.capture import Capture
from edgeseg.stream.live.slot import Slot
from edgeseg.stream.sources.base import SourceOptions


class Says:
    """A capture process that said these lines and died."""

    def __init__(self, *said: dict) -> None:
        self.slot = Slot.create()
        self.output, writing = os.pipe()
        os.write(writing, b"".join(json.dumps(one).encode() + b"\n" for one in said))
        os.close(writing)
        for one in said:
            if one["type"] == "frame":
                self.slot.write(one["number"], np.zeros((2, 2, 3), np.uint8))

    def start(self, job: bytes) -> None:
        self.job = json.loads(job)


def frame(number: int, sequence: int, received: float = 0.0, source_time: float | None = None) -> dict:
    return {
        "type": "frame", "number": number, "sequence": sequence, "size": (2, 2), "received": received,
        "source_time": source_time, "decode_ms": 0.0, "lag": 0.0, "damaged": False,
        "content": (9.0, 99.0, 0.1, 9.0, 9.0),
    }  # fmt: skip


OPENED = {"type": "opened", "framerate": None, "notes": []}


@pytest.fixture
def says() -> Iterator[Callable[..., Says]]:
    made: list[Says] = []

    def make(*said: dict) -> Says:
        made.append(Says(*said))
        return made[-1]

    yield make
    for one in made:
        one.slot.close()
        os.close(one.output)


def capture() -> Capture:
    return Capture("cam", SourceOptions(), None, lambda: None)  # type: ignore[arg-type] - it is never started


def test_a_replaced_process_leaves_a_gap_in_the_numbers(says) -> None:
    supervisor = capture()
    first, second = says(OPENED, frame(1, 0), frame(2, 1)), says()
    for process in (first, second):
        assert supervisor._supervise(process) == "the capture process died"
    assert first.job["sequence"] == 0
    assert second.job["sequence"] == 3


def test_the_clock_goes_on_over_reconnections_and_jumps(says) -> None:
    """Also where a frame of the old connection is taken after the new one was opened."""
    supervisor, process = capture(), says()
    told = [
        (OPENED, None),
        (frame(1, 0, 100.0, 5000.0), 0.0),
        (frame(2, 1, 101.0, 5001.5), None),
        (OPENED, 1.5),  # by its own clock
        (frame(3, 3, 103.0, 7.0), 3.0),
        (frame(4, 4, 104.0, 8.5), 4.5),
        (frame(5, 5, 105.0, 9000.0), 5.0),
        (frame(6, 6, 106.0, 9001.5), 6.5),
        (frame(7, 7, 107.0, None), 7.0),
    ]
    for said, wanted in told:
        if said["type"] == "frame":
            process.slot.write(said["number"], np.zeros((2, 2, 3), np.uint8))
        supervisor._message(process, said)
        if wanted is not None:
            taken = supervisor.take()
            assert taken is not None
            assert taken.source_time == pytest.approx(wanted)
    assert supervisor.dropped == 0
