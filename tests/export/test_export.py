"""The frame graph says what the network says, the same weights give the same bytes, and gates hold."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import onnx
import pytest
import torch

from edgeseg import golden
from edgeseg.backends import BACKENDS
from edgeseg.backends.base import EngineOptions
from edgeseg.bundle import open_model
from edgeseg.errors import GateError
from edgeseg.export import check, frame_graph
from edgeseg.manifest import Manifest
from edgeseg.nets import NETS
from edgeseg.nets.frame import FrameNet
from edgeseg.nets.npnet import NPNet
from edgeseg.train.load import RunPredictor, load_run


@pytest.fixture(scope="module")
def run(tiny_run: Path) -> tuple[FrameNet, Manifest]:
    source = open_model(tiny_run)
    assert source.manifest is not None
    return load_run(source), source.manifest


@pytest.mark.parametrize("opset", [17, 18, 19, 20])
def test_graph_is_the_network_at_every_opset(run: tuple[FrameNet, Manifest], opset: int) -> None:
    net, manifest = run
    graph = frame_graph.export(net, manifest, opset=opset)
    model = onnx.load_from_string(graph)
    assert [one.version for one in model.opset_import if not one.domain] == [opset]
    frames = [np.random.default_rng(seed).integers(0, 256, (64, 96, 3), dtype=np.uint8) for seed in range(4)]
    frames += [np.zeros((64, 96, 3), np.uint8), np.full((64, 96, 3), 255, np.uint8)]
    agreements = check.agree(graph, RunPredictor(net), frames)
    assert {one.backend for one in agreements} == set(BACKENDS)
    assert all(one.frames == 6 and one.largest <= 1.01 / 255 for one in agreements)


def test_graph_against_the_module_in_grey_levels(run: tuple[FrameNet, Manifest]) -> None:
    """Rounding is inside the graph: uint8 of both differ by at most one."""
    net, manifest = run
    graph = frame_graph.export(net, manifest)
    frame = np.random.default_rng(9).integers(0, 256, (1, 64, 96, 3), dtype=np.uint8)
    with torch.inference_mode():
        wanted = net.eval()(torch.from_numpy(frame)).numpy()
    for name in BACKENDS:
        got = BACKENDS[name]().load(graph, EngineOptions()).run(frame)
        assert np.abs(got.astype(int) - wanted).max() <= 1


def test_interface_of_the_graph(tiny_bundle: Path) -> None:
    model = onnx.load(tiny_bundle / "graphs" / "float.onnx")
    onnx.checker.check_model(model, full_check=True)

    def described(value: onnx.ValueInfoProto) -> tuple[str, int, list[int]]:
        tensor = value.type.tensor_type
        return value.name, tensor.elem_type, [axis.dim_value for axis in tensor.shape.dim]

    assert [described(one) for one in model.graph.input] == [("frame", onnx.TensorProto.UINT8, [1, 64, 96, 3])]
    assert [described(one) for one in model.graph.output] == [("probability", onnx.TensorProto.UINT8, [1, 1, 64, 96])]
    kinds = [node.op_type for node in model.graph.node]
    # Cast before Transpose (TensorRT for RTX); nothing folded away that should be, no shape arithmetic left.
    assert kinds.index("Cast") < kinds.index("Transpose")
    assert not {"BatchNormalization", "Identity", "Shape", "Gather", "ReduceMean", "Constant"} & set(kinds)
    assert not any(one.data_location == onnx.TensorProto.EXTERNAL for one in model.graph.initializer)
    assert {one.domain for one in model.opset_import} <= {""}


def test_metadata(tiny_bundle: Path, tiny_run: Path) -> None:
    model = onnx.load(tiny_bundle / "graphs" / "float.onnx")
    (entry,) = model.metadata_props
    assert entry.key == "edgeseg"
    manifest = json.loads((tiny_run / "manifest.json").read_text())
    assert json.loads(entry.value) == {key: manifest[key] for key in ("task", "classes", "frame", "output")}
    assert (model.producer_name, model.doc_string) == ("edgeseg", "")
    text = model.SerializeToString()
    for secret in (str(Path.home()), str(Path(__file__).parents[2]), "site-packages"):
        assert secret.encode() not in text


def test_the_same_weights_the_same_bytes(run: tuple[FrameNet, Manifest], tiny_bundle: Path) -> None:
    net, manifest = run
    first = frame_graph.export(net, manifest)
    assert frame_graph.export(net, manifest) == first
    assert (tiny_bundle / "graphs" / "float.onnx").read_bytes() == first


def test_the_same_run_the_same_bundle(
    tiny_run: Path,
    tiny_data: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    edgeseg_cli,
) -> None:
    """With SOURCE_DATE_EPOCH every byte is the same again, but for measured latencies and what shows them."""
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1800000000")
    outs = [tmp_path / name / "a.edgeseg" for name in ("one", "two")]
    for out in outs:
        assert edgeseg_cli("export", tiny_run, "--data", tiny_data, "--out", out, "--quiet").code == 0
    files = [{f.relative_to(out): f.read_bytes() for f in out.rglob("*") if f.is_file()} for out in outs]
    assert files[0].keys() == files[1].keys()
    measured = {"report.html", "sbom.cdx.json", "manifest.json", "manifest.sha256"}
    for name in files[0]:
        assert files[0][name] == files[1][name] or str(name) in measured, name
    manifests = [json.loads((out / "manifest.json").read_text()) for out in outs]
    for manifest in manifests:
        for one in manifest["evaluations"]:
            del one["latency_p50_ms"]
        for one in manifest["documents"]:
            if one["role"] in ("report", "sbom"):
                del one["sha256"], one["size"]
    assert manifests[0] == manifests[1]
    assert json.loads((outs[0] / "manifest.json").read_text())["created"] == "2027-01-15T08:00:00Z"


def test_dynamic_batch(run: tuple[FrameNet, Manifest]) -> None:
    net, manifest = run
    graph = frame_graph.export(net, manifest, dynamic=True)
    frames = np.random.default_rng(0).integers(0, 256, (3, 64, 96, 3), dtype=np.uint8)
    for name in BACKENDS:
        engine = BACKENDS[name]().load(graph, EngineOptions())
        assert engine.shape == (0, 64, 96, 3)
        whole = engine.run(frames)
        assert whole.shape == (3, 1, 64, 96)
        parts = np.concatenate([engine.run(frames[i : i + 1]) for i in range(3)])
        assert np.abs(whole.astype(int) - parts).max() <= 1


def test_a_graph_that_differs_is_caught(run: tuple[FrameNet, Manifest]) -> None:
    net, manifest = run
    graph = frame_graph.export(net, manifest)
    frame = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
    off = RunPredictor(net)(frame) + np.float32(2.6 / 255)
    with pytest.raises(GateError, match="differs from the network by .*; no bundle was written") as caught:
        check.agree(graph, lambda _: off, [frame])
    assert caught.value.exit_code == 7
    for value in (np.nan, np.inf):
        said = [RunPredictor(net)(frame), RunPredictor(net)(frame)]
        said[0][0, 0, 0] = value
        with pytest.raises(GateError, match="differs from the network by inf"):
            check.agree(graph, lambda _, said=said: said.pop(), [frame, frame])  # the second frame is not a number


def test_an_operator_that_no_graph_may_have_ends_the_export(
    tiny_run: Path, tmp_path: Path, edgeseg_cli, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Such a bundle would be written and never load."""

    class Summed(NPNet):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return torch.cumsum(super().forward(x), 2)

    monkeypatch.setitem(NETS, "npnet", Summed)
    said = edgeseg_cli("export", tiny_run, "--out", tmp_path / "new.edgeseg", "--quiet").sentence(3)
    assert "'CumSum', which edgeseg does not run" in said
    assert not list(tmp_path.iterdir())


