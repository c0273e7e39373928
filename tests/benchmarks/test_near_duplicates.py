"""Frames that look alike are of one group."""

from __future__ import annotations

import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from benchmarks import near_duplicates
from edgeseg.data.layouts import open_dataset


def test_a_chain_of_frames_that_look_alike_is_one_group(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    draw = np.random.default_rng(0)
    (tmp_path / "negatives").mkdir()
    scene = cv2.resize(draw.integers(0, 256, (6, 8, 3), dtype=np.uint8), (80, 60), interpolation=cv2.INTER_CUBIC)
    other = cv2.resize(draw.integers(0, 256, (6, 8, 3), dtype=np.uint8), (80, 60), interpolation=cv2.INTER_CUBIC)
    frames = {"a": scene, "b": other, "c": np.roll(scene, 2, 1), "d": np.roll(scene, 4, 1), "e": scene // 2}
    frames["flat"] = np.full((60, 80, 3), 90, np.uint8)
    for stem, frame in frames.items():
        assert cv2.imwrite(str(tmp_path / "negatives" / f"{stem}.png"), frame)
    unlike = near_duplicates.thumbnail(scene) @ near_duplicates.thumbnail(frames["d"])
    alike = near_duplicates.thumbnail(scene) @ near_duplicates.thumbnail(frames["c"])
    between = str((unlike + alike) / 2)  # a and d are alike only by way of c
    monkeypatch.setattr(sys, "argv", ["near_duplicates", str(tmp_path), "--correlation", between])
    near_duplicates.main()
    groups = {pair.stem: pair.group for pair in open_dataset(tmp_path).pairs}
    assert groups["a"] == groups["c"] == groups["d"] == groups["e"]
    assert len({groups["a"], groups["b"], groups["flat"]}) == 3
    written = (tmp_path / "groups.csv").read_bytes()
    with pytest.raises(SystemExit):  # it may be somebody's list of patients
        near_duplicates.main()
    assert (tmp_path / "groups.csv").read_bytes() == written
