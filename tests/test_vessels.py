"""The vessel path end to end on the fundus phantom (patches, gates, val, tiles), and DRIVE itself."""

from __future__ import annotations

import json
import subprocess
import sys
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgeseg.data.layouts import open_dataset
from edgeseg.fit import content_box
from edgeseg.train import recipe as recipes

SMALLER = {
    'name = "dnlnet"': 'name = "dnlnet"\noptions = { width = 4 }',
    "height = 608": "height = 120",
    "width = 608": "width = 128",
    "epochs = 200": "epochs = 3",
    "patch = 192": "patch = 48",
    "patches = 16": "patches = 3",
}


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """dnlnet-drive, made tiny, on phantom fundus frames; the folder also holds the data."""
    from edgeseg.cli import run as edgeseg
    from edgeseg.data.phantom.write import write_clip

    folder = tmp_path_factory.mktemp("vessels")
    write_clip("fundus", folder / "data", (192, 160), 8, 25, 1, quiet=True)
    text = (recipes.FOLDER / "dnlnet-drive.toml").read_text(encoding="utf-8")
    for old, new in SMALLER.items():
        assert old in text
        text = text.replace(old, new, 1)
    (folder / "tiny.toml").write_text(text, encoding="utf-8")
    words = [
        "train",
        str(folder / "tiny.toml"),
        "--data",
        str(folder / "data"),
        "--out",
        str(folder / "run"),
        "--quiet",
    ]
    assert edgeseg(words) == 0
    return folder / "run"


@pytest.mark.slow
def test_from_phantom_to_pictures(run: Path, edgeseg_cli: Callable[..., Any], tmp_path: Path) -> None:
    data = run.parent / "data"
    manifest = json.loads((run / "manifest.json").read_text(encoding="utf-8"))
    assert manifest["operating_points"][0]["rule"] == "sensitive"
    bundle = tmp_path / "tiny-vessel.edgeseg"
    assert edgeseg_cli("export", run, "--data", data, "--out", bundle, "--quiet").code == 0
    whole = edgeseg_cli("val", bundle, "--data", data, "--split", "val", "--json", "-").json
    tiled = edgeseg_cli("val", bundle, "--data", data, "--split", "val", "--tile", "--json", "-").json
    assert whole["n_images"] == tiled["n_images"] > 0
    assert tiled["pooled"]["auc"] != whole["pooled"]["auc"]
    picture = cv2.imread(str(next((data / "images").iterdir())))
    (tmp_path / "in").mkdir()
    cv2.imwrite(str(tmp_path / "in" / "large.png"), cv2.resize(picture, (960, 800)))
    out = tmp_path / "out"
    assert edgeseg_cli("infer", "--stream", tmp_path / "in", "--model", bundle, "--tile", "--out", out).code == 0
    assert cv2.imread(str(out / "masks" / "large.png"), cv2.IMREAD_GRAYSCALE).shape == (800, 960)


@pytest.mark.slow
def test_tiles_are_refused_on_a_stream(run: Path, edgeseg_cli: Callable[..., Any], tmp_path: Path) -> None:
    data = run.parent / "data"
    bundle = tmp_path / "tiny-vessel.edgeseg"
    assert edgeseg_cli("export", run, "--data", data, "--out", bundle, "--quiet").code == 0
    ran = edgeseg_cli(
        "infer", "--stream", data / "clip.mp4", "--model", bundle, "--tile", "--out", tmp_path / "o", "--quiet"
    )
    assert "--tile is for pictures" in ran.sentence(2)


@pytest.fixture(scope="module")
def photographs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Three fundus photographs of 12 megapixels, labelled."""
    from edgeseg.data.phantom import PHANTOMS

    folder = tmp_path_factory.mktemp("large")
    frame = PHANTOMS["fundus"](1, 4000, 3000, 5)[0]
    for part, picture in (("images", frame.image), ("masks", frame.mask)):
        (folder / part).mkdir()
        for name in "abc":
            cv2.imwrite(str(folder / part / f"{name}.png"), picture)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize("tile", [[], ["--tile"]])
@pytest.mark.parametrize("command", ["infer", "val"])
@pytest.mark.parametrize(("backend", "gib"), [("openvino", 1.0), ("onnxruntime", 1.25)])
def test_photographs_of_12_megapixels_stay_within_memory(
    photographs: Path, backend: str, gib: float, command: str, tile: list[str], tmp_path: Path
) -> None:
    """The whole process, two pictures at a time, as docs/vessels.md says."""
    words = {
        "infer": ["infer", "--stream", photographs / "images", "--model", "dnlnet-vessel", "--out", tmp_path / "out"],
        "val": ["val", "dnlnet-vessel", "--data", photographs],
    }[command]
    # Its own peak (the kernel's figure for a child also counts what this process held at the fork).
    code = (
        "import sys; from pathlib import Path; from edgeseg.cli import run; code = run(sys.argv[1:])\n"
        "print('code', code, Path('/proc/self/status').read_text())"
    )
    call = [sys.executable, "-c", code, *map(str, words), *tile, "--backend", backend, "--threads", "2", "--quiet"]
    said = subprocess.run(call, capture_output=True, text=True, check=True).stdout
    assert "code 0" in said
    peak = int(said.split("VmHWM:")[1].split()[0])
    assert 150_000 < peak < gib * (1 << 20)  # KiB
    if command == "infer":
        assert cv2.imread(str(tmp_path / "out" / "masks" / "a.png"), cv2.IMREAD_GRAYSCALE).shape == (3000, 4000)


def test_the_vessel_recipes_say_what_they_must() -> None:
    paper, _ = recipes.load("dnlnet-drive-paper")
    assert (paper.train.patch, paper.train.epochs, paper.train.betas) == (96, 200, [0.5, 0.999])
    assert [step.op for step in paper.input.steps] == ["clahe"]
    ours, _ = recipes.load("dnlnet-drive")
    assert not ours.input.steps
    assert ours.input.fit.region == "content"
    cta, _ = recipes.load("dnlnet-cta")
    assert cta.input.window is not None
    assert cta.min_area == pytest.approx(0.0003)
    for name in ("dnlnet-drive", "dnlnet-drive-paper", "dnlnet-cta"):
        assert tomllib.loads((recipes.FOLDER / f"{name}.toml").read_text(encoding="utf-8"))["name"] == name


def test_drive_is_read_with_its_fields_of_view(data_dir: Callable[[str], Path]) -> None:
    dataset = open_dataset(data_dir("drive"))
    assert dataset.name == "drive"
    assert len(dataset.lists["train"]) == len(dataset.lists["test"]) == 20
    boxes = []
    for pair in dataset.pairs:
        assert pair.fov is not None
        frame, fov = cv2.imread(str(pair.image)), cv2.imread(str(pair.fov), cv2.IMREAD_GRAYSCALE)
        box = content_box(frame, 24)
        rows, columns = np.nonzero(fov.max(1))[0], np.nonzero(fov.max(0))[0]
        boxes.append((abs(box.left - columns[0]), abs(box.top - rows[0]), abs(box.width - np.ptp(columns) - 1)))
    assert np.max(boxes) <= 8