def test_gate_and_what_the_command_says(tiny_run: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli) -> None:
    out = tmp_path / "My_Bundle.edgeseg"
    done = edgeseg_cli("export", tiny_run, "--data", tiny_data, "--out", out, "--json", "-")
    assert done.code == 0, done.err
    said = done.json
    assert said["bundle"] == str(out)
    (graph,) = said["graphs"]
    assert (graph["gate"], graph["form"], graph["input"]) == ("passed", "float", [1, 64, 96, 3])
    assert {one["backend"] for one in said["evaluations"]} == set(BACKENDS)
    rows = {(one["purpose"], one["split"], one["images"]) for one in said["evaluations"]}
    assert rows == {("gate", "val", 1), ("report", "test", 3)}  # the gate sees val alone, test only reports
    manifest = json.loads((out / "manifest.json").read_text())
    assert manifest["name"] == "my-bundle"
    assert manifest["training"] == json.loads((tiny_run / "manifest.json").read_text())["training"]
    assert {one["role"] for one in manifest["documents"]} == {"report", "sbom", "card"}  # the run's weights stay there


def test_without_data_the_gate_is_parity(tiny_run: Path, tmp_path: Path, edgeseg_cli) -> None:
    run = Path(shutil.copytree(tiny_run, tmp_path / "run"))
    done = edgeseg_cli("export", run, "--json", "-")
    assert done.code == 0, done.err
    assert done.json["bundle"] == str(run / "tiny-run.edgeseg")
    assert done.json["graphs"][0]["gate"] == "parity"
    assert done.json["evaluations"] == []


