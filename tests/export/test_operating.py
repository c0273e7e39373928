"""`export --threshold`: another operating point, on labelled frames alone, in manifest and graphs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
import onnx
import pytest

import edgeseg
from edgeseg.backends.base import EngineOptions
from edgeseg.bundle import open_model
from edgeseg.data.select import select
from edgeseg.errors import UsageError
from edgeseg.export import check
from edgeseg.export.operating import histograms, parse
from edgeseg.operating import choose
from edgeseg.reliability import curve

if TYPE_CHECKING:
    from tests.conftest import Ran

    Cli = Callable[..., Ran]


def test_what_may_be_asked() -> None:
    assert [parse(text) for text in ("0.5", "0", "1", "max-dice", "sensitive")] == [0.5, 0, 1, "max dice", "sensitive"]
    for text in ("half", "1.5", "-1", "nan", "max dice", ""):
        with pytest.raises(UsageError, match="give a probability from 0 to 1, or max-dice or sensitive"):
            parse(text)


def exported(edgeseg_cli: Cli, source: Path, data: Path, threshold: str, out: Path) -> tuple[dict[str, Any], str]:
    done = edgeseg_cli("export", source, "--data", data, "--threshold", threshold, "--out", out)
    assert done.code == 0, done.err
    return json.loads((out / "manifest.json").read_text()), done.out


def test_a_given_threshold_is_measured(tiny_run: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli: Cli) -> None:
    out = tmp_path / "given.edgeseg"
    manifest, said = exported(edgeseg_cli, tiny_run, tiny_data, "0.25", out)
    assert manifest["classes"][1]["threshold"] == 64
    (point,) = manifest["operating_points"]
    assert (point["rule"], point["split"]) == ("given", "val")
    sensitivity = point["sensitivity"][point["thresholds"].index(64)]
    assert f"from 64 of 255 (given): sensitivity {sensitivity:.4f}" in said
    # As `val` counts the same frames, mask by mask.
    words = ("val", out, "--data", tiny_data, "--split", "val", "--backend", "onnxruntime")
    assert edgeseg_cli(*words, "--json", "-").json["pooled"]["sensitivity"] == pytest.approx(sensitivity, abs=1e-4)
    # The graph says it too, where it is taken out of its bundle.
    assert open_model(out / "graphs" / "float.onnx").spec.classes[1].threshold == 64
    assert edgeseg_cli("verify", out).code == 0


@pytest.mark.parametrize("rule", ["max-dice", "sensitive"])
def test_a_rule_on_a_bundle(tiny_bundle: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli: Cli, rule: str) -> None:
    manifest, _ = exported(edgeseg_cli, tiny_bundle, tiny_data, rule, tmp_path / "ruled.edgeseg")
    whole = edgeseg.open(tiny_bundle).manifest
    assert whole is not None
    engine = check.ENGINES["onnxruntime"]((tiny_bundle / "graphs" / "float.onnx").read_bytes(), EngineOptions())
    (histogram,) = histograms(select([tiny_data], "val", "val", whole), lambda x: engine.run(x[None])[0], whole)
    assert manifest["operating_points"][0]["rule"] == rule.replace("-", " ")
    assert manifest["classes"][1]["threshold"] == choose(histogram, rule.replace("-", " "))
    assert manifest["classes"][1]["threshold"] in manifest["operating_points"][0]["thresholds"]
    assert curve(histogram)[2].max() > 0


def test_bad_threshold_is_a_sentence(tiny_bundle: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli: Cli) -> None:
    out = tmp_path / "none.edgeseg"
    asked = edgeseg_cli("export", tiny_bundle, "--threshold", "0.5", "--out", out)
    assert "give some with --data" in asked.sentence(2)
    asked = edgeseg_cli("export", tiny_bundle, "--threshold", "2", "--data", tiny_data, "--out", out)
    assert "--threshold 2" in asked.sentence(2)
    words = ("--threshold", "0.5", "--data", tiny_data, "--split", "test", "--out", out)
    assert "nothing may be chosen on it" in edgeseg_cli("export", tiny_bundle, *words).sentence(2)
    assert not out.exists()


def test_a_bundle_keeps_what_it_holds(tiny_run: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli: Cli) -> None:
    """Another threshold is all that changes: graphs compute what they did, from the same table."""
    bundle = tmp_path / "held.edgeseg"
    words = ("--data", tiny_data, "--max-dice-drop", 100)
    assert edgeseg_cli("export", tiny_run, "--int8", "--target", "x86-openvino", *words, "--out", bundle).code == 0
    before = edgeseg.open(bundle).manifest
    weights = {one.name: constants(bundle / one.file) for one in before.graphs}
    assert edgeseg_cli("export", bundle, "--threshold", "0.3", *words).code == 0
    after = edgeseg.open(bundle).manifest
    assert {one.name for one in after.graphs} == {one.name for one in before.graphs}
    assert after.classes[1].threshold == 77
    assert after.calibration.frames_sha256 == before.calibration.frames_sha256
    for one in after.graphs:
        assert open_model(bundle / one.file).spec.classes[1].threshold == 77
        now = constants(bundle / one.file)
        assert all(np.array_equal(value, weights[one.name][name]) for name, value in now.items())
    assert edgeseg_cli("verify", bundle).code == 0
    # What it cannot make again by itself is asked for.
    assert edgeseg_cli("export", bundle, "--dynamic").code == 0
    said = edgeseg_cli("export", bundle, "--threshold", "0.6", *words).sentence(2)
    assert "-dynamic keeps the old operating point" in said
    assert edgeseg.open(bundle).manifest.classes[1].threshold == 77


def constants(file: Path) -> dict[str, Any]:
    return {one.name: onnx.numpy_helper.to_array(one) for one in onnx.load(file).graph.initializer}


def test_a_table_serves_every_threshold(tiny_run: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli: Cli) -> None:
    table = tmp_path / "table.json"
    assert edgeseg_cli("calibrate", tiny_run, "--data", tiny_data, "--frames", 4, "--out", table).code == 0
    words = ("--int8", "--target", "arm-cpu", "--calibration", table, "--threshold", "0.3", "--max-dice-drop", 100)
    done = edgeseg_cli("export", tiny_run, *words, "--data", tiny_data, "--out", tmp_path / "moved.edgeseg")
    assert done.code == 0, done.err
    assert edgeseg_cli("verify", tmp_path / "moved.edgeseg").code == 0


def test_masks_without_the_class(tiny_bundle: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli: Cli) -> None:
    """Every threshold would be as good: none is chosen or measured."""
    for folder in ("images", "masks"):
        (tmp_path / "empty" / folder).mkdir(parents=True)
    for index in range(4):
        cv2.imwrite(str(tmp_path / "empty" / "images" / f"e{index}.png"), np.full((48, 64, 3), 90 + index, np.uint8))
        cv2.imwrite(str(tmp_path / "empty" / "masks" / f"e{index}.png"), np.zeros((48, 64), np.uint8))
    for asked in ("max-dice", "0.5"):
        words = ("--data", tmp_path / "empty", "--threshold", asked, "--out", tmp_path / "none.edgeseg")
        assert "no mask has a pixel of polyp" in edgeseg_cli("export", tiny_bundle, *words).sentence(3)
    assert not (tmp_path / "none.edgeseg").exists()


def test_a_list_may_be_called_test(tiny_run: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli: Cli) -> None:
    (listed,) = (tiny_run / "splits").glob("*.val.txt")
    (tmp_path / "test").write_text(listed.read_text())
    words = ("--data", tiny_data, "--split", tmp_path / "test", "--threshold", "0.5", "--out", tmp_path / "l.edgeseg")
    done = edgeseg_cli("export", tiny_run, *words)
    assert done.code == 0, done.err
    assert edgeseg.open(tmp_path / "l.edgeseg").manifest.operating_points[0].split == "list test"
