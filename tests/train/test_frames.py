"""Labelled frames as training sees them."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import torch

from edgeseg.data.layouts import open_dataset
from edgeseg.train import losses
from edgeseg.train import recipe as recipes
from edgeseg.train.frames import Frames
from edgeseg.train.run import frame_of


def test_pasted_targets_are_drawn_anew_each_epoch_and_the_same_each_time(tiny_data: Path) -> None:
    recipe, _ = recipes.load("npnet-phantom")
    settings = recipes.Augmentation(paste=1.0)
    frames = Frames(open_dataset(tiny_data).pairs, frame_of(recipe), settings, 5)
    plain = Frames(open_dataset(tiny_data).pairs, frame_of(recipe))
    first = [frames[index][1] for index in range(len(frames))]
    again = [frames[index][1] for index in range(len(frames))]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert any(not torch.equal(a, plain[index][1]) for index, a in enumerate(first))
    frames.epoch = 1
    assert any(not torch.equal(a, frames[index][1]) for index, a in enumerate(first))


def test_a_runs_probability_is_mixed_into_the_targets(tiny_data: Path) -> None:
    recipe, _ = recipes.load("npnet-phantom")
    pairs = open_dataset(tiny_data).pairs[:2]
    frames = Frames(pairs, frame_of(recipe), recipes.Augmentation(noise=0.01), 5, patch=64, patches=2)
    hard = [frames[index][1] for index in range(4)]
    asked = []

    def left_half(frame: np.ndarray) -> np.ndarray:
        asked.append(frame)
        out = np.zeros((1, *frame.shape[:2]), np.float32)
        out[:, :, : frame.shape[1] // 2] = 0.8
        return out

    frames.distil(left_half, 0.5, quiet=True)
    assert len(asked) == 8
    assert (asked[2] == asked[0][:, ::-1]).all()
    assert (asked[3] == asked[0][::-1, ::-1]).all()
    # Averaged over the mirrored frames, each half says 0.4; half of it is 0.2 beside half of the label.
    for index in range(4):
        patch, soft = frames[index]
        assert soft.dtype == torch.float32
        sure = (hard[index] > 0).float() * 0.5 + 0.2
        seen = patch.amax(2) > 24  # outside of the frame there is no target
        assert ((soft - sure)[seen].abs() < 0.01).float().mean() > 0.9
    loss = losses.build("ce")(torch.zeros(2, 1, 64, 64), torch.stack([frames[0][1], frames[1][1]]))
    assert torch.isfinite(loss)
