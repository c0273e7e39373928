"""A CPU whose 8-bit products saturate: the full-range INT8 graph is emitted, but nothing there can look at it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import edgeseg
from edgeseg import backends
from edgeseg.bundle import open_model
from edgeseg.export import parity

if TYPE_CHECKING:
    from tests.conftest import Ran


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backends, "sums_in_32_bits", lambda: False)


@pytest.mark.usefixtures("without")
def test_only_the_seven_bit_form_runs() -> None:
    assert parity.backends("int8-cpu", "cpu") == ()
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
        "float": "passed", "int8-cpu": "pending", "int8-cpu-7bit": "passed",
    }  # fmt: skip
    assert {one["subject"] for one in manifest["evaluations"]} == {"float", "int8-cpu-7bit"}
    assert "Dice, INT8" in (bundle / "report.html").read_text()
    checked = edgeseg_cli("verify", bundle, "--data", tiny_data, "--max-dice-drop", 100, "--json", "-")
    assert checked.code == 0, checked.err
    rows = [one for one in json.loads(checked.out)["checks"] if one["subject"].startswith("int8-cpu on")]
    assert rows == []
    said = [one["detail"] for one in json.loads(checked.out)["checks"] if one["subject"] == "int8-cpu"]
    assert any("not run here: this CPU has no VNNI" in one for one in said)


@pytest.mark.usefixtures("without")
def test_full_range_weights_never_run_there(
    tiny_run: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli: Callable[..., Ran]
) -> None:
    """A bundle made for Arm has no graph of 7 bits: its float graph runs instead, and says so."""
    bundle = tmp_path / "arm.edgeseg"
    words = ["export", tiny_run, "--int8", "--target", "arm-cpu", "--data", tiny_data, "--out", bundle]
    done = edgeseg_cli(*words)
    assert done.code == 0, done.err
    assert "int8-cpu: gate pending, not run here: this CPU has no VNNI" in done.out
    manifest = json.loads((bundle / "manifest.json").read_text())
    assert {one["name"] for one in manifest["graphs"]} == {"float", "int8-cpu"}
    with edgeseg.open(bundle).load() as model:
        assert model.engine.engine == "float"
        assert "has no VNNI" in model.engine.reason
    for name, overflows in (("int8-cpu", True), ("float", False)):
        engine, info = backends.choose(open_model(str(bundle / "graphs" / f"{name}.onnx")), "onnxruntime")
        engine.close()
        assert ("has no VNNI" in info.reason) == overflows
    asked = edgeseg_cli("bench", bundle, "--precision", "int8")
    assert asked.code == 3
    assert "no VNNI" in asked.err
