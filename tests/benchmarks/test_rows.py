"""`python -m benchmarks.rows`: every row is a recipe whose network takes its frames; one is trained and measured."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")

from benchmarks.rows import rows
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


def test_a_row_is_trained_measured_and_printed(tiny_data: Path, tmp_path: Path) -> None:
    call = [sys.executable, "-m", "benchmarks.rows", "npnet-se", "--data", str(tiny_data), "--out", str(tmp_path)]
    call += ["--epochs", "1", "--seed", "3"]
    done = subprocess.run(call, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr + (tmp_path / "npnet-se-cvc-paper-seed3.log").read_text()
    (result,) = (tmp_path / "results").iterdir()
    said = json.loads(result.read_text())
    assert said["provenance"]["recipe"] == "npnet-se-cvc-paper"
    assert (said["provenance"]["seed"], said["provenance"]["epochs"]) == (3, 1)
    written = result.stat().st_mtime_ns
    assert subprocess.run(call, cwd=ROOT, capture_output=True, check=False).returncode == 0
    assert result.stat().st_mtime_ns == written


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["vgg"], "no row vgg; there are npnet, "),
        (["unet", "enet-drive", "--data", ".", "--out", "x"], "rows of one data set at a time"),
        (["unet"], "give --data and --out"),
    ],
)
def test_wrong_words(words: list[str], said: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.rows", *words], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert done.returncode
    assert said in done.stderr
