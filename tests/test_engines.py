"""Engines from the command line, as on a machine without a GPU: built, pending, refused, rebuilt, served."""

from __future__ import annotations

import dataclasses
import importlib.util
import json
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("tensorrt_rtx", reason="pip install 'edgeseg[rtx]'")

from edgeseg import manifest as mf
from edgeseg.backends import choose, engines, fingerprint
from edgeseg.backends.cuda import Card
from edgeseg.backends.tensorrt_library import find, this_platform
from edgeseg.bundle import open_bundle
from edgeseg.errors import BackendError, ModelError

ADA = Card("RTX 6000 Ada", "8.9", 13000, 48000)


def here(card: Card = ADA, **changes: Any) -> fingerprint.Machine:
    library = dataclasses.replace(find("rtx"), **changes)
    return fingerprint.machine(card, (library,))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path) -> Path:
    """With FP16 and FP32 engines for Ada. Nobody changes it."""
    from edgeseg.cli import run

    out = tmp_path_factory.mktemp("engines") / "tiny.edgeseg"
    assert run(["export", str(tiny_bundle), "--target", "rtx-ada", "--fp16", "--out", str(out), "--quiet"]) == 0
    assert run(["export", str(out), "--target", "rtx-ada", "--quantize", "32", "--quiet"]) == 0
    return out


@pytest.fixture
def copy(bundle: Path, tmp_path: Path) -> Path:
    out = tmp_path / "copy.edgeseg"
    shutil.copytree(bundle, out)
    return out


def manifest_of(path: Path) -> mf.Manifest:
    manifest = open_bundle(str(path)).manifest
    assert manifest is not None
    return manifest


def test_engines_are_pending_and_name_their_machine(bundle: Path, tiny_bundle: Path) -> None:
    manifest, before = manifest_of(bundle), manifest_of(tiny_bundle)
    assert [one.name for one in manifest.engines] == ["fp16-rtx-ada", "fp32-rtx-ada"]
    one = manifest.engines[0]
    assert (one.gate, one.flavour, one.graph, one.resize) == ("pending", "rtx", "fp16-trt-typed", "host")
    assert (one.version, one.platform, one.compute_capabilities) == (find("rtx").version, this_platform(), ["8.9"])
    assert one.profile.max == [1, 64, 96, 3]
    graph = next(graph for graph in manifest.graphs if graph.name == one.graph)
    assert one.graph_sha256 == graph.sha256
    # What the bundle held stays, figures included.
    assert manifest.evaluations == before.evaluations
    assert manifest.graphs[: len(before.graphs)] == before.graphs


def test_a_device_needs_no_training_extra(copy: Path) -> None:
    code = (
        "import sys\n"
        "for name in ('torch', 'lightning', 'monai', 'onnx', 'onnx_ir', 'onnxscript', 'safetensors', 'cyclonedx'):\n"
        "    sys.modules[name] = None\n"
        "from edgeseg.cli import run\n"
        "sys.exit(run(sys.argv[1:]))\n"
    )
    words = ["export", str(copy), "--target", "rtx-ada", "--fp16", "--quiet", "--json", "-"]
    done = subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert {one["name"] for one in json.loads(done.stdout)["engines"]} == {"fp16-rtx-ada", "fp32-rtx-ada"}


def test_what_is_built_elsewhere(tiny_bundle: Path, tmp_path: Path, edgeseg_cli: Callable) -> None:
    out = tmp_path / "jetson.edgeseg"
    words = ("export", tiny_bundle, "--target", "jetson-orin", "--fp16", "--out", out)
    said = edgeseg_cli(*words).sentence(6)
    assert "--no-engine" in said
    assert f"edgeseg export {out} --target jetson-orin --fp16" in said
    assert not out.exists()
    assert edgeseg_cli(*words, "--no-engine").code == 0
    assert manifest_of(out).engines == []


def test_the_full_library_is_missing(tiny_bundle: Path, tmp_path: Path, edgeseg_cli: Callable) -> None:
    if importlib.util.find_spec("tensorrt") is not None:
        pytest.skip("the full library is installed")
    out = tmp_path / "l4.edgeseg"
    said = edgeseg_cli("export", tiny_bundle, "--target", "l4", "--fp16", "--out", out).sentence(6)
    assert "TensorRT is not installed" in said
    assert not out.exists()


def test_ctrl_c_leaves_nothing(copy: Path, monkeypatch: pytest.MonkeyPatch, edgeseg_cli: Callable) -> None:
    from edgeseg.export import tensorrt

    before = {file: file.read_bytes() for file in copy.rglob("*") if file.is_file()}
    built = tensorrt._build

    def interrupted(*words: Any) -> Any:
        words[4].cancelled = True
        return built(*words)

    monkeypatch.setattr(tensorrt, "_build", interrupted)
    assert edgeseg_cli("export", copy, "--target", "rtx-blackwell", "--fp16").code == 130
    assert {file: file.read_bytes() for file in copy.rglob("*") if file.is_file()} == before
    assert sorted(copy.parent.iterdir()) == [copy]


