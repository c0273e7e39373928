"""Calibrate → export --int8 → verify on a tiny phantom, as a user types it, and what bad input says."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

import edgeseg

ON_CPUS = {"float", "int8-cpu", "int8-cpu-7bit"}
FORMS = ON_CPUS | {"int8-trt-typed", "int8-trt-legacy"}


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
    assert {one.name: one.gate for one in manifest.graphs} == dict.fromkeys(FORMS, "parity")
    assert (bundle / "calibration.json").read_bytes() == table.read_bytes()
    assert manifest.calibration is not None
    assert manifest.calibration.model_dump() == json.loads(table.read_text())["calibration"]
    assert b"<script" not in (bundle / "report.html").read_bytes()


def test_verify(bundle: Path, edgeseg_cli: Callable) -> None:
    done = edgeseg_cli("verify", bundle, "--json", "-")
    assert done.code == 0, done.err
    assert done.json["passed"]
    assert {one["name"] for one in done.json["checks"]} == {"hashes", "files", "fit", "golden", "parity", "finite"}


def test_verify_without_a_float_graph_that_runs(
    bundle: Path, tiny_data: Path, monkeypatch: pytest.MonkeyPatch, edgeseg_cli: Callable
) -> None:
    """INT8 has then nothing to be near to: not 0.00 points below, and not passed."""
    from edgeseg.errors import BackendError
    from edgeseg.export import gate

    measure = gate.measure

    def failing(subject: str, *words: object) -> list[gate.Measured]:
        if subject == "float":
            raise BackendError("out of order")
        return measure(subject, *words)

    monkeypatch.setattr(gate, "measure", failing)
    done = edgeseg_cli("verify", bundle, "--data", tiny_data, "--json", "-")
    assert done.code == 7
    said = [one for one in done.json["checks"] if one["name"] == "accuracy"]
    assert {one["passed"] for one in said} == {False}
    assert {one["detail"] for one in said} == {"out of order", "no float graph ran here to compare with"}


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
    recipe = tmp_path / "my_own.toml"  # a file's name need not be a legal name of a recipe
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


@pytest.fixture(scope="module")
def labelled(tmp_path_factory: pytest.TempPathFactory, tiny_run: Path, tiny_data: Path, table: Path) -> Path:
    """Like ``bundle``, with accuracy gated on labelled frames; a budget that a random network can hold."""
    from edgeseg.cli import run

    out = tmp_path_factory.mktemp("gated") / "gated.edgeseg"
    words = ["export", tiny_run, "--int8", "--calibration", table, "--data", tiny_data, "--target", "x86-openvino"]
    assert run([*map(str, words), "--max-dice-drop", "50", "--out", str(out), "--quiet"]) == 0
    return out


def test_evaluations_say_how_near_int8_is_to_float(labelled: Path) -> None:
    manifest = edgeseg.open(labelled).manifest
    assert manifest is not None
    gated = [one for one in manifest.evaluations if one.purpose == "gate"]
    assert {one.subject for one in gated} == ON_CPUS
    for one in gated:
        assert (one.parity_db is None) == (one.subject == "float")
        assert one.parity_db is None or 0 < one.parity_db <= 99


def test_update_finishes_what_was_pending(bundle: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli: Callable) -> None:
    """A bundle made without labelled frames is measured later, and its gates pass; nothing else changes."""
    copy = tmp_path / "copy.edgeseg"
    shutil.copytree(bundle, copy)
    done = edgeseg_cli("verify", copy, "--data", tiny_data, "--max-dice-drop", 50, "--update", "--json", "-")
    assert done.code == 0, done.err
    before, after = edgeseg.open(bundle).manifest, edgeseg.open(copy).manifest
    assert before is not None
    assert after is not None
    gates = {one.name: one.gate for one in after.graphs}
    assert gates == {one: "passed" if one in ON_CPUS else "parity" for one in FORMS}
    assert {one.subject for one in after.evaluations} == ON_CPUS
    assert [one.sha256 for one in after.graphs] == [one.sha256 for one in before.graphs]
    assert edgeseg_cli("verify", copy).code == 0


def test_nothing_is_updated_where_a_check_failed(
    bundle: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli: Callable
) -> None:
    copy = tmp_path / "copy.edgeseg"
    shutil.copytree(bundle, copy)
    (copy / "stray").write_bytes(b"x")
    before = (copy / "manifest.json").read_bytes()
    assert "stray is not listed" in edgeseg_cli("verify", copy, "--data", tiny_data, "--update").sentence(3)
    assert (copy / "manifest.json").read_bytes() == before


def test_sensitivity_ranks_and_draws(
    tiny_run: Path, tiny_data: Path, table: Path, tmp_path: Path, edgeseg_cli: Callable
) -> None:
    import cv2

    chart = tmp_path / "chart.png"
    words = ("sensitivity", tiny_run, "--data", tiny_data, "--calibration", table, "--out", chart, "--json", "-")
    done = edgeseg_cli(*words)
    assert done.code == 0, done.err
    layers = done.json["layers"]
    assert {one["layer"] for one in layers} >= {"head", "stages.0"}
    costs = [one["difference"] for one in layers]
    assert costs == sorted(costs, reverse=True)
    picture = cv2.imread(str(chart))
    assert picture is not None
    assert picture.std() > 5  # bars, not an empty page


def test_activations_that_are_no_numbers(tiny_run: Path, tmp_path: Path, edgeseg_cli: Callable) -> None:
    """A network that diverged: its graph gives NaN inside, and no table may come of it."""
    import numpy as np
    import onnx
    from onnx import numpy_helper

    from edgeseg.calibration import collect
    from edgeseg.errors import EdgesegError

    out = tmp_path / "float.edgeseg"
    assert edgeseg_cli("export", tiny_run, "--out", out).code == 0
    model = onnx.load(out / "graphs" / "float.onnx")
    weight = next(one for one in model.graph.initializer if len(one.dims) == 4)
    array = numpy_helper.to_array(weight).copy()
    array[0] = float("nan")
    weight.CopyFrom(numpy_helper.from_array(array, weight.name))
    frame = np.full((64, 96, 3), 128, np.uint8)
    with pytest.raises(EdgesegError, match="is not finite on this frame; the weights are broken") as caught:
        collect.collect(model.SerializeToString(), [("f", frame)])
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("command", [("export", "--int8"), ("sensitivity",)])
def test_nothing_is_tuned_on_test_frames(
    tiny_run: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli: Callable, command: tuple[str, ...]
) -> None:
    name, *more = command
    out = tmp_path / ("out.edgeseg" if name == "export" else "out.png")
    words = (name, tiny_run, "--data", tiny_data, "--out", out, *more)
    said = edgeseg_cli(*words, "--split", "test").sentence(2)
    assert "--split test: the test split only reports, nothing may be chosen on it" in said
    said = edgeseg_cli(*words, "--split", tiny_run / "splits" / "phantom.test.txt").sentence(2)
    assert "are test frames of" in said
    assert not out.exists()


def test_two_sets_of_one_name_do_not_calibrate(tiny_run: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli) -> None:
    other = Path(shutil.copytree(tiny_data, tmp_path / "elsewhere" / tiny_data.name))
    words = ("calibrate", tiny_run, "--data", tiny_data, "--data", other, "--out", tmp_path / "t.json")
    assert "rename one of the folders" in edgeseg_cli(*words).sentence(2)


def test_a_renamed_folder_is_still_held_out(tiny_run: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli) -> None:
    """A recipe that lists validation frames is refused whatever their folder is called now."""
    from edgeseg.bundle import open_model
    from edgeseg.data.select import select

    renamed = Path(shutil.copytree(tiny_data, tmp_path / "renamed"))
    val = select([renamed], None, "val", open_model(tiny_run).manifest)[0].pairs
    digest = hashlib.sha256(val[0].image.read_bytes()).hexdigest()
    recipe = tmp_path / "pinned.toml"
    source = f'[[sources]]\ndata = "any"\nframes = 1\nsha256 = ["{digest}"]\n'
    recipe.write_text(f'name = "pinned"\ndescription = "of validation frames"\n\n{source}')
    words = ("calibrate", tiny_run, "--data", renamed, "--calibration", recipe, "--out", tmp_path / "t.json")
    assert "it is in the val split" in edgeseg_cli(*words).sentence(3)
    assert "says which frames" in edgeseg_cli(*words, "--frames", 3).sentence(2)


def test_a_seed_that_draws_nothing_is_refused(
    tiny_run: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli: Callable
) -> None:
    recipe = tmp_path / "frozen.toml"
    words = ("calibrate", tiny_run, "--data", tiny_data)
    assert edgeseg_cli(*words, "--frames", 4, "--save-recipe", recipe).code == 0
    again = (*words, "--calibration", recipe, "--out", tmp_path / "t.json")
    assert "lists its frames and draws none" in edgeseg_cli(*again, "--seed", 9).sentence(2)
    assert edgeseg_cli(*again).code == 0
