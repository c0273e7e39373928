"""A bundle that is exported or verified again loses nothing that it holds, and says so where it would."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import edgeseg
from edgeseg import manifest as mf
from edgeseg.bundle import ZOO
from tests.test_bundle import sealed

Cli = Callable[..., Any]


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory, tiny_run: Path, tiny_data: Path) -> Path:
    """With INT8 graphs and what the gate measured."""
    from edgeseg.cli import run

    out = tmp_path_factory.mktemp("again") / "gated.edgeseg"
    words = ["export", tiny_run, "--int8", "--target", "x86-openvino", "--data", tiny_data, "--max-dice-drop", 100]
    assert run([*map(str, words), "--out", str(out), "--quiet"]) == 0
    return out


@pytest.fixture
def copy(labelled: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(labelled, tmp_path / "copy.edgeseg"))


def names(bundle: Path) -> set[str]:
    return {one.name for one in edgeseg.open(bundle).manifest.graphs}


def test_nothing_asked_for_is_a_copy(copy: Path, labelled: Path, tmp_path: Path, edgeseg_cli: Cli) -> None:
    before = edgeseg.open(labelled).manifest
    for words in ((), ("--out", tmp_path / "other.edgeseg")):
        done = edgeseg_cli("export", copy, *words)
        assert done.code == 0, done.err
        after = edgeseg.open(words[1] if words else copy).manifest
        for part in ("graphs", "evaluations", "calibration", "golden"):
            assert getattr(after, part) == getattr(before, part)


def test_what_would_be_lost_in_place_is_named(copy: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli: Cli) -> None:
    held = names(copy)
    words = ("export", copy, "--fp16", "--data", tiny_data)
    assert "made again without int8-cpu" in edgeseg_cli(*words).sentence(2)
    assert names(copy) == held
    done = edgeseg_cli(*words, "--out", tmp_path / "half.edgeseg")
    assert done.code == 0, done.err
    half = edgeseg.open(tmp_path / "half.edgeseg").manifest
    assert {one.name for one in half.graphs} == {"float", "fp16-trt-typed"}
    assert half.calibration is None  # no table, and nothing that was calibrated


def test_float_alone_is_asked_for(copy: Path, tmp_path: Path, edgeseg_cli: Cli) -> None:
    assert "made again without int8-cpu" in edgeseg_cli("export", copy, "--quantize", 32).sentence(2)
    assert edgeseg_cli("export", copy, "--quantize", 32, "--out", tmp_path / "f.edgeseg").code == 0
    assert names(tmp_path / "f.edgeseg") == {"float"}


def test_engines_of_the_old_graphs_are_not_named(copy: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli: Cli) -> None:
    engine = b"plan"
    (copy / "engines").mkdir()
    (copy / "engines" / "e.engine").write_bytes(engine)
    shape = [1, 64, 96, 3]
    entry = {
        "name": "int8-x", "target": "rtx-ada", "graph": "float", "graph_sha256": "0" * 64, "backend": "tensorrt",
        "flavour": "rtx", "version": "1.2.0.54", "precision": "int8", "gate": "pending", "platform": "linux-x86_64",
        "compute_capabilities": ["8.9"], "cuda_driver_min": 12000, "version_compatible": False,
        "hardware_compatible": "none", "resize": "host", "profile": {"min": shape, "opt": shape, "max": shape},
        "file": "engines/e.engine", "size": len(engine), "sha256": mf.sha256(engine),
    }  # fmt: skip
    sealed(copy, lambda value: value.update(engines=[entry]))
    assert [one.name for one in edgeseg.open(copy).manifest.engines] == ["int8-x"]
    words = ("export", copy, "--int8", "--target", "x86-openvino", "--data", tiny_data, "--max-dice-drop", 100)
    assert "made again without int8-x" in edgeseg_cli(*words).sentence(2)
    out = tmp_path / "new.edgeseg"
    assert edgeseg_cli(*words, "--out", out).code == 0
    assert edgeseg.open(out).manifest.engines == []
    assert edgeseg_cli("verify", out).code == 0


def test_update_keeps_what_decided(copy: Path, tiny_data: Path, edgeseg_cli: Cli) -> None:
    before = edgeseg.open(copy).manifest
    gates = [one for one in before.evaluations if one.purpose == "gate"]
    report = (copy / "report.html").read_bytes()
    assert gates
    assert edgeseg_cli("verify", copy, "--update").code == 0  # nothing measured: the page stays
    assert (copy / "report.html").read_bytes() == report
    words = ("--data", tiny_data, "--split", "val", "--max-dice-drop", 100, "--update")
    assert edgeseg_cli("verify", copy, *words).code == 0
    after = edgeseg.open(copy).manifest
    assert [one for one in after.evaluations if one.purpose == "gate"] == gates
    assert {one.purpose for one in after.evaluations} == {"gate", "report"}
    assert (copy / "report.html").read_bytes() != report


def test_shipped_bundles_are_not_written_to(edgeseg_cli: Cli) -> None:
    before = (ZOO / "npnet-skin.edgeseg" / "manifest.json").read_bytes()
    assert "is shipped and not written to" in edgeseg_cli("verify", "npnet-skin", "--update").sentence(2)
    assert (ZOO / "npnet-skin.edgeseg" / "manifest.json").read_bytes() == before


def test_a_form_of_a_newer_version_is_checked_and_never_lost(copy: Path, tiny_data: Path, edgeseg_cli: Cli) -> None:
    file = copy / "graphs" / "int8-dla.onnx"
    shutil.copy(copy / "graphs" / "int8-cpu.onnx", file)

    def newer(value: dict[str, Any]) -> None:
        entry = next(one for one in value["graphs"] if one["name"] == "int8-cpu")
        value["graphs"].append(entry | {"name": "int8-dla", "form": "dla-implicit", "file": "graphs/int8-dla.onnx"})

    sealed(copy, newer)
    assert edgeseg_cli("verify", copy).code == 0
    before = (copy / "manifest.json").read_bytes()
    assert "holds int8-dla, which this edgeseg does not know" in edgeseg_cli("export", copy, "--dynamic").sentence(3)
    words = ("--int8", "--target", "x86-openvino", "--data", tiny_data, "--max-dice-drop", 100)
    assert "holds int8-dla, which this edgeseg does not know" in edgeseg_cli("export", copy, *words).sentence(3)
    assert (copy / "manifest.json").read_bytes() == before
    file.write_bytes(file.read_bytes()[:-1])
    assert "int8-dla.onnx" in edgeseg_cli("verify", copy).sentence(3)


def test_the_opset_that_was_asked_for_is_named(tiny_run: Path, tmp_path: Path, edgeseg_cli: Cli) -> None:
    out = tmp_path / "twenty.edgeseg"
    done = edgeseg_cli("export", tiny_run, "--fp16", "--opset", "20", "--out", out)
    assert done.code == 0, done.err
    assert {one.name: one.opset for one in edgeseg.open(out).manifest.graphs} == {"float": 20, "fp16-trt-typed": 20}


def test_report_says_whose_frames_calibrated(labelled: Path) -> None:
    manifest = edgeseg.open(labelled).manifest
    from edgeseg.export import report

    held_out = "None of them is in the validation or test split"
    assert manifest.calibration.split == "train"
    assert held_out in (labelled / "report.html").read_text()
    other = manifest.model_copy(update={"calibration": manifest.calibration.model_copy(update={"split": "all"})})
    assert held_out not in report.write(other, report.Findings()).decode()
    assert "<em>Gate</em> rows (frames: val) decided" in report.write(other, report.Findings()).decode()


def test_a_table_whose_ranges_do_not_fit_is_refused(tmp_path: Path, edgeseg_cli: Cli) -> None:
    """Its hashes fit, and the graph sees nothing: that needs no labelled frames to say."""
    value = json.loads((ZOO / "npnet-polyp.edgeseg" / "calibration.json").read_text())
    for one in value["tensors"]:
        one["range"] = [end * 0.01 for end in one["range"]]
    bad = tmp_path / "bad.json"
    bad.write_text(json.dumps(value))
    words = ("--int8", "--target", "arm-cpu", "--calibration", bad, "--out", tmp_path / "bad.edgeseg")
    assert "is nowhere near the float graph" in edgeseg_cli("export", "npnet-polyp", *words).sentence(7)
    assert not (tmp_path / "bad.edgeseg").exists()
    for one in value["tensors"]:
        one["histogram"] = [1] * 4096
    bad.write_text(json.dumps(value))
    assert "is no calibration table" in edgeseg_cli("export", "npnet-polyp", *words, "--method", "minmax").sentence(3)
