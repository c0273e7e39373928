"""Writes the bundles that the C library's tests open: small networks in every shape a manifest can ask for.

Independent of the edgeseg package, so that both sides are tested against the contract and not against each other.
Usage: make_bundles.py OUT
       make_bundles.py OUT --engine BUILD_ENGINE rtx|tensorrt VERSION CAPABILITIES (comma-separated)
"""

from __future__ import annotations

import hashlib
import json
import os
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # before it is imported

import numpy as np
import onnx
import onnxruntime as ort
from onnx import TensorProto, external_data_helper, helper, numpy_helper

Array = np.ndarray[Any, np.dtype[Any]]
HASH = "0" * 64


def network(height: int, width: int, channels: int, seed: int, *, batch: int | str = 1, bias: float = 0.0) -> bytes:
    """A network that says yes to half of :func:`scene`, more with ``bias``."""
    plain = graph_of(height, width, channels, seed, batch, np.zeros(channels))
    frame = scene(height, width, 0)[None]
    probability = ort.InferenceSession(plain, providers=["CPUExecutionProvider"]).run(None, {"frame": frame})[0] / 255
    logit = np.log(np.clip(probability, 0.01, 0.99)) - np.log(1 - np.clip(probability, 0.01, 0.99))
    return graph_of(height, width, channels, seed, batch, bias - np.median(logit, axis=(0, 2, 3)))


