"""TensorRT for RTX parses and builds both networks without a GPU, with every intended convolution in INT8."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from edgeseg.export import forms

pytest.importorskip("tensorrt_rtx", reason="pip install 'edgeseg[rtx]'")
pytest.importorskip("torch", reason="pip install 'edgeseg[train]'")

from edgeseg.backends.tensorrt_library import find, same_version
from edgeseg.bundle import open_model
from edgeseg.errors import BackendError
from edgeseg.export import targets, variants
from edgeseg.export.tensorrt import Built, Settings, Shape, build

HEIGHT, WIDTH = 64, 96
CAPABILITIES = ("8.6", "8.9", "12.0")
NETWORKS = ("npnet", "dnlnet")
FORMS = ("float", "fp16-trt-typed", "int8-trt-typed", "int8-trt-legacy")


@dataclass(frozen=True)
class Network:
    """A network with random weights: its graphs by name, and how many layers INT8 means."""

    graphs: dict[str, bytes]
    intended: int


@pytest.fixture(scope="session")
def networks(make_table: Any) -> dict[str, Network]:
    import torch

    from edgeseg.export import frame_graph
    from edgeseg.nets.dnlnet import DNLNet
    from edgeseg.nets.frame import FrameNet
    from edgeseg.nets.npnet import NPNet

    manifest = open_model("npnet-polyp").manifest
    size = {"height": HEIGHT, "width": WIDTH}
    manifest = manifest.model_copy(
        update={key: getattr(manifest, key).model_copy(update=size) for key in ("frame", "output")}
    )
    rng = np.random.default_rng(0)
    frames = [rng.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8) for _ in range(2)]
    out = {}
    for name, kind in (("npnet", NPNet), ("dnlnet", DNLNet)):
        torch.manual_seed(0)
        graph = frame_graph.export(FrameNet(kind(), (0.5,) * 3, (0.25,) * 3), manifest)
        table = make_table(graph, frames)
        emitted = {form: forms.emit(form, graph, table) for form in FORMS[1:]}
        graphs = {"float": graph} | {form: one.data for form, one in emitted.items()}
        out[name] = Network(graphs, len(emitted["int8-trt-typed"].quantised))
    return out


def settings(name: str, capabilities: tuple[str, ...], shape: Shape = (1, HEIGHT, WIDTH, 3), **more: Any) -> Settings:
    precision = "fp32" if name == "float" else name[:4]
    return Settings(
        name, not name.endswith("legacy"), precision, more.pop("shapes", (shape,) * 3), capabilities, **more
    )


def section(text: str, title: str) -> list[str]:
    """Data types of a layer's inputs or constants."""
    found = re.search(rf"{title}: \[ (.*?) \}}\]", text) or re.search(rf"{title}: \[ (.*?)\}}\]", text)
    return re.findall(r"Datatype: (\w+)", found[1]) if found else []


def convolutions(built: Built) -> list[dict[str, list[str]]]:
    """Types of inputs and constants of each convolution: without a driver the build log is the only inspector."""
    out = []
    for _, message in built.log:
        for line in message.splitlines():
            found = re.match(r"Name: (.*?), LayerType: (\w+),(.*)", line)
            if found and found[2] in ("correlation", "convolution", "gemm", "CaskConvolution"):
                out.append({title: section(found[3], title) for title in ("Inputs", "Constants")})
    return out


@pytest.mark.parametrize("capability", CAPABILITIES)
@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("network", NETWORKS)
def test_builds(networks: dict[str, Network], network: str, form: str, capability: str) -> None:
    one = networks[network]
    built = build(one.graphs[form], find("rtx"), settings(form, (capability,)))
    assert len(built.plan) > 10_000
    layers = convolutions(built)
    int8 = sum(all(types[:1] == ["Int8"] for types in layer.values()) for layer in layers)
    assert int8 == (one.intended if form.startswith("int8") else 0)
    if form == "fp16-trt-typed":
        assert sum(layer["Inputs"][:1] == ["Half"] for layer in layers) >= one.intended


def test_every_layer_but_the_gates_is_intended(networks: dict[str, Network]) -> None:
    assert {name: one.intended for name, one in networks.items()} == {"npnet": 16, "dnlnet": 27}


@pytest.mark.parametrize("name", [n for n in targets.recipes.names(targets.KIND) if targets.load(n).engine])
def test_profiles_build_where_rtx_can(networks: dict[str, Network], name: str) -> None:
    """RTX profiles build as they are; graphs of the others at least parse and build for cards RTX knows."""
    profile = targets.load(name)
    assert profile.engine is not None
    known = [one for one in profile.engine.compute_capabilities if one in CAPABILITIES]
    if profile.engine.flavour == "tensorrt" and not known:
        pytest.skip(f"{name} builds on its own device with the full library")
    graph = networks["npnet"].graphs[profile.graph(profile.precisions[0])]
    assert build(graph, find("rtx"), settings(profile.graph(profile.precisions[0]), tuple(known))).plan