def test_a_changed_byte_never_reaches_the_library(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = copy / "engines" / "fp16-rtx-ada.engine"
    data = bytearray(plan.read_bytes())
    data[len(data) // 2] ^= 1
    plan.write_bytes(data)
    monkeypatch.setattr(engines, "this_machine", lambda _: here())
    monkeypatch.setattr("edgeseg.backends.tensorrt.TensorRtEngine", lambda *_, **__: pytest.fail("it was deserialised"))
    with pytest.raises(ModelError, match="has changed since the manifest was written"):
        choose(open_bundle(str(copy)), "tensorrt", "fp16")
    plan.write_bytes(data[:100])  # truncated
    with pytest.raises(ModelError, match="has changed since"):
        choose(open_bundle(str(copy)), "tensorrt", "fp16")


@pytest.mark.parametrize(
    ("machine", "words"),
    [
        (lambda: here(Card("RTX 3090", "8.6", 13000, 24000)), "is for compute capability 8.9, this machine has 8.6"),
        (lambda: here(version="1.9.0.1"), "this machine has 1.9.0.1"),
        (lambda: here(Card("RTX 4090", "8.9", 12080, 24000)), "needs CUDA driver 13.0 or later, this machine has 12.8"),
        (lambda: fingerprint.Machine("linux-aarch64", (find("rtx"),), ADA), "this machine is linux-aarch64"),
        (lambda: fingerprint.machine(ADA, ()), "which is not installed"),
    ],
)
def test_misfits_show_both_fingerprints(
    bundle: Path, monkeypatch: pytest.MonkeyPatch, machine: Any, words: str
) -> None:
    found = machine()
    monkeypatch.setattr(engines, "this_machine", lambda _: found)
    with pytest.raises(ModelError) as caught:
        choose(open_bundle(str(bundle)), "tensorrt", "fp16")
    said = str(caught.value)
    assert words in said
    assert f"[engine: {fingerprint.of(manifest_of(bundle).engines[0])}] [here: {found}]" in said
    assert "edgeseg export" in said
    assert "--target rtx-ada --fp16" in said
    assert "--rebuild" in said
    assert caught.value.exit_code == 3


def test_pending_runs_only_when_asked_for(bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(engines, "this_machine", lambda _: here())
    source = open_bundle(str(bundle))
    with pytest.raises(ModelError, match=r"has not passed its gate .* edgeseg verify .* --update"):
        engines.pick(source, "auto", device=0, asked=True)
    with pytest.raises(ModelError, match="has not passed its gate"):
        engines.pick(source, "fp16", device=0, asked=False)
    assert engines.pick(source, "fp16", device=0, asked=True).entry.name == "fp16-rtx-ada"
    engine, info = choose(source)
    engine.close()
    assert info.backend in ("openvino", "onnxruntime")
    assert "tensorrt was passed over" in info.reason


def test_no_gpu_here(bundle: Path, monkeypatch: pytest.MonkeyPatch, edgeseg_cli: Callable) -> None:
    monkeypatch.setitem(sys.modules, "pycuda", None)
    monkeypatch.setitem(sys.modules, "pycuda.driver", None)
    said = edgeseg_cli("bench", bundle, "--backend", "tensorrt", "--precision", "fp16").sentence(6)
    assert "pip install pycuda" in said


def test_no_engine_of_that_precision(bundle: Path, edgeseg_cli: Callable) -> None:
    said = edgeseg_cli("bench", bundle, "--backend", "tensorrt", "--precision", "int8").sentence(3)
    assert "holds no int8 engine" in said


def test_an_engine_of_another_graph(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = open_bundle(str(copy))
    manifest = manifest_of(copy)
    other = [one.model_copy(update={"graph_sha256": "0" * 64}) for one in manifest.engines]
    monkeypatch.setattr(engines, "this_machine", lambda _: here())
    source = dataclasses.replace(source, manifest=manifest.model_copy(update={"engines": other}))
    with pytest.raises(ModelError, match="built from another graph"):
        engines.pick(source, "fp16", device=0, asked=True)


def test_rebuild(copy: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """On an 8.6 card both engines are built anew from the bundle's own graphs."""
    from edgeseg.export.engines import rebuilt

    card = Card("RTX 3090", "8.6", 13000, 24000)
    monkeypatch.setattr(engines, "this_machine", lambda _: here(card))
    source = rebuilt(open_bundle(str(copy)))
    assert source.manifest is not None
    assert [one.compute_capabilities for one in source.manifest.engines] == [["8.6"], ["8.6"]]
    assert {one.gate for one in source.manifest.engines} == {"pending"}
    assert engines.pick(source, "fp16", device=0, asked=True).entry.name == "fp16-rtx-ada"
    again = (copy / "manifest.json").read_bytes()
    rebuilt(open_bundle(str(copy)))  # all fit now: nothing is written
    assert (copy / "manifest.json").read_bytes() == again
    monkeypatch.setattr(engines, "this_machine", lambda _: fingerprint.machine(card, ()))
    with pytest.raises(BackendError, match="none of its engines can be rebuilt here"):
        rebuilt(open_bundle(str(copy)))


class FromGraph:
    """An engine that does what its graph means, or something broken."""

    def __init__(self, graph: bytes, *, broken: bool = False) -> None:
        from edgeseg.backends.base import EngineOptions
        from edgeseg.backends.onnxruntime import OnnxRuntimeEngine

        self._inner, self._broken = OnnxRuntimeEngine(graph, EngineOptions(optimise=False)), broken
        self.shape = self._inner.shape

    def run(self, frames: Any) -> Any:
        out = self._inner.run(frames)
        return out // 2 if self._broken else out

    def close(self) -> None:
        self._inner.close()


@pytest.mark.parametrize("broken", [False, True])
def test_verify_update_finishes_an_engine(
    copy: Path, monkeypatch: pytest.MonkeyPatch, edgeseg_cli: Callable, broken: bool
) -> None:
    from edgeseg import verify_engines

    manifest = manifest_of(copy)

    def load(_: bytes, entry: mf.Engine, *__: Any) -> Any:
        graph = next(one for one in manifest.graphs if one.name == entry.graph)
        return FromGraph((copy / graph.file).read_bytes(), broken=broken and entry.precision == "fp16")

    run = verify_engines.run
    monkeypatch.setattr(verify_engines, "run", lambda *words: run(*words, machine=lambda _: here(), load=load))
    done = edgeseg_cli("verify", copy, "--update", "--json", "-")
    gates = {one.name: one.gate for one in manifest_of(copy).engines}
    if broken:
        assert done.code == 7
        assert "fp16-rtx-ada" in done.err
        assert set(gates.values()) == {"pending"}
    else:
        assert done.code == 0, done.err
        assert gates == {"fp16-rtx-ada": "parity", "fp32-rtx-ada": "parity"}
        assert {"golden", "parity", "finite"} <= {c["name"] for c in done.json["checks"] if "rtx-ada" in c["subject"]}


@pytest.mark.parametrize("fault", ["was not compared", "the graph gone, which the bundle lacks"])
def test_verify_wants_an_engine_to_answer_to_something(copy: Path, fault: str) -> None:
    from edgeseg import verify, verify_engines

    manifest = manifest_of(copy)
    graphs = {one.name: (copy / one.file).read_bytes() for one in manifest.graphs}
    bare = {"golden": [one.model_copy(update={"expected": []}) for one in manifest.golden]}
    lost = {"engines": [one.model_copy(update={"graph": "gone"}) for one in manifest.engines]}
    out = verify.Verified(manifest.model_copy(update=lost if "gone" in fault else bare))
    words: Any = (open_bundle(str(copy)), out, graphs, [np.full((64, 96, 3), 128, np.uint8)], [], 0.01, 0, print)
    verify_engines.run(*words, machine=lambda _: here(), load=lambda _, entry, *__: FromGraph(graphs[entry.graph]))
    said = [one.detail for one in out.checks if not one.passed]
    assert len(said) == 2
    assert all(fault in one for one in said)
    assert out.engine_gates == {}


def test_verify_says_what_did_not_run(bundle: Path, monkeypatch: pytest.MonkeyPatch, edgeseg_cli: Callable) -> None:
    monkeypatch.setitem(sys.modules, "pycuda", None)
    monkeypatch.setitem(sys.modules, "pycuda.driver", None)
    done = edgeseg_cli("verify", bundle, "--json", "-")
    assert done.code == 0, done.err
    rows = [one for one in done.json["checks"] if one["name"] == "not run here"]
    assert len(rows) == 2
    assert "pip install pycuda" in rows[0]["detail"]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, tiny_bundle: Path) -> tuple[Path, Path]:
    from edgeseg.cli import run

    base = tmp_path_factory.mktemp("served")
    words = ["--out", str(base / "tiny.edgeseg"), "--triton", str(base / "models"), "--fp16", "--target", "rtx-ada"]
    assert run(["export", str(tiny_bundle), *words, "--quiet"]) == 0
    return base / "tiny.edgeseg", base / "models"


def test_batches(served: tuple[Path, Path], edgeseg_cli: Callable) -> None:
    manifest = manifest_of(served[0])
    assert {one.name for one in manifest.graphs if one.input[0] == 0} == {"float-dynamic", "fp16-trt-typed-dynamic"}
    assert {one.name: one.profile.max[0] for one in manifest.engines} == {
        "fp16-rtx-ada": 1,
        "fp16-rtx-ada-dynamic": 8,
    }
    done = edgeseg_cli("bench", served[0], "--precision", "fp32", "--batch", 4, "--duration", 0, "--json", "-")
    assert done.code == 0, done.err
    assert done.json["batch"] == 4
    assert done.json["includes_copies"]
    assert not done.json["cuda_graph"]
    said = edgeseg_cli("bench", served[0], "--noDataTransfers", "--duration", 0).sentence(2)
    assert "--backend tensorrt" in said


def test_triton_repository(served: tuple[Path, Path], tmp_path: Path) -> None:
    grpc = pytest.importorskip("tritonclient.grpc.model_config_pb2", reason="pip install tritonclient grpcio")
    from google.protobuf import text_format

    from edgeseg.export import triton

    bundle, models = served
    source = open_bundle(str(bundle))
    manifest = manifest_of(bundle)
    # An engine of the full library, which cannot be built here, is served too; those of RTX are not.
    plan = next(one for one in manifest.engines if one.profile.max[0] > 1)
    full = plan.model_copy(update={"flavour": "tensorrt", "name": "fp16-l4-dynamic"})
    source = dataclasses.replace(source, manifest=manifest.model_copy(update={"engines": [full]}))
    assert [one.name for one in models.iterdir()] == ["tiny"]
    triton.write(source, tmp_path)
    assert sorted(one.name for one in tmp_path.iterdir()) == ["tiny", "tiny-fp16-l4-dynamic"]
    for folder, file, platform in (
        ("tiny", "model.onnx", "onnxruntime_onnx"),
        ("tiny-fp16-l4-dynamic", "model.plan", "tensorrt_plan"),
    ):
        config = text_format.Parse((tmp_path / folder / "config.pbtxt").read_text(), grpc.ModelConfig())
        assert (config.name, config.platform, config.max_batch_size) == (folder, platform, 8)
        assert list(config.dynamic_batching.preferred_batch_size) == [4, 8]
        assert (config.input[0].name, list(config.input[0].dims)) == ("frame", [64, 96, 3])
        assert (config.output[0].name, list(config.output[0].dims)) == ("probability", [1, 64, 96])
        assert config.input[0].data_type == config.output[0].data_type == grpc.TYPE_UINT8
        assert (tmp_path / folder / "1" / file).stat().st_size > 1000


def test_triton_needs_a_batch(tiny_bundle: Path, tmp_path: Path) -> None:
    from edgeseg.export import triton

    with pytest.raises(ModelError, match="holds no graph for batches"):
        triton.write(open_bundle(str(tiny_bundle)), tmp_path)


def test_timing_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgeseg import cache
    from edgeseg.export.tensorrt_cache import TimingCache

    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    given: list[bytes] = []
    config = SimpleNamespace(
        create_timing_cache=lambda data: given.append(data) or "cache",
        set_timing_cache=lambda *_, **__: True,
        get_timing_cache=lambda: SimpleNamespace(serialize=lambda: b"measured"),
    )
    library = dataclasses.replace(find("rtx"), can=dataclasses.replace(find("rtx").can, timing_cache=True))
    for _ in range(2):
        with TimingCache(config, library, "RTX 6000") as kept:
            pass
    assert given == [b"", b"measured"]
    assert kept.file is not None
    data = bytearray(kept.file.read_bytes())
    data[-1] ^= 1
    kept.file.write_bytes(data)
    assert cache.read(kept.file) == b""  # a changed byte is no cache
    assert TimingCache(config, find("rtx"), "RTX 6000").file is None


def test_frames_of_a_camera(tiny_bundle: Path) -> None:
    """An engine that resizes takes just its camera's frames; masks come back at frame size."""
    from edgeseg.backends.base import EngineInfo
    from edgeseg.errors import InputError
    from edgeseg.model import Model

    class Camera:
        shape = (1, 240, 320, 3)

        def run(self, frames: Any) -> Any:
            assert frames.shape == self.shape
            return np.zeros((1, 1, 64, 96), np.uint8)

        def close(self) -> None: ...

    info = EngineInfo("tensorrt", "1", "fp16", "fp16-igx-rtx-240x320", "test", (240, 320))
    with Model(open_bundle(str(tiny_bundle)), (Camera(), info)) as model:
        assert model(np.zeros((240, 320, 3), np.uint8)).mask.shape == (240, 320)
        with pytest.raises(InputError, match="takes frames of 320x240 only, not 640x480"):
            model(np.zeros((480, 640, 3), np.uint8))
