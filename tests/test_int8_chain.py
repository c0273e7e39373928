"""Calibrate → export --int8 → verify on a tiny phantom, as a user types it, and what bad input says."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import edgeseg

FORMS = {"float", "int8-cpu", "int8-cpu-7bit", "int8-trt-typed", "int8-trt-legacy"}


@pytest.fixture(scope="module")
def table(tmp_path_factory: pytest.TempPathFactory, tiny_run: Path, tiny_data: Path) -> Path:
    from edgeseg.cli import run

    out = tmp_path_factory.mktemp("table") / "table.json"
    assert (
        run(["calibrate", str(tiny_run), "--data", str(tiny_data), "--frames", "4", "--out", str(out), "--quiet"]) == 0
    )
    return out


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, tiny_run: Path, table: Path) -> Path:
    from edgeseg.cli import run

    out = tmp_path_factory.mktemp("int8") / "tiny.edgeseg"
    assert run(["export", str(tiny_run), "--int8", "--calibration", str(table), "--out", str(out), "--quiet"]) == 0
    return out


def test_bundle_holds_every_form(bundle: Path, table: Path) -> None:
    manifest = edgeseg.open(bundle).manifest
    assert manifest is not None
    assert {one.name for one in manifest.graphs} == FORMS
    assert {one.gate for one in manifest.graphs} == {"parity"}
    assert (bundle / "calibration.json").read_bytes() == table.read_bytes()
    assert manifest.calibration is not None
    assert manifest.calibration.model_dump() == json.loads(table.read_text())["calibration"]
    assert b"<script" not in (bundle / "report.html").read_bytes()


def test_verify(bundle: Path, edgeseg_cli: Callable) -> None:
    done = edgeseg_cli("verify", bundle, "--json", "-")
    assert done.code == 0, done.err
    assert done.json["passed"]
    assert {one["name"] for one in done.json["checks"]} == {"hashes", "files", "golden", "parity"}


def test_verify_names_what_changed(bundle: Path, tmp_path: Path, edgeseg_cli: Callable) -> None:
    copy = tmp_path / "copy.edgeseg"
    shutil.copytree(bundle, copy)
    (copy / "graphs" / "stray.onnx").write_bytes(b"x")
    assert "stray.onnx is not listed" in edgeseg_cli("verify", copy).sentence(3)
    (copy / "card.md").write_bytes(b"other")
    assert "has changed" in edgeseg_cli("verify", copy).sentence(3)


def test_same_table_twice(tiny_run: Path, tiny_data: Path, table: Path, tmp_path: Path, edgeseg_cli: Callable) -> None:
    again = tmp_path / "again.json"
    assert edgeseg_cli("calibrate", tiny_run, "--data", tiny_data, "--frames", 4, "--out", again).code == 0
    assert again.read_bytes() == table.read_bytes()


def test_a_saved_recipe_gives_the_same_frames(
    tiny_run: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli: Callable
) -> None:
    recipe = tmp_path / "own.toml"
    words = ("calibrate", tiny_run, "--data", tiny_data, "--json", "-")
    first = edgeseg_cli(*words, "--frames", 4, "--save-recipe", recipe)
    second = edgeseg_cli(*words, "--calibration", recipe, "--save-recipe", tmp_path / "second.toml")
    assert first.json["frames_sha256"] == second.json["frames_sha256"]


def test_too_few_frames(tiny_run: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli: Callable) -> None:
    out = tmp_path / "t.json"
    said = edgeseg_cli("calibrate", tiny_run, "--data", tiny_data, "--frames", 4000, "--out", out).sentence(3)
    assert "wants 4000 frames" in said
    assert not out.exists()


def test_table_of_other_weights(tiny_run: Path, table: Path, tmp_path: Path, edgeseg_cli: Callable) -> None:
    value = json.loads(table.read_text())
    value["calibration"]["weights_sha256"] = "0" * 64
    other = tmp_path / "other.json"
    other.write_text(json.dumps(value))
    out = tmp_path / "none.edgeseg"
    said = edgeseg_cli("export", tiny_run, "--int8", "--calibration", other, "--out", out).sentence(3)
    assert "the weights changed since" in said
    assert not out.exists()


def test_int8_without_frames(tiny_run: Path, tmp_path: Path, edgeseg_cli: Callable) -> None:
    out = tmp_path / "none.edgeseg"
    assert "--int8 needs frames" in edgeseg_cli("export", tiny_run, "--int8", "--out", out).sentence(2)
    assert not out.exists()


def test_report_must_stand_outside(bundle: Path, edgeseg_cli: Callable) -> None:
    assert "outside the bundle" in edgeseg_cli("verify", bundle, "--report", bundle / "r.html").sentence(2)