def test_without_a_target_the_gate_is_parity(tiny_run: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli) -> None:
    data = Path(shutil.copytree(tiny_data, tmp_path / "negatives", ignore=shutil.ignore_patterns("*.mp4")))
    for file in (data / "masks").iterdir():
        cv2.imwrite(str(file), np.zeros((120, 160), np.uint8))
    stems = sorted(file.stem for file in (data / "images").iterdir())
    for name, some in (("train", stems[4:]), ("val", stems[:4])):
        (data / f"{name}.txt").write_text("\n".join(some))
    words = ["--data", data, "--int8", "--max-dice-drop", 100, "--out", tmp_path / "one.edgeseg", "--json", "-"]
    done = edgeseg_cli("export", tiny_run, *words)
    assert done.code == 0, done.err
    assert {one["name"]: one["gate"] for one in done.json["graphs"]}.keys() >= {"float", "int8-cpu"}
    assert {one["gate"] for one in done.json["graphs"]} == {"parity"}


def test_export_over_an_old_bundle(tiny_run: Path, tiny_bundle: Path, tmp_path: Path, edgeseg_cli) -> None:
    out = Path(shutil.copytree(tiny_bundle, tmp_path / "a.edgeseg"))
    (out / "graphs" / "old.onnx").write_text("x")
    assert edgeseg_cli("export", tiny_run, "--out", out, "--quiet").code == 0
    assert [file.name for file in (out / "graphs").iterdir()] == ["float.onnx"]
    assert [file.name for file in tmp_path.iterdir()] == ["a.edgeseg"]


def test_export_at_another_size(tiny_run: Path, tmp_path: Path, edgeseg_cli) -> None:
    out = tmp_path / "a.edgeseg"
    assert edgeseg_cli("export", tiny_run, "--imgsz", "72x80", "--out", out, "--quiet").code == 0
    spec = open_model(out).spec
    assert (spec.frame.height, spec.frame.width, spec.output.height, spec.output.width) == (72, 80, 72, 80)
    trained, exported = (open_model(one).manifest for one in (tiny_run, out))
    assert trained is not None
    assert exported is not None
    assert exported.training.gmac == pytest.approx(trained.training.gmac * 72 * 80 / (64 * 96), rel=0.01)
    assert exported.operating_points == []  # of the trained size alone
    said = edgeseg_cli("export", tiny_run, "--imgsz", "70x80", "--out", tmp_path / "b.edgeseg").sentence(2)
    assert "needs multiples of 8; take 72x80" in said
    assert [file.name for file in tmp_path.iterdir()] == ["a.edgeseg"]


@pytest.mark.parametrize("place", ["folder", "run", "file"])
def test_export_never_replaces_what_is_no_bundle(
    tiny_run: Path,
    tmp_path: Path,
    edgeseg_cli,
    place: str,
) -> None:
    """`--out .` or `--out RUN` must not cost the user a folder."""
    out = tmp_path / "mine"
    if place == "folder":
        out.mkdir()
        (out / "thesis.txt").write_text("years of work")
    elif place == "run":
        shutil.copytree(tiny_run, out)
    else:
        out.write_text("years of work")
    before = sorted(str(file) for file in tmp_path.rglob("*"))
    assert "is no bundle; choose another --out" in edgeseg_cli("export", tiny_run, "--out", out).sentence(5)
    assert sorted(str(file) for file in tmp_path.rglob("*")) == before


