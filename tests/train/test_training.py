"""`edgeseg train`: what it writes, that it resumes to the same figures, and what it refuses before any work."""

from __future__ import annotations

import csv
import itertools
import json
import os
import pickle
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
import safetensors.numpy
import torch

from edgeseg.bundle import open_model
from edgeseg.data.splits import list_sha256
from edgeseg.manifest import sha256
from edgeseg.train import recipe as recipes

Cli = Callable[..., object]
QUICK = ["npnet-phantom", "--imgsz", "64x96", "--quiet"]


def weights(run: Path) -> dict[str, np.ndarray]:
    return safetensors.numpy.load((run / "weights.safetensors").read_bytes())


def leftovers(folder: Path) -> list[str]:
    return sorted(str(file) for file in folder.rglob(".*"))


@pytest.fixture
def data(tiny_data: Path, tmp_path: Path) -> Path:
    """A copy of the tiny data set that a test may change."""
    return Path(shutil.copytree(tiny_data, tmp_path / "phantom", ignore=shutil.ignore_patterns("*.mp4")))


def test_manifest_of_a_run(tiny_run: Path, tiny_data: Path) -> None:
    manifest = open_model(tiny_run).manifest
    assert manifest is not None
    training = manifest.training
    assert (manifest.kind, manifest.name) == ("run", "tiny-run")
    assert (training.recipe, training.seed, training.epochs, training.epoch) == ("npnet-phantom", 0, 1, 0)
    assert training.parameters == 708_896
    assert training.weights_sha256 == sha256((tiny_run / "weights.safetensors").read_bytes())
    assert {one.name for one in training.versions} >= {"torch", "lightning", "monai"}
    assert [one.name for one in training.data] == ["phantom"]
    splits = {one.split: one for one in training.splits}
    assert {name: one.images for name, one in splits.items()} == {"train": 8, "val": 1, "test": 3}
    stems = []
    for name, one in splits.items():
        listed = (tiny_run / "splits" / f"phantom.{name}.txt").read_text().split()
        assert one.list_sha256 == list_sha256(listed)
        stems += listed
    assert sorted(stems) == sorted(file.stem for file in (tiny_data / "images").iterdir())
    statistics = manifest.input_statistics
    assert statistics is not None
    assert (statistics.split, statistics.frames) == ("train", 8)
    assert sum(statistics.histogram) == pytest.approx(1, abs=1e-4)
    assert manifest.use is not None
    assert manifest.terms.weights_licence == "Apache-2.0"


def test_files_of_a_run(tiny_run: Path) -> None:
    with (tiny_run / "metrics.csv").open(newline="") as handle:
        rows = list(csv.DictReader(handle))
    assert [row["epoch"] for row in rows] == ["0"]
    assert all(0 <= float(rows[0][key]) <= 1 for key in ("val_dice", "val_iou"))
    assert float(rows[0]["train_loss"]) > 0
    for name in ("curves.png", "predictions.png"):
        picture = cv2.imread(str(tiny_run / name))
        assert picture is not None
        assert picture.std() > 5
    assert any((tiny_run / "tensorboard").iterdir())
    recipe, shipped = recipes.load(str(tiny_run / "recipe.toml"))[0], recipes.load("npnet-phantom")[0]
    assert recipe == shipped.model_copy(
        update={
            "train": shipped.train.model_copy(update={"epochs": 1}),
            "input": shipped.input.model_copy(update={"height": 64, "width": 96}),
        }
    )


def stop_after_first_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    from edgeseg.train.recorder import Recorder

    def stop(_self: object, trainer: object, _module: object) -> None:
        if trainer.current_epoch == 1:  # type: ignore[attr-defined]
            raise KeyboardInterrupt

    monkeypatch.setattr(Recorder, "on_train_epoch_start", stop, raising=False)


