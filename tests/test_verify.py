"""`verify` says no to a bundle whose hashes are right and whose content is not, in one sentence."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import onnx
import pytest

from edgeseg import manifest as mf

STEP = {"op": "clahe", "clip_limit": 3.0, "tiles": 8}
Change = Callable[[Path, dict[str, Any]], object]


@pytest.fixture
def copy(tiny_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bundle, tmp_path / "copy.edgeseg"))


def sealed(folder: Path, change: Change) -> Path:
    """Changes a bundle and every hash, as somebody would who means it."""
    value = json.loads((folder / "manifest.json").read_bytes())
    change(folder, value)
    for one in value["graphs"]:
        one["size"] = (folder / one["file"]).stat().st_size
    for one in (*value["graphs"], *value["golden"], *(row for g in value["golden"] for row in g["expected"])):
        one["sha256"] = mf.sha256((folder / one["file"]).read_bytes())
    for one in value["golden"]:
        one["fitted_sha256"] = mf.sha256((folder / one["fitted_file"]).read_bytes())
    data = json.dumps(value).encode()
    (folder / "manifest.json").write_bytes(data)
    (folder / "manifest.sha256").write_text(f"{mf.sha256(data)}  manifest.json\n")
    return folder


def grey(folder: Path, value: dict[str, Any]) -> None:
    file = folder / value["golden"][0]["file"]
    file.write_bytes(bytes([127]) * file.stat().st_size)


def renamed(rows: list[dict[str, Any]]) -> None:
    for row in rows:
        row["graph"] = "other"


def cut(folder: Path, file: str) -> None:
    (folder / file).write_bytes((folder / file).read_bytes()[:-7])


def with_graph(folder: Path, change: Callable[[onnx.ModelProto], object]) -> None:
    file = folder / "graphs" / "float.onnx"
    model = onnx.load(file)
    change(model)
    file.write_bytes(model.SerializeToString())


def external(model: onnx.ModelProto) -> None:
    model.graph.initializer[0].external_data.add(key="location", value="weights.bin")


def resized(value: dict[str, Any]) -> None:
    for part in ("frame", "output"):
        value[part] |= {"height": 72, "width": 72}


def two_classes(folder: Path, value: dict[str, Any]) -> None:
    """More channels than the graph has, in files of the size that the manifest asks for."""
    value["classes"].append(value["classes"][1] | {"name": "second"})
    value["output"]["channels"] = 2
    for row in (row for one in value["golden"] for row in one["expected"]):
        (folder / row["file"]).write_bytes((folder / row["file"]).read_bytes() * 2)


def test_a_fresh_bundle(tiny_bundle: Path, edgeseg_cli: Callable) -> None:
    done = edgeseg_cli("verify", tiny_bundle, "--json", "-")
    assert done.code == 0, done.err
    fit = [one for one in done.json["checks"] if one["name"] == "fit"]
    assert fit
    assert {one["detail"] for one in fit} == {"at most 0 grey levels off after fit and steps, 1 is allowed"}


NOT_THE_SAME: dict[str, tuple[Change, str]] = {
    "another frame": (grey, "fit of g0: at most"),
    "a step more": (lambda _, m: m["frame"].update(steps=[STEP]), "fit of g0: at most"),
    "another fit": (lambda _, m: m["frame"]["fit"].update(mode="crop"), "fit of g0: at most"),
    "nothing expected": (
        lambda _, m: [renamed(one["expected"]) for one in m["golden"]],
        "golden of float on onnxruntime: golden frame g0 was not compared",
    ),
    "nothing expected of one": (
        lambda _, m: renamed(m["golden"][-1]["expected"]),
        "golden of float on onnxruntime: golden frame g1 was not compared",
    ),
    "no graph that could": (
        lambda _, m: [one.update(resize="engine") for one in m["graphs"]],
        "golden of bundle: no graph takes a fitted frame, so no golden frame was compared",
    ),
}


@pytest.mark.parametrize("case", NOT_THE_SAME)
def test_a_check_that_fails(copy: Path, edgeseg_cli: Callable, case: str) -> None:
    change, words = NOT_THE_SAME[case]
    assert words in edgeseg_cli("verify", sealed(copy, change), "--quiet").sentence(7)


REFUSED: dict[str, tuple[Change, str]] = {
    "frame of another height": (lambda _, m: m["golden"][0].update(height=361), "361x480x3 in the manifest asks for"),
    "fitted too short": (lambda b, m: cut(b, m["golden"][0]["fitted_file"]), "g0.fitted.u8: is 18425 bytes, but"),
    "expected too short": (lambda b, m: cut(b, m["golden"][0]["expected"][0]["file"]), "g0.float.u8: is 6137 bytes"),
    "frame beside the graph": (lambda _, m: resized(m), "takes [64, 96, 3], but the manifest's frame is [72, 72, 3]"),
    "input of another size": (lambda _, m: m["graphs"][0].update(input=[1, 72, 96, 3]), "takes [72, 96, 3], but"),
    "input of a camera": (
        lambda _, m: m["graphs"][0].update(input=[1, 360, 480, 3], resize="engine"),
        "float.onnx: takes other frames than uint8 [1, 360, 480, 3]",
    ),
    "another batch": (lambda _, m: m["graphs"][0].update(input=[2, 64, 96, 3]), "other frames than uint8 [2, 64, 96"),
    "more classes": (two_classes, "graph float gives uint8 [1, 64, 96], but the manifest says uint8 [2, 64, 96]"),
    "no graph": (lambda b, _: (b / "graphs" / "float.onnx").write_bytes(b"no graph"), "is no ONNX graph"),
    "a cut graph": (lambda b, _: cut(b, "graphs/float.onnx"), "is no ONNX graph"),
    "an empty graph": (lambda b, _: with_graph(b, lambda model: model.Clear()), "float.onnx: takes other frames"),
    "weights elsewhere": (lambda b, _: with_graph(b, external), "float.onnx: keeps tensors in other files"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_bundle_that_is_refused(copy: Path, edgeseg_cli: Callable, case: str) -> None:
    change, words = REFUSED[case]
    assert words in edgeseg_cli("verify", sealed(copy, change), "--quiet").sentence(3)
