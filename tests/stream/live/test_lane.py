"""One stream's smoothing in a live run, with numbers in place of a model."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from edgeseg.fit import Box, Placement
from edgeseg.model import Result
from edgeseg.stream.crop import Crop
from edgeseg.stream.frame import StreamFrame
from edgeseg.stream.live.lane import Lane
from edgeseg.stream.smoothing import Smoothing
from edgeseg.stream.summary import Summary

HERE = Placement((8, 8), Box(0, 0, 8, 8), Box(0, 0, 8, 8), (8, 8))


class Levels:
    """A model that gives one level a frame."""

    def place(self, _: np.ndarray) -> Placement:
        return HERE

    def __call__(self, image: np.ndarray, placement: Placement) -> Result:
        return Result(np.full((1, 8, 8), image[0, 0, 0]), placement, {}, None)  # type: ignore[arg-type]


def test_smoothing_forgets_at_a_change_of_state_and_what_was_not_believed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Result, "objects", [])
    now = {"state": "LIVE"}
    seen = SimpleNamespace(name="cam", dropped=0, frame_state=lambda *_: (now["state"], ""), set_invalid=lambda _: None)
    lane = Lane(seen, [], Summary("cam", "none"), Crop.parse("off", print), Smoothing(0.5), None)  # type: ignore[arg-type]
    said = []
    steps = [(200, "LIVE", True), (100, "LIVE", True), (0, "FROZEN", True), (100, "FROZEN", True),
             (255, "FROZEN", False), (40, "FROZEN", True)]  # fmt: skip
    for sequence, (level, now["state"], believed) in enumerate(steps):
        frame = StreamFrame(np.full((8, 8, 3), level, np.uint8), sequence, 0.0, 0.0, 0.0, 0.0)
        result = lane.segment(Levels(), frame)  # type: ignore[arg-type]
        said.append(int(result.probability[0, 0, 0]))
        lane.deliver(frame, result if believed else None, "" if believed else "the mask covers everything")
    assert said == [200, 150, 0, 50, 153, 40]