def test_resumed_is_as_unbroken(tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edgeseg_cli) -> None:
    """The same metrics.csv and the same weights to the bit: order, augmentation, averaging and rates go on.

    Each manifest names the commit at which its training began, whatever is checked out when it is resumed or ends.
    """
    commits = itertools.count()
    monkeypatch.setattr("edgeseg.train.run.git_state", lambda: (str(next(commits)) * 12, False))
    words = ["train", *QUICK, "--data", tiny_data, "--epochs", 3]
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    assert edgeseg_cli(*words, "--out", whole).code == 0
    with monkeypatch.context() as patch:
        stop_after_first_epoch(patch)
        assert "interrupted" in edgeseg_cli(*words, "--out", broken).sentence(130)
    assert not (broken / "manifest.json").exists()
    assert (broken / "metrics.csv").read_text().count("\n") == 2
    assert "--resume it" in edgeseg_cli("val", broken, "--data", tiny_data).sentence(3)
    assert edgeseg_cli(*words, "--out", broken, "--resume").code == 0
    assert (broken / "metrics.csv").read_text() == (whole / "metrics.csv").read_text()
    one, two = weights(whole), weights(broken)
    assert one.keys() == two.keys()
    assert all(np.array_equal(one[name], two[name]) for name in one)
    begun = [json.loads((run / "manifest.json").read_text())["training"]["commit"] for run in (whole, broken)]
    assert begun == ["0" * 12, "1" * 12]
    assert (broken / "weights.safetensors").read_bytes() == (whole / "weights.safetensors").read_bytes()
    assert leftovers(tmp_path) == []

    # What is finished stays as it is; a resume with other settings is refused and named.
    before = (whole / "weights.safetensors").read_bytes()
    assert edgeseg_cli(*words, "--out", whole, "--resume").code == 0
    assert (whole / "weights.safetensors").read_bytes() == before
    kept = (whole / "recipe.toml").read_bytes()
    resume = ["train", "npnet-phantom", "--quiet", "--resume", "--out", whole, "--data", tiny_data]
    for change, named in (
        (["--imgsz", "64x96", "--epochs", 4], "its recipe was"),
        (["--imgsz", "64x64", "--epochs", 3], "its recipe was"),
        (["--imgsz", "64x96", "--epochs", 3, "--batch", 2], "its recipe was"),
        (["--imgsz", "64x96", "--epochs", 3, "--seed", 1], "its --seed was 0 and is now 1"),
    ):
        assert named in edgeseg_cli(*resume, *change).sentence(2)
    assert (whole / "weights.safetensors").read_bytes() == before
    assert (whole / "recipe.toml").read_bytes() == kept


