"""`export --threshold`: another operating point, on labelled frames alone, in manifest and graphs."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

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