@pytest.mark.parametrize("batch", [0, 8])
@pytest.mark.parametrize("network", NETWORKS)
def test_batches(networks: dict[str, Network], network: str, batch: int) -> None:
    graph = variants.with_batch(networks[network].graphs["fp16-trt-typed"], batch)
    shapes = tuple((one, HEIGHT, WIDTH, 3) for one in ((1, 1, 8) if batch == 0 else (batch,) * 3))
    assert build(graph, find("rtx"), settings("fp16-trt-typed", ("8.9",), shapes=shapes)).plan


def test_a_camera_s_frame(networks: dict[str, Network]) -> None:
    from edgeseg import manifest as mf

    head = open_model("npnet-polyp").manifest
    fit = mf.Fit(region="frame", mode="pad")
    frame = head.frame.model_copy(update={"height": HEIGHT, "width": WIDTH, "fit": fit})
    head = head.model_copy(update={"frame": frame})
    graph, shape = variants.make(networks["npnet"].graphs["float"], "-360x640", head)
    assert shape == [1, 360, 640, 3]
    assert variants.check("camera", graph, networks["npnet"].graphs["float"], shape, [], head).snr_db > 30
    assert build(graph, find("rtx"), settings("float", ("12.0",), (1, 360, 640, 3))).plan


def test_unlisted_card(networks: dict[str, Network]) -> None:
    with pytest.raises(BackendError, match=r"does not build for compute capability 9.0 \(it knows .*8.9"):
        build(networks["npnet"].graphs["float"], find("rtx"), settings("float", ("9.0",)))


def test_settings_that_rtx_ignores_are_refused(networks: dict[str, Network]) -> None:
    graph = networks["npnet"].graphs["float"]
    for more in ({"dla_core": 0}, {"version_compatible": True}, {"hardware_compatible": "ampere-plus"}):
        with pytest.raises(BackendError, match=r"TensorRT for RTX .* has no"):
            build(graph, find("rtx"), settings("float", ("8.9",), **more))


def test_unsupported_op(networks: dict[str, Network]) -> None:
    import onnx

    model = onnx.load_from_string(networks["npnet"].graphs["float"])
    node = next(node for node in model.graph.node if node.op_type == "Relu")
    node.op_type = "Foo"
    with pytest.raises(
        BackendError, match=rf"refuses float at node {re.escape(node.name)} \(Foo\): .*knows no such op"
    ):
        build(model.SerializeToString(), find("rtx"), settings("float", ("8.9",)))


def test_damaged_graph() -> None:
    with pytest.raises(BackendError, match="cannot|refuses"):
        build(b"no graph at all", find("rtx"), settings("float", ("8.9",)))


def test_another_size_than_the_graph_s(networks: dict[str, Network]) -> None:
    with pytest.raises(BackendError, match="export with --dynamic or --batch"):
        build(networks["npnet"].graphs["float"], find("rtx"), settings("float", ("8.9",), (4, HEIGHT, WIDTH, 3)))


def test_too_little_workspace(networks: dict[str, Network]) -> None:
    with pytest.raises(BackendError, match="workspace_mib"):
        build(
            networks["npnet"].graphs["fp16-trt-typed"],
            find("rtx"),
            settings("fp16-trt-typed", ("8.9",), workspace_mib=0),
        )


def test_too_little_memory(networks: dict[str, Network], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeseg.export.tensorrt.available_mib", lambda: 100)
    with pytest.raises(BackendError, match="takes about .* MiB of memory and 100 MiB are free"):
        build(networks["npnet"].graphs["float"], find("rtx"), settings("float", ("8.9",)))


def test_ctrl_c_cancels(networks: dict[str, Network]) -> None:
    from edgeseg.export.tensorrt_progress import Progress

    progress = Progress()
    progress.cancelled = True  # as the main thread does when it is interrupted
    with pytest.raises(KeyboardInterrupt):
        build(networks["npnet"].graphs["float"], find("rtx"), settings("float", ("8.9",)), progress=progress)
    told = Progress()
    assert build(networks["npnet"].graphs["float"], find("rtx"), settings("float", ("8.9",)), progress=told).plan
    assert told.phases[0] == "Building engine"


def test_version() -> None:
    assert same_version(find("rtx").version, find("rtx").version)
    assert same_version("10.3.0", "10.3.0.26")
    assert same_version("1.7.1.116", "1.7.1")
    assert not same_version("10.3.0.26", "10.3.0.30")
    assert not same_version("10.3.0", "10.3.1")
    assert not same_version("10", "10.3.0")
