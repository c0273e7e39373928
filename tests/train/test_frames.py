"""Labelled frames as training sees them."""

from __future__ import annotations

import multiprocessing
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


def test_helpers_end_quietly(tiny_data: Path) -> None:
    """With 0 at a SIGTERM: torch makes no error of that, and what waits for them at the end does not wait for ever."""
    recipe, _ = recipes.load("npnet-phantom")
    frames = Frames(open_dataset(tiny_data).pairs, frame_of(recipe), recipes.Augmentation(flip=True), 0)
    before = multiprocessing.active_children()
    batches = iter(frames.loader(2, 0, shuffle=True))
    next(batches)
    (helper,) = [one for one in multiprocessing.active_children() if one not in before]
    helper.terminate()
    helper.join(20)
    assert helper.exitcode == 0
