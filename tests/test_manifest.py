"""The manifest: the contract's example, its consistency rules, what is skipped and what is refused."""

from __future__ import annotations

import copy
import json
import random
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from edgeseg import manifest as mf

EXAMPLE = (Path(__file__).parent / "data" / "contract_manifest.json").read_bytes()
Change = Callable[[dict[str, Any]], object]


@pytest.fixture
def example() -> dict[str, Any]:
    return json.loads(EXAMPLE)


def parse(value: object) -> mf.Manifest:
    return mf.parse(json.dumps(value).encode())


def test_contract_example_comes_back_whole(example: dict[str, Any]) -> None:
    assert json.loads(mf.dump(mf.parse(EXAMPLE))) == example


def test_dump_is_stable(example: dict[str, Any]) -> None:
    """The same manifest gives the same bytes, whatever order its keys were written in."""
    first = mf.dump(mf.parse(EXAMPLE))
    assert mf.dump(mf.parse(first)) == first
    assert first.endswith(b"}\n")
    assert b"null" not in first

    def shuffled(value: object) -> object:
        if isinstance(value, dict):
            keys = list(value)
            random.Random(1).shuffle(keys)
            return {key: shuffled(value[key]) for key in keys}
        return [shuffled(item) for item in value] if isinstance(value, list) else value

    assert mf.dump(parse(shuffled(example))) == first


def test_dump_writes_text_as_it_is(example: dict[str, Any]) -> None:
    example["terms"]["notice"] = "Für Forschung – nur"
    assert "Für Forschung – nur".encode() in mf.dump(parse(example))


def test_unknown_keys_are_ignored_everywhere(example: dict[str, Any]) -> None:
    wanted = mf.parse(EXAMPLE)
    example["later"] = {"a": [1, 2]}
    example["frame"]["fit"]["later"] = 1
    example["graphs"][0]["later"] = "x"
    assert parse(example) == wanted


def _set(path: str, value: object) -> Change:
    def change(manifest: dict[str, Any]) -> None:
        *way, last = path.split("/")
        at: Any = manifest
        for key in way:
            at = at[int(key)] if isinstance(at, list) else at[key]
        at[int(last) if isinstance(at, list) else last] = value

    return change


def _drop(path: str) -> Change:
    def change(manifest: dict[str, Any]) -> None:
        *way, last = path.split("/")
        at: Any = manifest
        for key in way:
            at = at[int(key)] if isinstance(at, list) else at[key]
        del at[int(last) if isinstance(at, list) else last]

    return change


REFUSED: list[tuple[Change, str]] = [
    (_set("format", "other"), "not edgeseg's"),
    (_drop("format"), "not edgeseg's"),
    (_set("schema", 2), "schema 2"),
    (_set("schema", True), "schema"),
    (_set("schema", 1.0), "schema"),
    (_drop("schema"), "schema None"),
    (_set("kind", "engine"), "kind"),
    (_set("name", "Npnet"), "name"),
    (_set("name", "x" * 65), "name"),
    (_set("name", "np\n"), "name"),
    (_set("created", "yesterday"), "created"),
    (_set("created", "2026-11-24T09:30:00+01:00"), "created"),
    (_set("created", "2026-13-45T99:99:99Z"), "created"),
    (_set("created", "٢٠٢٦-11-24T09:30:00Z"), "created"),
    (_set("task/kind", "detection"), "task.kind"),
    (_set("task/modality", "xray"), "task.modality"),
    (_set("classes/0/threshold", 128), "background"),
    (_drop("classes/1/threshold"), "background"),
    (_set("classes/1/threshold", 0), "classes.1.threshold"),
    (_set("classes/1/threshold", 256), "classes.1.threshold"),
    (_set("classes/1/threshold", 128.0), "classes.1.threshold"),
    (_set("classes/1/threshold", "128"), "classes.1.threshold"),
    (_set("classes/1/threshold", True), "classes.1.threshold"),
    (_set("classes/1/color", "#00e5a"), "classes.1.color"),
    (_set("classes/1/color", "#00e5a0\n"), "classes.1.color"),
    (_set("classes/1/name", "background"), "classes"),
    (_drop("classes/1"), "classes"),
    (_set("classes", {}), "classes"),
    (_set("frame/height", 0), "frame.height"),
    (_set("frame/height", 20000), "frame.height"),
    (_set("frame/height", 144), "height and width"),
    (_set("frame/order", "RGB"), "frame.order"),
    (_set("frame/channels", 1), "frame.channels"),
    (_set("frame/fit/mode", "stretch"), "frame.fit.mode"),
    (_set("frame/fit/pad_value", 256), "frame.fit.pad_value"),
    (_set("frame/fit/interpolation", "cubic"), "frame.fit.interpolation"),
    (_set("frame/steps", [{"op": "blur", "clip_limit": 1.0, "tiles": 8}]), "frame.steps.0.op"),
    (_set("frame/window", {"center_hu": 40, "width_hu": 0}), "frame.window.width_hu"),
    (_set("output/channels", 2), "output.channels"),
    (_set("output/scale", 256), "output.scale"),
    (_set("output/upsample", "cubic"), "output.upsample"),
    (_set("output/smoothing", 0.96), "output.smoothing"),
    (_set("output/min_area", -0.1), "output.min_area"),
    (_set("operating_points/0/split", "test"), "operating_points.0.split"),
    (_set("operating_points/0/sensitivity", [0.9]), "equal length"),
    (_set("calibration/split", "test"), "calibration.split"),
    (_set("calibration/method", "magic"), "calibration.method"),
    (_drop("training"), "training"),
    (_set("training/dirty", 0), "training.dirty"),
    (_set("training/recipe_sha256", "E" * 64), "training.recipe_sha256"),
    (_set("training/weights_sha256", "a" * 63), "training.weights_sha256"),
    (_set("graphs/1/name", "float"), "same name"),
    (_set("graphs/0/file", "../float.onnx"), "graphs.0.file"),
    (_set("graphs/0/file", "/etc/passwd"), "graphs.0.file"),
    (_set("graphs/0/file", "graphs//float.onnx"), "graphs.0.file"),
    (_set("graphs/0/file", "graphs/.hidden"), "graphs.0.file"),
    (_set("graphs/0/file", "g" * 129), "graphs.0.file"),
    (_set("graphs/0/size", -1), "graphs.0.size"),
    (_set("graphs/0/input", [1, 288, 384]), "graphs.0.input"),
    (_set("graphs/0/form", 3), "graphs.0.form"),
    (_set("graphs", "none"), "graphs"),
    (_drop("graphs"), "a bundle needs graphs"),
    (_drop("golden"), "a bundle needs graphs"),
    (_drop("use"), "a bundle needs graphs"),
    (_drop("terms"), "terms"),
    (_set("golden/0/sha256", ""), "golden.0.sha256"),
]


