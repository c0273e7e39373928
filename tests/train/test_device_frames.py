"""Frames kept and augmented where the training runs, and training by the clock; here that place is the CPU."""

from __future__ import annotations

import csv
import itertools
import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import safetensors.numpy
import torch

from edgeseg.data.layouts import open_dataset
from edgeseg.errors import UsageError
from edgeseg.train import recipe as recipes
from edgeseg.train import run
from edgeseg.train.device_frames import DeviceFrames
from edgeseg.train.frames import Frames
from edgeseg.train.write import git_state

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


def test_by_the_clock(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edgeseg_cli: Callable[..., Ran]
) -> None:
    """Not by the recipe's epochs; what it leaves behind is whole, and is not gone on with as another training.

    The clock goes on by a second each time it is asked, so that the machine's pace is nothing to it.
    """
    from edgeseg.train import budget

    clock = itertools.count()
    monkeypatch.setattr(budget, "monotonic", lambda: float(next(clock)))
    recipe = tmp_path / "short.toml"
    recipe.write_text((recipes.FOLDER / "npnet-phantom.toml").read_text().replace("epochs = 8", "epochs = 1", 1))
    out = tmp_path / "run"
    words = ["train", recipe, "--imgsz", "64x96", "--quiet", "--data", tiny_data, "--out", out]
    assert edgeseg_cli(*words, "--time", 10 / 3600).code == 0
    assert 10 <= next(clock) <= 13
    rows = rows_of(out)
    training = json.loads((out / "manifest.json").read_text())["training"]
    assert training["epochs"] == len(rows) > 1
    assert all(row["val_dice"] and row["train_loss"] for row in rows)
    assert "its --time was" in edgeseg_cli(*words, "--resume").sentence(2)


@pytest.mark.parametrize("words", [["--epochs", 3], ["--resume"], ["--devices", 2]])
def test_the_clock_excludes_what_has_another_end(
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
        patch.setattr(budget, "monotonic", lambda: now[0])
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


def test_a_predictor_leaves_the_network_where_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """`export` asks a run on the GPU and then traces it on the CPU."""
    from edgeseg.train import load

    net = run.make_net(recipes.load("npnet-phantom")[0]).eval()
    monkeypatch.setattr(load, "best_device", lambda _number: torch.device("meta"))
    predictor = load.RunPredictor(net)
    assert predictor.net.mean.device.type == "meta"
    assert {one.device.type for one in (*net.parameters(), *net.buffers())} == {"cpu"}


def test_a_gpu_that_is_not_there_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    from edgeseg.errors import BackendError
    from edgeseg.train.device import best_device

    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    with pytest.raises(BackendError, match="--device 2: there is no such GPU; this machine has 2"):
        best_device(2)


@pytest.mark.usefixtures("there")
def test_a_gpu_that_is_too_small_is_one_sentence(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edgeseg_cli: Callable[..., Ran]
) -> None:
    def full(*_given: object) -> None:
        raise torch.OutOfMemoryError("CUDA out of memory.")

    monkeypatch.setattr(run, "DeviceFrames", full)
    done = edgeseg_cli("train", *QUICK, "--data", tiny_data, "--epochs", 1, "--out", tmp_path / "run")
    assert "smaller --batch" in done.sentence(6)
    assert not (tmp_path / "run" / "manifest.json").exists()


@pytest.mark.parametrize(
    ("given", "wanted"),
    [("", ("none", False)), ("8fbac8c", ("8fbac8c", False)), ("8fbac8c-dirty", ("8fbac8c", True))],
)
def test_a_checkout_without_git_is_told_its_commit(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, given: str, wanted: tuple[str, bool]
) -> None:
    monkeypatch.setenv("EDGESEG_COMMIT", given)
    assert git_state(tmp_path) == wanted


def test_what_is_no_commit_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGESEG_COMMIT", "main")
    with pytest.raises(UsageError, match="EDGESEG_COMMIT=main is no commit"):
        git_state(tmp_path)


def test_a_rank_left_in_the_environment_is_nothing_to_a_single_training(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """As a cluster's launcher leaves it: the run must not be trained and then not written."""
    assert not run.follows(1)
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert run.follows(2)
    assert not run.follows(1)


@pytest.mark.slow
def test_two_processes_train_one_run(tiny_data: Path, tmp_path: Path) -> None:
    out = tmp_path / "run"
    call = [sys.executable, "-m", "edgeseg", "train", *QUICK[:-1], "--epochs", "2", "--batch", "2", "--devices", "2"]
    done = subprocess.run([*call, "--data", tiny_data, "--out", out], capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("run: ") == 1
    assert [row["epoch"] for row in rows_of(out)] == ["0", "1"]
    assert json.loads((out / "manifest.json").read_text())["training"]["epochs"] == 2
    # Each process makes half the steps, and the learning rate ends with them.
    (schedule,) = torch.load(out / "last.ckpt", weights_only=True)["lr_schedulers"]
    warm = (schedule["last_epoch"] + 1) / recipes.load("npnet-phantom")[0].train.warmup_steps  # so few never end it
    assert schedule["_last_lr"] == [pytest.approx(0.01 * warm * schedule["base_lrs"][0])]
    again = subprocess.run([*call, "--data", tiny_data, "--out", out], capture_output=True, text=True, timeout=300)
    assert again.returncode == 2
    assert "exists; give --resume" in again.stderr
    alone = [*call[:-2], "--resume", "--data", tiny_data, "--out", out]
    again = subprocess.run(alone, capture_output=True, text=True, timeout=300)
    assert again.returncode == 2
    assert "cannot resume, its --devices was 2 and is now none" in again.stderr


def test_nothing_to_resume_is_said(tiny_data: Path, tmp_path: Path, edgeseg_cli: Callable[..., Ran]) -> None:
    """A misspelt --out would else cost a whole training before it is seen."""
    words = ["train", "npnet-phantom", "--imgsz", "64x96", "--epochs", 1, "--data", tiny_data, "--out", tmp_path / "r"]
    done = edgeseg_cli(*words, "--resume")
    assert done.code == 0, done.err
    assert "holds no training to resume; begins a new one" in done.err
    assert "to resume" not in edgeseg_cli(*words, "--resume").err
