"""Labelled frames as training sees them."""

from __future__ import annotations

from pathlib import Path

import torch

from edgeseg.data.layouts import open_dataset
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
