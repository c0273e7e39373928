"""Temporal smoothing: the recursion, its resets, and `infer --smoothing` against it."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest

import edgeseg
from edgeseg.fit import Box, Placement
from edgeseg.model import Result
from edgeseg.stream.frame import StreamFrame
from edgeseg.stream.pipeline import run
from edgeseg.stream.smoothing import Smoothing

HERE = Placement((8, 8), Box(0, 0, 8, 8), Box(0, 0, 8, 8), (8, 8))
THERE = Placement((9, 8), Box(0, 0, 8, 9), Box(0, 0, 8, 8), (8, 8))


def step(smooth: Smoothing, sequence: int, value: int, state: str = "LIVE", placement: Placement = HERE) -> int:
    frame = StreamFrame(np.zeros((8, 8, 3), np.uint8), sequence, 0.0, 0.0, 0.0, 0.0)
    result = Result(np.full((1, 8, 8), value, np.uint8), placement, {}, None, sequence, state=state)  # type: ignore[arg-type]
    out = smooth.apply(frame, result)
    assert (out.sequence, out.state, out.placement) == (sequence, state, placement)
    return int(out.probability[0, 0, 0])


def test_levels_are_those_of_the_c_library() -> None:
    """The sequence of runtime/tests/test_session.cpp, gap and new geometry included."""
    smooth = Smoothing(0.5)
    assert [step(smooth, 1, 200), step(smooth, 2, 100), step(smooth, 3, 100)] == [200, 150, 125]
    assert step(smooth, 5, 100) == 100
    assert step(smooth, 6, 200, placement=THERE) == 200


def test_a_change_of_state_and_a_reset_forget() -> None:
    smooth = Smoothing(0.9)
    step(smooth, 0, 200)
    assert step(smooth, 1, 0, state="FROZEN") == 0
    assert step(smooth, 2, 100) == 100
    assert step(smooth, 3, 0) == 90
    smooth.reset()
    assert step(smooth, 4, 0) == 0


def test_the_state_is_not_rounded_on_its_way() -> None:
    smooth = Smoothing(0.95)
    said = [step(smooth, 0, 255)] + [step(smooth, n, 0) for n in range(1, 120)]
    wanted = [int(np.float32(255 * 0.95**n) + 0.5) for n in range(120)]
    assert np.abs(np.subtract(said, wanted)).max() <= 1
    assert said[-1] == 1  # rounding the state itself would stick at 10


def test_off_hands_back_the_very_result_and_bad_weights_are_refused() -> None:
    result = object()
    assert Smoothing(0.0).apply(None, result) is result  # type: ignore[arg-type]
    for weight in (-0.1, 0.96, float("nan")):
        with pytest.raises(ValueError, match="smoothing"):
            Smoothing(weight)


def test_infer_smooths_in_order_with_frames_in_flight(
    tiny_bundle: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli
) -> None:
    clip = tiny_data / "clip.mp4"
    with edgeseg.open(tiny_bundle).load(threads=1, streams=2, threshold=0.45) as model:
        plain, smoothed = [], []
        run(model, str(clip), on_result=lambda r: plain.append(r.probability), streams=2)
        run(model, str(clip), on_result=smoothed.append, streams=2, smoothing=0.7)
        state = plain[0].astype(np.float64)
        for new, said in zip(plain, smoothed, strict=True):
            state = 0.7 * state + 0.3 * new
            assert np.abs(said.probability - state).max() <= 0.51
        masks = tmp_path / "m"
        words = ["--smoothing", 0.7, "--threshold", 0.45, "--masks", masks, "--quiet"]
        assert edgeseg_cli("infer", "--stream", clip, "--model", tiny_bundle, *words).code == 0
        for said in smoothed:
            written = cv2.imread(str(masks / f"{said.sequence:08d}.png"), cv2.IMREAD_UNCHANGED)
            assert np.array_equal(written, said.mask * 255)


def test_pictures_are_not_smoothed(tiny_bundle: Path, tiny_data: Path, edgeseg_cli) -> None:
    words = ["infer", "--stream", tiny_data / "images", "--model", tiny_bundle]
    assert "--smoothing is for streams" in edgeseg_cli(*words, "--smoothing", 0.5).sentence(2)
    assert edgeseg_cli(*words, "--smoothing", 1).code == 2
