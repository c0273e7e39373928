"""The picture's part of a message."""

from __future__ import annotations

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from edgeseg import fit, manifest
from edgeseg.model import Result
from edgeseg.stream.frame import StreamFrame
from edgeseg.stream.web.message import message, picture


@pytest.mark.parametrize(("min_area", "kept"), [(0.0, 2), (0.1, 1)])
def test_what_the_mask_drops_is_below_the_threshold_on_the_page(
    min_area: float, kept: int, unpack: Callable[[bytes], Any]
) -> None:
    spec = manifest.Frame(height=96, width=128, fit=manifest.Fit(region="frame", mode="resize"))
    probability = np.zeros((1, 96, 128), np.uint8)
    probability[0, 20:60, 20:60] = 200
    probability[0, 80:84, 100:104] = 200
    output = SimpleNamespace(min_area=min_area)
    model: Any = SimpleNamespace(spec=SimpleNamespace(output=output), thresholds=[150])
    result = Result(probability, fit.place(96, 128, spec, None), {}, model)
    frame = StreamFrame(np.zeros((96, 128, 3), np.uint8), 0, 0.0, 0.0, 0.0, 0.0)
    maps = unpack(message({}, picture(frame, result)))[3]
    assert [(maps[30, 30] >= 150), (maps[82, 102] >= 150)].count(True) == kept
    assert maps[82, 102] in (149, 200)