def test_resume_with_other_frames(tiny_run: Path, data: Path, tmp_path: Path, edgeseg_cli) -> None:
    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    frame = data / "images" / "0000.png"
    cv2.imwrite(str(frame), cv2.imread(str(frame)) // 2)
    words = ["train", *QUICK, "--data", data, "--epochs", 1, "--out", run, "--resume"]
    assert "its --data was" in edgeseg_cli(*words).sentence(2)


def test_resume_with_other_validation_frames(data: Path, tmp_path: Path, edgeseg_cli) -> None:
    """They are the same files, and the same training frames; checkpoints of before do not tell theirs."""
    stems = sorted(file.stem for file in (data / "images").iterdir())
    for name, some in (("train", stems[:8]), ("val", stems[8:10]), ("test", stems[10:])):
        (data / f"{name}.txt").write_text("\n".join(some))
    run = tmp_path / "run"
    words = ["train", *QUICK, "--data", data, "--epochs", 1, "--out", run]
    assert edgeseg_cli(*words).code == 0
    (data / "val.txt").write_text(stems[9])
    assert "its validation frames was" in edgeseg_cli(*words, "--resume").sentence(2)
    checkpoint = torch.load(run / "last.ckpt", weights_only=True)
    del checkpoint["callbacks"]["Recorder"]["identity"]["validation frames"]
    torch.save(checkpoint, run / "last.ckpt")
    assert edgeseg_cli(*words, "--resume").code == 0


def test_out_that_exists(tiny_run: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli) -> None:
    words = ["train", *QUICK, "--data", tiny_data, "--epochs", 1]
    before = (tiny_run / "manifest.json").read_bytes()
    assert "exists; give --resume to go on with it, or another --out" in edgeseg_cli(
        *words, "--out", tiny_run
    ).sentence(2)
    assert (tiny_run / "manifest.json").read_bytes() == before
    (tmp_path / "file").write_text("years of work")
    for out in (tmp_path / "file", tmp_path / "file" / "deep"):
        assert edgeseg_cli(*words, "--out", out).sentence(5)
        assert edgeseg_cli(*words, "--out", out, "--resume").sentence(5)
    assert (tmp_path / "file").read_text() == "years of work"
    assert leftovers(tmp_path) == []


class Hostile:
    """Unpickled, it would write a file."""

    def __init__(self, proof: Path) -> None:
        self.proof = proof

    def __reduce__(self) -> tuple[object, ...]:
        return (Path.touch, (self.proof,))


def test_hostile_checkpoint(tiny_run: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli) -> None:
    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    words = ["train", *QUICK, "--data", tiny_data, "--epochs", 1, "--out", run, "--resume"]
    proof = tmp_path / "executed"
    good = (run / "last.ckpt").read_bytes()
    contents = {"plain pickle": pickle.dumps(Hostile(proof)), "empty": b"", "text": b"last", "half": good[:5000]}
    torch.save({"state_dict": Hostile(proof)}, tmp_path / "zip")
    contents["zip"] = (tmp_path / "zip").read_bytes()
    torch.save({"state_dict": {}}, tmp_path / "other")
    contents["another program's"] = (tmp_path / "other").read_bytes()
    torch.save([1, 2], tmp_path / "list")
    contents["a list"] = (tmp_path / "list").read_bytes()
    for name, content in contents.items():
        (run / "last.ckpt").write_bytes(content)
        said = edgeseg_cli(*words).sentence(3)
        assert f"{run}/last.ckpt: " in said, name
        assert "remove it to start again" in said
        assert not proof.exists()


def test_wrong_data_is_named(data: Path, tmp_path: Path, edgeseg_cli) -> None:
    """Found while frames are cached, in threads, behind MONAI's own errors; and nothing is left of the run."""
    out = tmp_path / "out"
    words = ["train", *QUICK, "--data", data, "--epochs", 1, "--out", out]
    stems = (file.stem for file in sorted((data / "masks").iterdir()))
    for stem in stems:
        mask = data / "masks" / f"{stem}.png"
        whole = mask.read_bytes()
        cv2.imwrite(str(mask), np.full((120, 160), 100, np.uint8))
        said = edgeseg_cli(*words)
        if said.code == 3:
            break
        mask.write_bytes(whole)
        shutil.rmtree(out)
    text = said.sentence(3)
    assert f"masks/{stem}.png: a mask may hold only 0 and 255" in text
    assert leftovers(tmp_path) == []
    assert not (out / "manifest.json").exists()


def test_best_auc_needs_targets(data: Path, tmp_path: Path, edgeseg_cli) -> None:
    file, out = tmp_path / "own.toml", tmp_path / "out"
    file.write_text('name = "own"\nextends = "npnet-phantom"\ntrain.keep = "best auc"\n')
    for mask in (data / "masks").iterdir():
        cv2.imwrite(str(mask), np.zeros((120, 160), np.uint8))
    said = edgeseg_cli("train", file, *QUICK[1:], "--data", data, "--epochs", 1, "--out", out).sentence(3)
    assert 'keep = "best auc" needs validation frames with and without target pixels; add some' in said
    assert not (out / "last.ckpt").exists()


def test_failing_at_once_leaves_nothing(tmp_path: Path, edgeseg_cli) -> None:
    (tmp_path / "empty").mkdir()
    out = tmp_path / "out"
    said = edgeseg_cli("train", *QUICK, "--data", tmp_path / "empty", "--out", out).sentence(3)
    assert "no known data set layout" in said
    assert [file.name for file in tmp_path.iterdir()] == ["empty"]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--imgsz", "60x96"], 2, "multiples of 8; take 64x96"),
        (["--imgsz", "99999x96"], 2, "--imgsz 99999x96"),
        (["--imgsz", "96"], 2, "two numbers joined by x"),
        (["--imgsz", "²x96"], 2, "two numbers joined by x"),
        (["--imgsz", "0x96"], 2, "two numbers joined by x"),
        (["--batch", "9"], 3, "8 training frames.*batch of 9"),
        (["--from", "nowhere"], 3, r"--from nowhere: no such run, bundle or graph"),
        (["--split", "none.txt"], 3, r"none\.txt: cannot be read"),
        (["--recipe-is-no-option", "1"], 2, None),
        (["--epochs", "0"], 2, None),
        (["--epochs", "9" * 20], 2, None),
        (["--batch", "9" * 20], 2, None),
        (["--time", "inf"], 2, "--time inf: give a finite number"),
        (["--seed", "-1"], 2, None),
    ],
)
def test_wrong_options(
    tiny_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    edgeseg_cli,
    words: list[str],
    code: int,
    said: str | None,
) -> None:
    import re

    monkeypatch.chdir(tmp_path)
    base = ["train", "npnet-phantom", "--data", tiny_data, "--quiet", "--out", "out"]
    base += [] if "--imgsz" in words else ["--imgsz", "64x96"]
    base += [] if "--epochs" in words else ["--epochs", "1"]
    done = edgeseg_cli(*base, *words)
    if said is None:
        assert done.code == code
        assert "Traceback" not in done.err
    else:
        assert re.search(said, done.sentence(code)), done.err
    assert [file.name for file in tmp_path.iterdir()] == []


