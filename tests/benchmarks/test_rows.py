"""`python -m benchmarks.rows`: every row is a recipe whose network takes its frames; one is trained and measured."""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from benchmarks.rows import Trainings, rows
from edgeseg.nets import build, check_size
from edgeseg.train import recipe as recipes

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("name", list(rows()))
def test_a_row_is_its_base_with_another_network(tmp_path: Path, name: str) -> None:
    row = rows()[name]
    file = tmp_path / "row.toml"
    file.write_text(row.text())
    ours, base = recipes.load(str(file))[0], recipes.load(row.base)[0]
    assert (ours.name, ours.network.name, ours.network.options) == (row.recipe, row.network, row.options)
    assert (ours.train, ours.augmentation, ours.classes) == (base.train, base.augmentation, base.classes)
    assert ours.input.height - base.input.height in range(32)
    assert ours.input.width - base.input.width in range(32)
    with torch.device("meta"):
        net = build(ours.network.name, options=ours.network.options)
    check_size(net, name, ours.input.height, ours.input.width)


def ran(*words: object) -> subprocess.CompletedProcess[str]:
    call = [sys.executable, "-m", "benchmarks.rows", *map(str, words)]
    return subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=False)


def test_a_row_is_trained_measured_and_kept(tiny_data: Path, tmp_path: Path) -> None:
    words = ["npnet-se", "--data", tiny_data, "--out", tmp_path, "--epochs", 1, "--seed", 3]
    done = ran(*words)
    result = tmp_path / "results" / f"npnet-se-cvc-paper-seed3-1-epochs.{tiny_data.name}-test.json"
    assert (done.returncode, done.stdout) == (0, f"{result}\n"), done.stderr
    said = json.loads(result.read_text())
    assert said["provenance"]["recipe"] == "npnet-se-cvc-paper"
    assert (said["provenance"]["seed"], said["provenance"]["epochs"]) == (3, 1)
    written = result.stat().st_mtime_ns
    assert ran(*words).stdout == f"{result} is there\n"
    assert result.stat().st_mtime_ns == written


def test_by_the_clock_what_was_cut_off_begins_anew(tiny_data: Path, tmp_path: Path) -> None:
    run = tmp_path / "npnet-none-cvc-paper-0.001-hours"
    run.mkdir()
    (run / "last.ckpt").write_bytes(b"cut off")
    done = ran("npnet-none", "--data", tiny_data, "--out", tmp_path, "--time", 0.001)
    assert done.returncode == 0, done.stderr
    assert (run / "manifest.json").is_file()
    assert done.stdout.strip().endswith(f"npnet-none-cvc-paper-0.001-hours.{tiny_data.name}-test.json")


def test_stopped(tmp_path: Path) -> None:
    """Nothing is begun after a stop."""
    words = argparse.Namespace(out=tmp_path, data=tmp_path, seed=0, epochs=None, time=None)
    trainings = Trainings(words, "x")
    trainings.stop()
    assert trainings.run(rows()["npnet-se"]) == (
        False, f"npnet-se-cvc-paper: edgeseg train did not end well, see {tmp_path / 'npnet-se-cvc-paper'}.log"
    )  # fmt: skip
    assert not (tmp_path / "npnet-se-cvc-paper.log").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["vgg"], "no row vgg; there are npnet, "),
        (["unet", "enet-drive", "--data", ".", "--out", "x"], "rows of one data set at a time"),
        (["unet"], "give --data and --out"),
        (["unet", "--data", ".", "--out", "x", "--time", "1", "--epochs", "2"], "give --time or --epochs"),
        (["unet", "--data", ".", "--out", "x", "--jobs", "0"], "--jobs is at least 1"),
        (["unet", "--data", "/nonexistent", "--out", "x"], "/nonexistent"),
    ],
)
def test_wrong_words(words: list[str], said: str) -> None:
    done = ran(*words)
    assert done.returncode
    assert said in done.stderr
    assert "Traceback" not in done.stderr