@pytest.mark.parametrize(("change", "said"), REFUSED, ids=[f"{n}-{said}" for n, (_, said) in enumerate(REFUSED)])
def test_refused(example: dict[str, Any], change: Change, said: str) -> None:
    change(example)
    with pytest.raises(ValueError, match=said) as caught:
        parse(example)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("path", "value", "left"),
    [
        ("graphs/1/form", "trt-next", ["float", "fp16-trt-typed"]),
        ("graphs/1/precision", "fp4", ["float", "fp16-trt-typed"]),
        ("graphs/2/gate", "blessed", ["float", "int8-cpu"]),
        ("graphs/1/resize", "camera", ["float", "fp16-trt-typed"]),
        ("engines/0/backend", "npu", []),
        ("engines/0/platform", "windows-x86_64", []),
        ("evaluations/0/purpose", "show", []),
        ("documents/1/role", "poem", ["calibration", "sbom", "card"]),
    ],
)
def test_entry_with_unknown_enum_value_is_skipped(
    example: dict[str, Any], path: str, value: str, left: list[str]
) -> None:
    _set(path, value)(example)
    entries = getattr(parse(example), path.split("/", maxsplit=1)[0])
    assert [getattr(one, "name", None) or getattr(one, "role", None) for one in entries] == left


def test_unknown_enum_does_not_excuse_other_faults(example: dict[str, Any]) -> None:
    example["graphs"][1]["form"] = "trt-next"
    example["graphs"][1]["file"] = "../out"
    with pytest.raises(ValueError, match=r"graphs\.1"):
        parse(example)


def test_numbers_may_be_written_as_integers_where_any_number_goes(example: dict[str, Any]) -> None:
    example["output"]["min_area"] = 0
    assert parse(example).output.min_area == 0.0


def test_a_run_needs_no_graphs(example: dict[str, Any]) -> None:
    example["kind"] = "run"
    for key in ("graphs", "engines", "golden", "evaluations", "use", "calibration", "operating_points"):
        del example[key]
    written = json.loads(mf.dump(parse(example)))
    assert written == example


def test_frame_spec_hash_ignores_order_and_space(example: dict[str, Any]) -> None:
    frame = parse(example).frame
    plain = mf.sha256(json.dumps(example["frame"], sort_keys=True, separators=(",", ":")).encode())
    assert mf.frame_spec_sha256(frame) == plain
    other = copy.deepcopy(example)
    other["frame"]["fit"]["pad_value"] = 1
    assert mf.frame_spec_sha256(parse(other).frame) != plain


def test_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("SOURCE_DATE_EPOCH", raising=False)
    assert mf.now(lambda: 0.9) == "1970-01-01T00:00:00Z"
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "86400")
    assert mf.now() == "1970-01-02T00:00:00Z"
    monkeypatch.undo()
    time.tzset()


def test_now_with_a_senseless_epoch(monkeypatch: pytest.MonkeyPatch) -> None:
    from edgeseg.errors import UsageError

    for text in ("soon", "1e9", "-1", str(10**20)):
        monkeypatch.setenv("SOURCE_DATE_EPOCH", text)
        with pytest.raises(UsageError, match="SOURCE_DATE_EPOCH"):
            mf.now()


def test_graph_metadata_is_what_a_bare_graph_needs(example: dict[str, Any]) -> None:
    value = json.loads(mf.graph_metadata(parse(example)))
    assert value == {key: example[key] for key in ("task", "classes", "frame", "output")}