def test_two_sets_of_one_name(tiny_data: Path, tmp_path: Path, edgeseg_cli) -> None:
    """Their splits would be written over each other."""
    other = shutil.copytree(tiny_data, tmp_path / "other" / "phantom")
    words = ["train", *QUICK, "--data", tiny_data, "--data", other, "--out", tmp_path / "out"]
    assert "two data sets are named phantom; rename" in edgeseg_cli(*words).sentence(2)
    same = shutil.copytree(tiny_data, tmp_path / "same")
    words = ["train", *QUICK, "--data", tiny_data, "--data", same, "--out", tmp_path / "out"]
    assert f"same: holds the files of {tiny_data}; its frames would count twice" in edgeseg_cli(*words).sentence(2)


def before(run: Path) -> dict[str, object]:
    """What a run's manifest says of its training, as the manifest of one made from it repeats it."""
    training = json.loads((run / "manifest.json").read_text())["training"]
    kept = ("recipe", "seed", "weights_sha256", "parent_sha256", "teacher_sha256", "data", "splits")
    return {key: training[key] for key in kept if key in training}


def test_from_a_run(tiny_run: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli) -> None:
    out = tmp_path / "out"
    done = edgeseg_cli("train", *QUICK, "--data", tiny_data, "--epochs", 1, "--from", tiny_run, "--out", out)
    assert done.code == 0
    one, two = weights(tiny_run), weights(out)
    assert any(not np.array_equal(one[name], two[name]) for name in one)
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["training"]["parent_sha256"] == sha256((tiny_run / "weights.safetensors").read_bytes())
    assert manifest["training"]["ancestors"] == [before(tiny_run)]
    # Another generation names both, the nearest first.
    last = tmp_path / "last"
    assert edgeseg_cli("train", *QUICK, "--data", tiny_data, "--epochs", 1, "--from", out, "--out", last).code == 0
    manifest = json.loads((last / "manifest.json").read_text())
    assert manifest["training"]["ancestors"] == [before(out), before(tiny_run)]
    (out / "weights.safetensors").write_bytes((last / "weights.safetensors").read_bytes())
    words = ["train", *QUICK, "--data", tiny_data, "--epochs", 1, "--from", out, "--out", tmp_path / "next"]
    assert "weights.safetensors is not the file that manifest.json tells of" in edgeseg_cli(*words).sentence(3)
    bare = tmp_path / "bare"
    bare.mkdir()
    (bare / "weights.safetensors").write_bytes((tiny_run / "weights.safetensors").read_bytes())
    words = ["train", *QUICK[:-1], "--data", tiny_data, "--epochs", 1, "--from", bare, "--out", tmp_path / "from-bare"]
    done = edgeseg_cli(*words)
    assert done.code == 0
    assert f"nothing says what {bare} was trained on, nor under which terms" in done.err
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "weights.safetensors").write_bytes(b"not safetensors")
    words = ["train", *QUICK, "--data", tiny_data, "--epochs", 1, "--from", broken, "--out", tmp_path / "next"]
    assert "is no safetensors file" in edgeseg_cli(*words).sentence(3)


