"""Frames kept and augmented where the training runs, and training by the clock; here that place is the CPU."""

from __future__ import annotations

import csv
import json
import time
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import safetensors.numpy
import torch

from edgeseg.data.layouts import open_dataset
from edgeseg.train import recipe as recipes
from edgeseg.train import run
from edgeseg.train.device_frames import DeviceFrames
from edgeseg.train.frames import Frames

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Ran

CPU = torch.device("cpu")


def rows_of(folder: Path) -> list[dict[str, str]]:
    return list(csv.DictReader((folder / "metrics.csv").read_text().splitlines()))


@pytest.fixture
def frames(tiny_data: Path) -> Frames:
    recipe, _ = recipes.load("npnet-phantom")
    return Frames(open_dataset(tiny_data).pairs, run.frame_of(recipe), None, 3, patches=2)


def test_every_frame_comes_as_often_as_asked_in_an_order_of_the_epoch(frames: Frames) -> None:
    there = DeviceFrames(frames, CPU)
    plain = [frames.cache[index][0] for index in range(len(frames.names))]

    def seen(epoch: int, *, shuffle: bool) -> list[int]:
        batches = there.batches(4, epoch, shuffle=shuffle)
        out = []
        for count, (image, mask) in enumerate(batches, 1):
            assert image.dtype == mask.dtype == torch.uint8
            assert len(image) == 4 or (not shuffle and count == len(batches))
            for one in image.numpy():
                (index,) = [number for number, frame in enumerate(plain) if np.array_equal(frame, one)]
                out.append(index)
        assert count == len(batches)
        return out

    first, again, other = seen(0, shuffle=True), seen(0, shuffle=True), seen(1, shuffle=True)
    assert first == again != other
    number = len(plain)
    assert len(first) == 2 * number // 4 * 4
    assert max(map(first.count, first)) == 2
    assert seen(0, shuffle=False) == [index for index in range(number) for _ in range(2)]


@pytest.fixture
def there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(run, "frames_device", lambda _devices: CPU)


QUICK = ["npnet-phantom", "--imgsz", "64x96", "--quiet"]


@pytest.mark.usefixtures("there")
def test_a_training_on_such_frames_resumes_as_unbroken(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edgeseg_cli: Callable[..., Ran]
) -> None:
    from edgeseg.train.recorder import Recorder

    words = ["train", *QUICK, "--data", tiny_data, "--epochs", 3]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert edgeseg_cli(*words, "--out", whole).code == 0

    def stop(_self: object, trainer: object, _module: object) -> None:
        if trainer.current_epoch == 1:  # type: ignore[attr-defined]
            raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(Recorder, "on_train_epoch_start", stop, raising=False)
        assert edgeseg_cli(*words, "--out", broken).code == 130
    assert edgeseg_cli(*words, "--out", broken, "--resume").code == 0
    assert (broken / "metrics.csv").read_text() == (whole / "metrics.csv").read_text()
    assert (broken / "weights.safetensors").read_bytes() == (whole / "weights.safetensors").read_bytes()
    losses = [float(row["train_loss"]) for row in rows_of(whole)]
    assert losses[-1] < losses[0]


@pytest.mark.usefixtures("there")
def test_the_draws_are_other_than_those_of_single_frames(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edgeseg_cli: Callable[..., Ran]
) -> None:
    """That the frames of this test's run do come from there."""
    words = ["train", *QUICK, "--data", tiny_data, "--epochs", 1]
    assert edgeseg_cli(*words, "--out", tmp_path / "there").code == 0
    monkeypatch.setattr(run, "frames_device", lambda _devices: None)
    assert edgeseg_cli(*words, "--out", tmp_path / "here").code == 0
    one, two = (safetensors.numpy.load_file(tmp_path / name / "weights.safetensors") for name in ("there", "here"))
    assert any(not np.array_equal(one[name], two[name]) for name in one)


def test_by_the_clock(tiny_data: Path, tmp_path: Path, edgeseg_cli: Callable[..., Ran]) -> None:
    out = tmp_path / "run"
    begin = time.monotonic()
    assert edgeseg_cli("train", *QUICK, "--data", tiny_data, "--time", 5 / 3600, "--out", out).code == 0
    assert time.monotonic() - begin >= 5
    rows = rows_of(out)
    assert all(row["val_dice"] and row["train_loss"] for row in rows)
    training = json.loads((out / "manifest.json").read_text())["training"]
    assert training["epochs"] == len(rows)
    assert training["epochs"] != recipes.load("npnet-phantom")[0].train.epochs


@pytest.mark.parametrize("words", [["--epochs", 3], ["--resume"]])
def test_the_clock_and_a_number_of_epochs_exclude_each_other(
    tiny_data: Path, tmp_path: Path, words: list[object], edgeseg_cli: Callable[..., Ran]
) -> None:
    done = edgeseg_cli("train", *QUICK, "--data", tiny_data, "--time", 1, *words, "--out", tmp_path / "run")
    assert "--time" in done.sentence(2)
    assert not (tmp_path / "run").exists()


def test_the_schedule_is_the_clocks() -> None:
    """Slow steps, then fast ones, against ten seconds: the rate is the cosine of the time that has passed."""
    from types import SimpleNamespace

    from edgeseg.train import budget
    from edgeseg.train.module import Segmenter

    recipe, _ = recipes.load("npnet-polyp")
    module = Segmenter(run.make_net(recipe), recipe.train, 1000 * 7)
    trainer = SimpleNamespace(global_step=0, should_stop=False, fit_loop=SimpleNamespace(max_epochs=5))
    now = [100.0]
    one = budget.Budget(10.0)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(budget.time, "monotonic", lambda: now[0])
        one.on_train_start(trainer, module)  # type: ignore[arg-type]
        while not trainer.should_stop:
            now[0] += 0.1 if now[0] < 105 else 0.01
            trainer.global_step += 1
            one.on_train_batch_end(trainer, module, None, None, 0)  # type: ignore[arg-type]
            if trainer.global_step > recipe.train.warmup_steps:
                wanted = 0.01 + 0.99 * (1 + np.cos(np.pi * (now[0] - 100) / 10)) / 2
                assert module.rate(trainer.global_step) == pytest.approx(wanted, abs=0.02)
    assert now[0] == pytest.approx(110, abs=0.02)
    assert trainer.global_step == pytest.approx(550, abs=15)
    assert trainer.fit_loop.max_epochs == -1
