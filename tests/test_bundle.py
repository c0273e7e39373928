"""What MODEL may be, and each way in which it is refused."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest

import edgeseg
from edgeseg import bundle, onnx_metadata
from edgeseg import manifest as mf
from edgeseg.errors import BackendError, EdgesegError, InputError, ModelError, UsageError


@pytest.fixture
def copy(tiny_bundle: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(tiny_bundle, tmp_path / "copy.edgeseg"))


def sealed(folder: Path, change: Callable[[dict], object]) -> Path:
    """Changes a manifest and its hash file, as somebody would who means it."""
    value = json.loads((folder / "manifest.json").read_bytes())
    change(value)
    data = json.dumps(value).encode()
    (folder / "manifest.json").write_bytes(data)
    (folder / "manifest.sha256").write_text(f"{mf.sha256(data)}  manifest.json\n")
    return folder


def test_open_bundle(tiny_bundle: Path) -> None:
    for name in (tiny_bundle, str(tiny_bundle), f"{tiny_bundle}/"):
        source = edgeseg.open(name)
        assert source.kind == "bundle"
        assert source.name == "tiny"
        assert source.manifest is not None
        assert source.manifest.classes[1].name == "polyp"
        assert (source.manifest.frame.height, source.manifest.frame.width) == (64, 96)


def test_sha256sum_agrees(tiny_bundle: Path, tiny_run: Path) -> None:
    for folder in (tiny_bundle, tiny_run):
        subprocess.run(["sha256sum", "--check", "--strict", "manifest.sha256"], cwd=folder, check=True)


def test_a_run_is_a_model_but_no_bundle(tiny_run: Path) -> None:
    assert bundle.open_model(tiny_run).kind == "run"
    with pytest.raises(ModelError, match="is a run, not a bundle; make one with: edgeseg export"):
        edgeseg.open(tiny_run)
    with pytest.raises(UsageError, match="edgeseg export"):
        bundle.open_model(tiny_run).load(backend="onnxruntime")


def test_bare_graph(tiny_bundle: Path, tmp_path: Path) -> None:
    file = Path(shutil.copy(tiny_bundle / "graphs" / "float.onnx", tmp_path / "mine.onnx"))
    source = bundle.open_model(file)
    assert (source.kind, source.name, source.manifest) == ("graph", "mine", None)
    assert [one.threshold for one in source.spec.classes] == [None, 128]
    with source.load() as model:
        assert model(np.zeros((50, 70, 3), np.uint8)).mask.shape == (50, 70)
    with pytest.raises(ModelError, match="not a bundle"):
        edgeseg.open(file)
    with pytest.raises(ModelError, match="leave --precision int8 out"):
        source.load(precision="int8")


@pytest.mark.parametrize("file", ["manifest.json", "graphs/float.onnx", "golden/g0.frame.u8"])
def test_one_changed_bit(copy: Path, file: str) -> None:
    """Refused when opened, or when the file is read: in any case before a parser sees it."""
    data = bytearray((copy / file).read_bytes())
    data[len(data) // 2] ^= 1
    (copy / file).write_bytes(data)
    with pytest.raises(ModelError, match="has changed") as caught:
        source = edgeseg.open(copy)
        assert source.manifest is not None
        golden = source.manifest.golden[0]
        source.read(golden.file, golden.sha256)
        source.load()
    assert caught.value.exit_code == 3


def test_missing_and_truncated_graph(copy: Path) -> None:
    graph = copy / "graphs" / "float.onnx"
    graph.write_bytes(graph.read_bytes()[:-1])
    with pytest.raises(ModelError, match="has changed"):
        edgeseg.open(copy).load()
    graph.unlink()
    with pytest.raises(ModelError, match="cannot be read"):
        edgeseg.open(copy).load()


def test_graph_of_another_size_than_the_manifest_says(copy: Path) -> None:
    def change(value: dict) -> None:
        for part in ("frame", "output"):
            value[part]["height"] = 72

    with pytest.raises(ModelError, match="says 72x96, its graph 64x96"):
        edgeseg.open(sealed(copy, change)).load()


def test_graph_that_is_garbage_with_the_right_hash(copy: Path) -> None:
    data = b"\x00garbage" * 100
    (copy / "graphs" / "float.onnx").write_bytes(data)

    def change(value: dict) -> None:
        value["graphs"][0] |= {"size": len(data), "sha256": mf.sha256(data)}

    sealed(copy, change)
    for backend in ("auto", "onnxruntime", "openvino"):
        with pytest.raises((BackendError, ModelError), match="refuses the graph|no ONNX file") as caught:
            edgeseg.open(copy).load(backend=backend)
        assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("gate", "calls", "works"),
    [
        ("passed", {}, True),
        ("parity", {}, True),
        ("pending", {}, False),
        ("pending", {"backend": "onnxruntime"}, False),
        ("pending", {"precision": "fp32"}, False),
        ("pending", {"backend": "onnxruntime", "precision": "fp32"}, True),
        ("passed", {"precision": "int8"}, False),
        ("passed", {"backend": "onnxruntime", "precision": "bf16"}, False),
        ("passed", {"backend": "openvino", "precision": "bf16"}, True),
    ],
)
def test_which_graph_runs(copy: Path, gate: str, calls: dict[str, str], works: bool) -> None:
    sealed(copy, lambda value: value["graphs"][0].update(gate=gate))
    source = edgeseg.open(copy)
    if works:
        with source.load(**calls) as model:
            assert model.engine.engine == "float"
            assert gate in model.engine.reason
    else:
        with pytest.raises(ModelError, match="holds no"):
            source.load(**calls)


def test_unknown_backend(tiny_bundle: Path) -> None:
    with pytest.raises(UsageError, match="no backend 'cuda'; there are openvino, onnxruntime"):
        edgeseg.open(tiny_bundle).load(backend="cuda")


def test_asked_for_backend_is_never_replaced(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgeseg.backends import openvino

    def missing() -> str:
        raise BackendError("openvino is not installed; run: pip install openvino")

    monkeypatch.setattr(openvino, "version", missing)
    with pytest.raises(BackendError, match="pip install openvino"):
        edgeseg.open(tiny_bundle).load(backend="openvino")
    with edgeseg.open(tiny_bundle).load() as model:
        assert model.engine.backend == "onnxruntime"


def test_nothing_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "empty").mkdir()
    for name, said in (
        ("none-such", "no such run, bundle or graph, and no zoo name"),
        ("none.onnx", "no such run"),
        ("notes.txt", "is no model"),
        ("empty", "holds no manifest.json"),
        ("a\0b", "no such"),
        ("x" * 5000, "no such"),
    ):
        with pytest.raises(ModelError, match=said) as caught:
            bundle.open_model(name)
        assert "\n" not in str(caught.value)
    with pytest.raises(UsageError, match="name is empty"):
        edgeseg.open("")
    (tmp_path / "empty" / "last.ckpt").write_text("x")
    with pytest.raises(ModelError, match="--resume it"):
        bundle.open_model("empty")


def test_zoo_name_wins_over_a_folder(tiny_bundle: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    zoo = tmp_path / "zoo"
    zoo.mkdir()
    shutil.copytree(tiny_bundle, zoo / "tiny.edgeseg")
    monkeypatch.setattr(bundle, "ZOO", zoo)
    here = tmp_path / "here"
    (here / "tiny").mkdir(parents=True)
    monkeypatch.chdir(here)
    assert bundle.zoo_names() == ["tiny"]
    assert bundle.open_model("tiny").path == zoo / "tiny.edgeseg"
    for other in ("./tiny", Path("tiny")):
        with pytest.raises(ModelError, match="holds no manifest"):
            bundle.open_model(other)


def test_manifest_behind_a_symlink(copy: Path, tmp_path: Path) -> None:
    (copy / "manifest.json").rename(tmp_path / "manifest.json")
    (copy / "manifest.json").symlink_to(tmp_path / "manifest.json")
    with pytest.raises(ModelError, match="cannot be read"):
        edgeseg.open(copy)


def graph_with(file: Path, metadata: dict[str, str]) -> Path:
    model = onnx.load(file)
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, metadata)
    file.write_bytes(model.SerializeToString())
    return file


SPEC = {
    "task": {"kind": "segmentation", "modality": "other", "network": "npnet"},
    "classes": [{"name": "background", "color": "#000000"}, {"name": "polyp", "color": "#00e5a0"}],
    "frame": {"height": 64, "width": 96, "fit": {"region": "frame", "mode": "resize"}},
    "output": {"channels": 1, "height": 64, "width": 96},
}


@pytest.mark.parametrize(
    ("metadata", "said"),
    [
        ({}, "does not carry edgeseg's metadata; export it with"),
        ({"other": "x"}, "does not carry edgeseg's metadata"),
        ({"edgeseg": ""}, "metadata is not edgeseg's"),
        ({"edgeseg": "[]"}, "metadata is not edgeseg's"),
        ({"edgeseg": "{}"}, "metadata is not edgeseg's"),
        ({"edgeseg": json.dumps(SPEC | {"classes": "two"})}, "metadata is not edgeseg's"),
        ({"edgeseg": json.dumps(SPEC | {"classes": [1, 2]})}, "metadata is not edgeseg's"),
        ({"edgeseg": json.dumps(SPEC | {"classes": SPEC["classes"][:1]})}, "metadata is not edgeseg's"),
        ({"edgeseg": json.dumps(SPEC | {"output": {"channels": 2, "height": 64, "width": 96}})}, "output.channels"),
        ({"edgeseg": json.dumps(SPEC | {"frame": 3})}, "frame"),
        ({"edgeseg": json.dumps(SPEC) + " " * (1 << 20)}, "metadata is not edgeseg's"),
    ],
)
def test_onnx_without_our_metadata(tiny_bundle: Path, tmp_path: Path, metadata: dict[str, str], said: str) -> None:
    file = graph_with(Path(shutil.copy(tiny_bundle / "graphs" / "float.onnx", tmp_path / "x.onnx")), metadata)
    with pytest.raises(ModelError, match=said) as caught:
        bundle.open_model(file)
    assert "\n" not in str(caught.value)


def test_metadata_without_thresholds_means_one_half(tiny_bundle: Path, tmp_path: Path) -> None:
    file = Path(shutil.copy(tiny_bundle / "graphs" / "float.onnx", tmp_path / "x.onnx"))
    source = bundle.open_model(graph_with(file, {"edgeseg": json.dumps(SPEC)}))
    assert source.spec.classes[1].threshold == 128


@pytest.mark.parametrize("cut", [0, 1, 100, 0.5, 0.99])
def test_truncated_onnx(tiny_bundle: Path, tmp_path: Path, cut: float) -> None:
    data = (tiny_bundle / "graphs" / "float.onnx").read_bytes()
    file = tmp_path / "x.onnx"
    file.write_bytes(data[: int(cut * len(data)) if isinstance(cut, float) else cut])
    with pytest.raises(ModelError, match="damaged|does not carry"):
        bundle.open_model(file)


def test_onnx_metadata_reads_what_onnx_wrote(tiny_bundle: Path) -> None:
    data = (tiny_bundle / "graphs" / "float.onnx").read_bytes()
    assert onnx_metadata.read(data) == {p.key: p.value for p in onnx.load_from_string(data).metadata_props}


def test_onnx_metadata_survives_any_bytes() -> None:
    rng = np.random.default_rng(0)
    for _ in range(3000):
        data = rng.integers(0, 256, rng.integers(0, 60), dtype=np.uint8).tobytes()
        try:
            onnx_metadata.read(data)
        except (ValueError, UnicodeDecodeError):
            continue


def test_huge_onnx_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "x.onnx").open("wb") as handle:
        handle.truncate(1 << 40)
    with pytest.raises(EdgesegError, match="1099511627776 bytes"):
        bundle.open_model(tmp_path / "x.onnx")


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ({"streams": 0}, "streams=0"),
        ({"batch": 0}, "batch=0"),
        ({"threads": -1}, "threads=-1"),
        ({"threads": "2"}, "threads='2'"),
        ({"streams": "2"}, "streams='2'"),
        ({"batch": 1.5}, "batch=1.5"),
        ({"threshold": "0.5"}, "threshold='0.5'"),
        ({"cuda_graph": True, "backend": "openvino"}, "CUDA graph needs an engine on a GPU"),
        ({"threshold": 50.0}, "threshold=50.0: give a probability"),
        ({"threshold": float("nan")}, "threshold=nan"),
    ],
)
def test_load_says_what_cannot_be(tiny_bundle: Path, words: dict[str, Any], said: str) -> None:
    with pytest.raises(UsageError, match=said):
        bundle.open_model(tiny_bundle).load(**words)


def test_what_is_no_frame_or_no_number(tiny_bundle: Path) -> None:
    with bundle.open_model(tiny_bundle).load() as model:
        with pytest.raises(InputError, match="not NoneType; cv2.imread"):
            model(None)  # type: ignore[arg-type]
        with pytest.raises(InputError, match="not list"):
            model([[0]])  # type: ignore[arg-type]
        for frames in (0, -1, 1.5, "2"):
            with pytest.raises(UsageError, match="frames="):
                model.stream("phantom:colonoscopy", frames=frames)  # type: ignore[arg-type]
        for duration in (0, -1, float("nan"), float("inf"), "2"):
            with pytest.raises(UsageError, match="duration="):
                model.stream("phantom:colonoscopy", duration=duration)  # type: ignore[arg-type]


def test_a_recording_by_its_path(tiny_bundle: Path, tiny_data: Path) -> None:
    with bundle.open_model(tiny_bundle).load() as model:
        assert model.stream(tiny_data / "clip.mp4", frames=2).frames == 2