def test_what_cannot_be_exported(tiny_bundle: Path, tmp_path: Path, edgeseg_cli) -> None:
    graph = tiny_bundle / "graphs" / "float.onnx"
    assert "a bare graph has no manifest; give the run or bundle it came from" in edgeseg_cli("export", graph).sentence(
        2
    )
    assert "an exported graph has one size" in edgeseg_cli(
        "export", tiny_bundle, "--imgsz", "72x96", "--out", tmp_path / "a.edgeseg"
    ).sentence(3)
    assert "no such run" in edgeseg_cli("export", tmp_path / "none").sentence(3)
    assert edgeseg_cli("export", tiny_bundle, "--opset", 16).code == 2


# Golden frames.


def test_golden_frames_replay_on_every_backend(tiny_bundle: Path) -> None:
    source = open_model(tiny_bundle)
    assert source.manifest is not None
    assert 1 <= len(source.manifest.golden) <= 4
    for name in BACKENDS:
        with source.load(backend=name) as model:
            for one in source.manifest.golden:
                assert one.source.startswith("phantom colonoscopy seed ")
                frame = np.frombuffer(source.read(one.file, one.sha256), np.uint8).reshape(one.height, one.width, 3)
                fitted = np.frombuffer(source.read(one.fitted_file, one.fitted_sha256), np.uint8)
                assert np.array_equal(model.fit(frame, model.place(frame)).ravel(), fitted)
                (expected,) = one.expected
                want = np.frombuffer(source.read(expected.file, expected.sha256), np.uint8)
                output = model.run(fitted.reshape(64, 96, 3))
                passed, largest, _ = golden.replay(expected, output, want)
                assert passed, (name, largest)
                assert golden.telling(want) >= golden.LEAST


def test_replay_counts_what_differs() -> None:
    from edgeseg.manifest import Expected

    want = np.full(1000, 100, np.uint8)
    rule = Expected(graph="g", max_diff=2, max_fraction=0.001, file="x", sha256="0" * 64)
    output = want.copy()
    output[:1] = 103
    assert golden.replay(rule, output, want) == (True, 3, 0.001)
    output[:2] = 97
    assert golden.replay(rule, output, want) == (False, 3, 0.002)
    assert golden.replay(rule, want - 2, want) == (True, 2, 0.0)


def test_no_golden_frame_in_a_network_that_is_always_sure(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(golden, "SEEDS", range(7, 9))
    model = onnx.load(tiny_bundle / "graphs" / "float.onnx")
    head = next(one for one in model.graph.initializer if list(one.dims) == [1, 256, 1, 1])
    head.raw_data = np.full(256, -1e6, np.float32).tobytes()
    source = open_model(tiny_bundle)
    assert source.manifest is not None
    with pytest.raises(GateError, match="no golden frame: .*; train "):
        golden.pick(model.SerializeToString(), source.manifest)


def test_bundle_holds_no_frame_of_the_data(tiny_bundle: Path, tiny_data: Path) -> None:
    """Golden frames are of another scene than anybody's data, here the phantom of the training."""
    import cv2

    source = open_model(tiny_bundle)
    assert source.manifest is not None
    for one in source.manifest.golden:
        frame = np.frombuffer(source.read(one.file, one.sha256), np.uint8).reshape(one.height, one.width, 3)
        for file in (tiny_data / "images").iterdir():
            image = cv2.resize(cv2.imread(str(file)), (one.width, one.height))
            assert cv2.absdiff(image, frame).mean() > 2


@pytest.mark.slow
def test_bytes_do_not_depend_on_the_process(tiny_run: Path, tiny_bundle: Path, tmp_path: Path) -> None:
    call = [sys.executable, "-m", "edgeseg.cli", "export", str(tiny_run), "--out", str(tmp_path / "a.edgeseg")]
    subprocess.run(call, check=True)
    again = (tmp_path / "a.edgeseg" / "graphs" / "float.onnx").read_bytes()
    assert again == (tiny_bundle / "graphs" / "float.onnx").read_bytes()


@pytest.mark.slow
def test_agreement_on_fifty_real_frames(run: tuple[FrameNet, Manifest], data_dir: Callable[[str], Path]) -> None:
    from edgeseg.data.layouts import open_dataset

    net, manifest = run
    frames = check.fitted_frames(open_dataset(data_dir("cvc_clinicdb")).pairs, manifest.frame, 50)
    assert len(frames) == 50
    agreements = check.agree(frame_graph.export(net, manifest), RunPredictor(net), frames)
    assert all(one.largest <= 1.01 / 255 for one in agreements)
