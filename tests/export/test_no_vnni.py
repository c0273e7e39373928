"""A CPU whose 8-bit products saturate: of full-range INT8 graphs only ONNX Runtime makes there what they mean."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

import edgeseg
from edgeseg import backends
from edgeseg.bundle import open_bundle, open_model, require_manifest, zoo_names
from edgeseg.export import parity
from edgeseg.verify import replayed

if TYPE_CHECKING:
    from tests.conftest import Ran


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "sums_in_32_bits", lambda: False)


@pytest.mark.usefixtures("without")
def test_openvino_runs_only_the_seven_bit_form() -> None:
    assert parity.backends("int8-cpu", "cpu") == ("onnxruntime",)
    assert parity.backends("int8-cpu-7bit", "cpu")[:2] == ("onnxruntime", "openvino")
    assert parity.backends("float", "float") == ("onnxruntime", "openvino")
    assert parity.backends("int8-trt-typed", "trt-typed") == ("onnxruntime",)


@pytest.mark.usefixtures("without")
def test_a_bundle_is_made_and_verified_there(
    tiny_run: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli: Callable[..., Ran]
) -> None:
    bundle = tmp_path / "made.edgeseg"
    words = ["export", tiny_run, "--int8", "--target", "x86-openvino", "--max-dice-drop", 100, "--data", tiny_data]
    done = edgeseg_cli(*words, "--out", bundle)
    assert done.code == 0, done.err
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert {one["name"]: one["gate"] for one in manifest["graphs"]} == {
        "float": "passed", "int8-cpu": "passed", "int8-cpu-7bit": "passed",
    }  # fmt: skip
    measured = {(one["subject"], one["backend"]) for one in manifest["evaluations"]}
    assert ("int8-cpu", "onnxruntime") in measured
    assert ("int8-cpu", "openvino") not in measured
    assert "Dice, INT8" in (bundle / "report.html").read_text()
    checked = edgeseg_cli("verify", bundle, "--data", tiny_data, "--max-dice-drop", 100, "--json", "-")
    assert checked.code == 0, checked.err
    found = {one["subject"].split(",")[0] for one in json.loads(checked.out)["checks"]}
    assert "int8-cpu on onnxruntime" in found
    assert "int8-cpu on openvino" not in found


@pytest.mark.usefixtures("without")
def test_openvino_never_takes_full_range_weights_there(
    tiny_run: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli: Callable[..., Ran]
) -> None:
    """A bundle made for Arm has no graph of 7 bits: its float graph runs instead, and says so."""
    bundle = tmp_path / "arm.edgeseg"
    words = ["export", tiny_run, "--int8", "--target", "arm-cpu", "--data", tiny_data, "--out", bundle]
    done = edgeseg_cli(*words)
    assert done.code == 0, done.err
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert {one["name"]: one["gate"] for one in manifest["graphs"]} == {"float": "passed", "int8-cpu": "passed"}
    with edgeseg.open(bundle).load() as model:
        assert model.engine.engine == "float"
        assert "has no VNNI" in model.engine.reason
    with edgeseg.open(bundle).load(precision="int8") as model:
        assert (model.engine.engine, model.engine.backend) == ("int8-cpu", "onnxruntime")
        assert "openvino was passed over: this CPU has no VNNI" in model.engine.reason
    for name, backend, runs, overflows in (
        ("int8-cpu", "auto", "onnxruntime", False), ("int8-cpu", "openvino", "openvino", True),
        ("float", "auto", "openvino", False),
    ):  # fmt: skip
        engine, info = backends.choose(open_model(str(bundle / "graphs" / f"{name}.onnx")), backend)
        engine.close()
        assert info.backend == runs
        assert info.reason.endswith(backends.NO_VNNI) == (overflows or (name, backend) == ("int8-cpu", "auto"))
    asked = edgeseg_cli("bench", bundle, "--precision", "int8", "--backend", "openvino")
    assert "no VNNI" in asked.sentence(3)


@pytest.mark.parametrize("name", zoo_names())
def test_onnx_runtime_takes_full_range_weights_right(name: str) -> None:
    """On whatever CPU this is: what was written down on another, and what the graph means with the optimiser off."""
    source = open_bundle(name)
    manifest = require_manifest(source)
    entry = next(one for one in manifest.graphs if one.name == "int8-cpu")
    checks = list(replayed(source, manifest, entry, source.read(entry.file, entry.sha256, entry.size)))
    assert {one.passed for one in checks if one.subject.endswith("onnxruntime")} == {True}
    graph = source.read(entry.file, entry.sha256, entry.size)
    frames = [
        np.frombuffer(source.read(one.fitted_file, one.fitted_sha256), np.uint8).reshape(entry.input[1:])
        for one in manifest.golden
    ]
    off = np.abs(parity.on_onnxruntime(graph, frames).astype(int) - parity.meaning(graph, frames).astype(int))
    assert (off > 8).mean() < 0.01