def test_frozen_norms(tiny_run: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli) -> None:
    """Mean and deviation stay what they were, also through validation; all else is trained."""
    shipped = (recipes.FOLDER / "npnet-phantom.toml").read_text()
    file = tmp_path / "frozen.toml"
    file.write_text(shipped.replace("[train]\n", "[train]\nfreeze_norms = true\n"))
    words = ["train", file, *QUICK[1:], "--data", tiny_data, "--epochs", 2, "--out", tmp_path / "out"]
    assert "keeps a model's batch norms (freeze_norms); say which with --from" in edgeseg_cli(*words).sentence(2)
    assert edgeseg_cli(*words, "--from", tiny_run).code == 0
    before, after = weights(tiny_run), weights(tmp_path / "out")
    for name, value in before.items():
        still = name.endswith(("running_mean", "running_var", "num_batches_tracked", "mean", "std"))
        assert np.array_equal(value, after[name]) == still, name
    file.write_text(file.read_text().replace("freeze_norms = true\n", "freeze_norms = true\nstay = 0.75\n"))
    assert edgeseg_cli(*words[:-1], tmp_path / "stayed", "--from", tiny_run).code == 0
    for name, value in weights(tmp_path / "stayed").items():
        assert np.allclose(value, 0.75 * before[name] + 0.25 * after[name], atol=1e-6), name


def test_stay_mixes_norms_that_move(tiny_run: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli) -> None:
    shipped = (recipes.FOLDER / "npnet-phantom.toml").read_text()
    file = tmp_path / "moved.toml"
    words = ["train", file, *QUICK[1:], "--data", tiny_data, "--epochs", 1, "--out"]
    file.write_text(shipped)
    assert edgeseg_cli(*words, tmp_path / "moved", "--from", tiny_run).code == 0
    file.write_text(shipped.replace("[train]\n", "[train]\nstay = 0.75\n"))
    assert "keeps a model's weights (stay); say which with --from" in edgeseg_cli(*words, tmp_path / "not").sentence(2)
    assert edgeseg_cli(*words, tmp_path / "stayed", "--from", tiny_run).code == 0
    before, after = weights(tiny_run), weights(tmp_path / "moved")
    assert any(not np.array_equal(before[name], after[name]) for name in before if name.endswith("running_var"))
    for name, value in weights(tmp_path / "stayed").items():
        if not name.endswith("num_batches_tracked"):
            assert np.allclose(value, 0.75 * before[name] + 0.25 * after[name], atol=1e-6), name


def test_from_a_run_that_saw_what_is_held_out(tiny_run: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli) -> None:
    words = (
        "train",
        "npnet-phantom",
        "--data",
        tiny_data,
        "--from",
        tiny_run,
        "--imgsz",
        "64x96",
        "--out",
        tmp_path / "r",
    )
    said = edgeseg_cli(*words, "--seed", "1").sentence(2)
    assert "were in its train split and are in this training's test split; take that training's --seed (0)" in said
    assert not (tmp_path / "r").exists()


def test_training_on_the_test_list(data: Path, tmp_path: Path, edgeseg_cli) -> None:
    stems = sorted(file.stem for file in (data / "images").iterdir())
    (data / "train.txt").write_text("\n".join(stems[:8]))
    (data / "test.txt").write_text("\n".join(stems[8:]))
    words = ("train", *QUICK, "--data", data, "--split", data / "test.txt", "--out", tmp_path / "r")
    said = edgeseg_cli(*words).sentence(3)
    assert "are in the test split of" in said
    assert "which only reports" in said


def test_run_with_a_changed_byte(tiny_run: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli) -> None:
    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    data = bytearray((run / "weights.safetensors").read_bytes())
    data[-1] ^= 1
    (run / "weights.safetensors").write_bytes(data)
    for command in ("val", "export"):
        assert "weights.safetensors: has changed" in edgeseg_cli(command, run, "--data", tiny_data).sentence(3)


# Whole processes, stopped from outside.


def start(data: Path, out: Path, *words: str) -> subprocess.Popen[str]:
    call = [sys.executable, "-m", "edgeseg.cli", "train", *QUICK, "--data", str(data), "--out", str(out)]
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    return subprocess.Popen([*call, *words], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)


def wait_for_epochs(out: Path, number: int, process: subprocess.Popen[str]) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        file = out / "metrics.csv"
        if file.exists() and file.read_text().count("\n") > number:
            return
        time.sleep(0.01)
    pytest.fail(f"no epoch {number} within two minutes: {process.communicate()}")