def graph_of(height: int, width: int, channels: int, seed: int, batch: int | str, bias: Array) -> bytes:
    """frame uint8 [1,h,w,3] → two convolutions → probability uint8 [1,channels,h,w]."""
    rng = np.random.default_rng(seed)
    weights = {
        "w1": rng.normal(0, 0.35, (8, 3, 3, 3)),
        "b1": rng.normal(0, 0.1, 8),
        "w2": rng.normal(0, 0.4, (channels, 8, 3, 3)),
        "b2": bias,
        "scale": np.array(1 / 255),
        "top": np.array(255.0),
    }
    node = helper.make_node
    graph = helper.make_graph(
        [
            node("Cast", ["frame"], ["f"], to=TensorProto.FLOAT),
            node("Transpose", ["f"], ["t"], perm=[0, 3, 1, 2]),
            node("Mul", ["t", "scale"], ["n"]),
            node("Conv", ["n", "w1", "b1"], ["c1"], pads=[1, 1, 1, 1]),
            node("Relu", ["c1"], ["r1"]),
            node("Conv", ["r1", "w2", "b2"], ["c2"], pads=[1, 1, 1, 1]),
            node("Sigmoid", ["c2"], ["s"]),
            node("Mul", ["s", "top"], ["m"]),
            node("Round", ["m"], ["o"]),
            node("Cast", ["o"], ["probability"], to=TensorProto.UINT8),
        ],
        "test",
        [helper.make_tensor_value_info("frame", TensorProto.UINT8, [batch, height, width, 3])],
        [helper.make_tensor_value_info("probability", TensorProto.UINT8, [batch, channels, height, width])],
        [numpy_helper.from_array(value.astype(np.float32), name) for name, value in weights.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(model)
    return bytes(model.SerializeToString())


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def scene(height: int, width: int, seed: int) -> Array:
    """A soft picture with a bright disc, uint8 BGR."""
    rng = np.random.default_rng(seed)
    y, x = np.mgrid[:height, :width]
    disc = ((x - width * 0.55) ** 2 + (y - height * 0.5) ** 2) < (min(height, width) * 0.3) ** 2
    base = 90 + 50 * np.sin(x / 17.0)[..., None] * np.array([0.3, 0.6, 1.0]) + 60 * disc[..., None]
    return np.asarray(np.clip(base + rng.normal(0, 4, (height, width, 3)), 0, 255).astype(np.uint8))


class Bundle:
    """Collects files, then writes manifest.json and manifest.sha256."""

    def __init__(self, path: Path, manifest: dict[str, Any]) -> None:
        self.path, self.manifest = path, manifest
        (path / "graphs").mkdir(parents=True, exist_ok=True)
        (path / "golden").mkdir(exist_ok=True)

    def file(self, name: str, data: bytes) -> str:
        (self.path / name).write_bytes(data)
        return sha256(data)

    def graph(self, name: str, form: str, precision: str, data: bytes, *, gate: str = "passed", batch: int = 1) -> None:
        frame = self.manifest["frame"]
        entry = {"name": name, "form": form, "precision": precision, "opset": 17, "gate": gate, "resize": "host"}
        entry |= {"input": [batch, frame["height"], frame["width"], 3], "float_layers": [], "size": len(data)}
        entry |= {"file": f"graphs/{name}.onnx", "sha256": self.file(f"graphs/{name}.onnx", data)}
        self.manifest["graphs"].append(entry)

    def golden(self, name: str, fitted: Array, frame: Array, *, max_diff: int = 1) -> None:
        """Expected outputs come from ONNX Runtime with optimisations off."""
        entry: dict[str, Any] = {"name": name, "source": "test", "height": frame.shape[0], "width": frame.shape[1]}
        entry |= {"file": f"golden/{name}.frame.u8", "sha256": self.file(f"golden/{name}.frame.u8", frame.tobytes())}
        entry["fitted_file"] = f"golden/{name}.fitted.u8"
        entry["fitted_sha256"] = self.file(entry["fitted_file"], fitted.tobytes())
        entry["expected"] = []
        options = ort.SessionOptions()
        options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        for graph in self.manifest["graphs"]:
            session = ort.InferenceSession(self.path / graph["file"], options, providers=["CPUExecutionProvider"])
            output = session.run(None, {"frame": fitted[None]})[0]
            file = f"golden/{name}.{graph['name']}.u8"
            expected = {"graph": graph["name"], "max_diff": max_diff, "max_fraction": 0.0, "file": file}
            entry["expected"].append(expected | {"sha256": self.file(file, output.tobytes())})
        self.manifest["golden"].append(entry)

    def close(self) -> None:
        data = json.dumps(self.manifest, indent=1).encode()
        (self.path / "manifest.json").write_bytes(data)
        (self.path / "manifest.sha256").write_text(f"{sha256(data)}  manifest.json\n")


def manifest(
    name: str, size: tuple[int, int], classes: list[str], fit: dict[str, Any], **output: Any
) -> dict[str, Any]:
    entries: list[dict[str, Any]] = [{"name": "background", "color": "#000000"}]
    entries += [{"name": one, "color": f"#{40 * i:02x}e5A0", "threshold": 128} for i, one in enumerate(classes, 1)]
    height, width = size
    training = {"recipe": "test", "seed": 0, "epochs": 1, "epoch": 1, "commit": "0", "dirty": False, "gmac": 0.1}
    training |= {"recipe_sha256": HASH, "weights_sha256": HASH, "parameters": 1}
    frame = {"height": height, "width": width, "channels": 3, "layout": "NHWC", "dtype": "uint8", "order": "BGR"}
    usual = {"content_level": 24, "pad_value": 0, "enlarge": True, "interpolation": "bilinear"}
    shape = {"name": "probability", "layout": "NCHW", "dtype": "uint8", "channels": len(classes), "scale": 255}
    shape |= {"height": height, "width": width, "upsample": "bilinear", "min_area": 0.0, "smoothing": 0.0}
    out = {"format": "edgeseg", "schema": 1, "kind": "bundle", "name": name, "writer": "test"}
    out |= {"created": "2026-11-21T00:00:00Z", "classes": entries}
    out |= {"task": {"kind": "segmentation", "modality": "other", "network": "test"}}
    out |= {"frame": frame | {"fit": usual | fit, "steps": []}, "output": shape | output}
    out |= {"training": training | {"versions": [], "data": [], "splits": []}}
    out |= {key: [] for key in ("graphs", "engines", "golden", "evaluations", "documents")}
    out |= {"terms": {"weights_licence": "CC0-1.0", "research_only": False, "notice": ""}}
    return out | {"use": {"intended": "tests", "not_intended": [], "frames": "any"}}


def polyp(out: Path) -> None:
    """Content and pad as for colonoscopy; float and both int8 variants (float arithmetic under other names)."""
    size = (48, 64)
    bundle = Bundle(out / "polyp.edgeseg", manifest("polyp", size, ["polyp"], {"region": "content", "mode": "pad"}))
    bundle.graph("float", "float", "fp32", network(*size, 1, 1))
    bundle.graph("int8-cpu", "cpu", "int8", network(*size, 1, 1, bias=0.2), gate="parity")
    bundle.graph("int8-cpu-7bit", "cpu", "int8", network(*size, 1, 1, bias=0.4), gate="parity")
    for seed in (1, 2):
        frame = scene(48, 64, seed)  # of the network's size and bright all over: its own fitted frame
        bundle.golden(f"g{seed}", frame, frame)
    bundle.close()


def organs(out: Path) -> None:
    """Three classes, both axes apart, a dynamic batch, nothing smaller than 2 % of its class."""
    size = (40, 56)
    spec = manifest("organs", size, ["liver", "spleen", "Gefäß"], {"region": "frame", "mode": "resize"}, min_area=0.02)
    bundle = Bundle(out / "organs.edgeseg", spec)
    bundle.graph("float", "float", "fp32", network(*size, 3, 2, batch="batch"), batch=0)
    frame = scene(40, 56, 3)
    bundle.golden("g0", frame, frame)
    bundle.close()


def smooth(out: Path) -> None:
    """Crop, nearest, smoothing."""
    size = (32, 32)
    spec = manifest("smooth", size, ["x"], {"region": "frame", "mode": "crop"}, upsample="nearest", smoothing=0.5)
    bundle = Bundle(out / "smooth.edgeseg", spec)
    bundle.graph("float", "float", "fp32", network(*size, 1, 4))
    frame = scene(32, 32, 5)
    bundle.golden("g0", frame, frame)
    bundle.close()


def identity(out: Path) -> None:
    """Networks that hand back the fitted frame, channel by channel: shows what fit and colour conversion did."""
    for size in ((64, 96), (66, 1920), (18, 34)):
        name = f"identity-{size[0]}x{size[1]}"
        ports = ("frame", [1, *size, 3]), ("probability", [1, 3, *size])
        values = [helper.make_tensor_value_info(port, TensorProto.UINT8, shape) for port, shape in ports]
        node = helper.make_node("Transpose", ["frame"], ["probability"], perm=[0, 3, 1, 2])
        graph = helper.make_graph([node], "identity", values[:1], values[1:])
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
        spec = manifest(name, size, ["b", "g", "r"], {"region": "frame", "mode": "resize"})
        bundle = Bundle(out / f"{name}.edgeseg", spec)
        bundle.graph("float", "float", "fp32", bytes(model.SerializeToString()))
        frame = scene(*size, 5)
        bundle.golden("g0", frame, frame)
        bundle.close()


def pending(out: Path) -> None:
    """Only a pending graph, and an engine for another machine."""
    size = (32, 32)
    bundle = Bundle(out / "pending.edgeseg", manifest("pending", size, ["x"], {"region": "frame", "mode": "pad"}))
    bundle.graph("float", "float", "fp32", network(*size, 1, 6), gate="pending")
    frame = scene(32, 32, 5)
    bundle.golden("g0", frame, frame)
    bundle.close()


def broken(out: Path) -> None:
    """Sound hashes around wrong things: golden output nobody gets, all ones, a graph of another size, no graph."""
    size = (32, 32)
    wrong = Bundle(
        out / "wrong-golden.edgeseg", manifest("wrong-golden", size, ["x"], {"region": "frame", "mode": "pad"})
    )
    wrong.graph("float", "float", "fp32", network(*size, 1, 6))
    frame = scene(32, 32, 5)
    wrong.golden("g0", frame, frame)
    expected = wrong.manifest["golden"][0]["expected"][0]
    expected["sha256"] = wrong.file(expected["file"], bytes(32 * 32))
    wrong.close()
    ones = Bundle(out / "all-ones.edgeseg", manifest("all-ones", size, ["x"], {"region": "frame", "mode": "pad"}))
    ones.graph("float", "float", "fp32", network(*size, 1, 6, bias=80.0))
    ones.golden("g0", frame, frame)
    ones.close()
    other = Bundle(out / "other-size.edgeseg", manifest("other-size", size, ["x"], {"region": "frame", "mode": "pad"}))
    other.graph("float", "float", "fp32", network(48, 48, 1, 6))
    other.manifest["golden"] = ones.manifest["golden"]
    for entry in other.manifest["golden"]:
        for file in (entry["file"], entry["fitted_file"], entry["expected"][0]["file"]):
            other.file(file, (ones.path / file).read_bytes())
    other.close()
    noise = Bundle(out / "no-onnx.edgeseg", manifest("no-onnx", size, ["x"], {"region": "frame", "mode": "pad"}))
    noise.graph("float", "float", "fp32", b"this is no ONNX file")
    noise.manifest["golden"] = ones.manifest["golden"]
    noise.close()


def varint(number: int) -> bytes:
    """As protobuf writes it."""
    return bytes([number & 127 | 128]) + varint(number >> 7) if number > 127 else bytes([number])


def hidden(graph: bytes) -> bytes:
    """With one more node, under a key whose upper half runtimes do not look at: field 1, or an unknown one."""
    model = onnx.load_from_string(graph)
    node = helper.make_node("Sinh", ["frame"], ["more"]).SerializeToString()
    inner = model.graph.SerializeToString() + b"\x8a\x80\x80\x80\x10" + varint(len(node)) + node
    model.ClearField("graph")
    whole: bytes = model.SerializeToString() + b"\x3a" + varint(len(inner)) + inner
    return whole


def openvino_format(height: int, width: int) -> bytes:
    """A network in OpenVINO's XML whose bytes are an ONNX file without a graph, too: two fields that nobody knows."""
    head, tail = b'\n<net name="m" version="11"><!--', b"-->"
    shape = f"<dim>1</dim><dim>{height}</dim><dim>{width}</dim><dim>3</dim>"
    port = f'<port id="0" precision="U8">{shape}</port>'
    layers = (
        f'<layer id="0" name="frame" type="Parameter" version="opset1"><data shape="1,{height},{width},3" '
        f'element_type="u8"/><output>{port}</output></layer>'
        f'<layer id="1" name="out" type="Result" version="opset1"><input>{port}</input></layer>'
    )
    edge = '<edge from-layer="0" from-port="0" to-layer="1" to-port="0"/>'
    tail += f"<layers>{layers}</layers><edges>{edge}</edges></net>".encode()
    return head.ljust(62) + b"\x12" + varint(len(tail)) + tail


def refused_graphs(out: Path) -> None:
    """Right hashes around what must not run: tensors in another file, an unknown operator, one used wrong, a loop."""
    size = (32, 32)
    model = onnx.load_from_string(network(*size, 1, 6))
    model.graph.node[4].op_type = "NoSuchOperator"
    unknown = model.SerializeToString()
    model.graph.node[4].op_type = "Einsum"  # without its equation: for the engine to refuse
    wrong = model.SerializeToString()
    model.graph.node[4].op_type = "Identity"
    branch = model.graph.node[4].attribute.add()
    branch.name, branch.type = "then_branch", onnx.AttributeProto.GRAPH
    branch.g.name = "loop"
    flow = model.SerializeToString()
    model = onnx.load_from_string(network(*size, 1, 6))
    tensor = next(one for one in model.graph.initializer if one.name == "w1")
    external_data_helper.set_external_data(tensor, "secret.bin", 0, len(tensor.raw_data))
    tensor.data_location = TensorProto.EXTERNAL
    tensor.ClearField("raw_data")
    outside = model.SerializeToString()
    graphs = {"external-data": outside, "unknown-op": unknown, "wrong-op": wrong, "graph-in-graph": flow}
    graphs |= {"hidden-op": hidden(network(*size, 1, 6)), "other-format": openvino_format(*size)}
    for name, data in graphs.items():
        bundle = Bundle(out / f"{name}.edgeseg", manifest(name, size, ["x"], {"region": "frame", "mode": "pad"}))
        bundle.graph("float", "float", "fp32", data)
        bundle.manifest["golden"] = json.loads((out / "all-ones.edgeseg" / "manifest.json").read_text())["golden"]
        bundle.close()


def with_engine(out: Path, build: str, flavour: str, version: str, capabilities: str) -> None:
    """A bundle whose engine BUILD_ENGINE makes from its float graph."""
    size = (48, 64)
    path = out / "engine.edgeseg"
    bundle = Bundle(path, manifest("engine", size, ["x"], {"region": "frame", "mode": "pad"}))
    bundle.graph("float", "float", "fp32", network(*size, 1, 1))
    frame = scene(*size, 1)
    bundle.golden("g0", frame, frame, max_diff=2)
    (path / "engines").mkdir(exist_ok=True)
    plan = path / "engines" / "fp32.engine"
    subprocess.run([build, path / "graphs" / "float.onnx", plan], check=True)
    shape = [1, *size, 3]
    entry = {
        "name": "fp32",
        "target": "rtx-ada",
        "graph": "float",
        "graph_sha256": bundle.manifest["graphs"][0]["sha256"],
    }
    entry |= {"backend": "tensorrt", "flavour": flavour, "version": version, "precision": "fp32", "gate": "pending"}
    entry |= {"platform": f"linux-{platform.machine()}", "compute_capabilities": capabilities.split(",")}
    entry |= {"cuda_driver_min": 12000, "version_compatible": False, "hardware_compatible": "none", "resize": "host"}
    entry |= {"profile": {"min": shape, "opt": shape, "max": shape}, "file": "engines/fp32.engine"}
    entry |= {"size": plan.stat().st_size, "sha256": sha256(plan.read_bytes())}
    bundle.manifest["engines"].append(entry)
    bundle.close()


def main() -> None:
    out = Path(sys.argv[1])
    if sys.argv[2:3] == ["--engine"]:
        with_engine(out, *sys.argv[3:])
        return
    for make in (polyp, organs, smooth, identity, pending, broken, refused_graphs):
        make(out)


if __name__ == "__main__":
    main()