@pytest.mark.slow
def test_kill_9_loses_at_most_an_epoch(tiny_data: Path, tmp_path: Path) -> None:
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    words = ("--epochs", "5")
    with start(tiny_data, whole, *words) as process:
        assert process.wait(180) == 0
    for epochs in (1, 3):
        with start(tiny_data, broken, *words, "--resume") as process:
            wait_for_epochs(broken, epochs, process)
            time.sleep(0.05 * epochs)
            process.send_signal(signal.SIGKILL)
        rows = (broken / "metrics.csv").read_text().count("\n") - 1
        assert rows >= epochs
    with start(tiny_data, broken, *words, "--resume") as process:
        assert process.wait(180) == 0, process.communicate()
    assert (broken / "metrics.csv").read_text() == (whole / "metrics.csv").read_text()
    assert (broken / "weights.safetensors").read_bytes() == (whole / "weights.safetensors").read_bytes()
    assert leftovers(tmp_path) == []


def children(process: subprocess.Popen[str]) -> list[int]:
    """The processes that prepare frames; waits for one, since each pass has its own."""
    while process.poll() is None:
        found = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        if found:
            return [int(pid) for pid in found]
    pytest.fail(f"ended: {process.communicate()}")


@pytest.mark.slow
def test_killed_beside_the_training(tiny_data: Path, tmp_path: Path) -> None:
    """As where memory is short: the kernel takes one of the processes, often not the first."""
    out = tmp_path / "out"
    with start(tiny_data, out, "--epochs", "500") as process:
        wait_for_epochs(out, 2, process)
        os.kill(children(process)[0], signal.SIGKILL)
        said = process.communicate(timeout=30)
    assert process.returncode == 6, said
    assert said[1].count("\n") == 1, said
    assert "was killed; if it was for want of memory" in said[1]
    assert leftovers(tmp_path) == []
    assert (out / "last.ckpt").is_file()


@pytest.mark.slow
@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130), (signal.SIGHUP, 129)])
@pytest.mark.parametrize("group", [False, True], ids=["alone", "group"])
def test_signals(tiny_data: Path, tmp_path: Path, number: signal.Signals, code: int, *, group: bool) -> None:
    out = tmp_path / "out"
    with start(tiny_data, out, "--epochs", "500") as process:
        wait_for_epochs(out, 2, process)  # the first one's checkpoint is written by then
        for pid in [process.pid, *(children(process) if group else [])]:
            os.kill(pid, number)
        said = process.communicate(timeout=30)
    assert process.returncode == code, said
    assert said[1].count("\n") == 1, said
    assert said[1].startswith("edgeseg: ")
    assert leftovers(tmp_path) == []
    assert (out / "last.ckpt").is_file()


@pytest.mark.slow
def test_second_training_into_one_folder(tiny_data: Path, tmp_path: Path, edgeseg_cli) -> None:
    out = tmp_path / "out"
    with start(tiny_data, out, "--epochs", "500") as process:
        wait_for_epochs(out, 1, process)
        done = edgeseg_cli("train", *QUICK, "--data", tiny_data, "--epochs", 500, "--out", out, "--resume")
        assert "another edgeseg is writing" in done.sentence(5)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=30)


def test_own_frames_under_a_shipped_recipes_terms(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edgeseg_cli
) -> None:
    """A card that says "trained on ISIC" of somebody's own frames is wrong; who trains is told what to write."""
    monkeypatch.setattr("edgeseg.train.run.train", lambda *_, **__: None)
    words = ["--data", tiny_data, "--out", tmp_path / "run"]
    said = edgeseg_cli("train", "npnet-skin", *words).err
    notice = recipes.load("npnet-skin")[0].terms.notice
    assert f'bundles of this run will say "{notice}", as npnet-skin does; for phantom write [terms] and [use]' in said
    own = tmp_path / "own.toml"
    own.write_text('name = "own"\nextends = "npnet-skin"\n[terms]\nnotice = "Trained on our own frames."\n')
    for silent in (own, "npnet-phantom"):
        ran = edgeseg_cli("train", silent, *words)
        assert (ran.code, ran.err) == (0, "")
