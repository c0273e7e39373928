"""A Triton model repository from a bundle: the frame graph as ONNX, and every engine that Triton's TensorRT runs.

Each model is a folder ``DIR/NAME`` with ``config.pbtxt`` and ``1/model.onnx`` or ``1/model.plan``. Engines of TensorRT
for RTX are left out: Triton's server links the full library.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from edgeseg import manifest as mf
from edgeseg.atomic import atomic_folder, check_writable
from edgeseg.bundle import Source, require_manifest
from edgeseg.errors import ModelError, OutputError

LARGEST_BATCH = 8
QUEUE_DELAY_US = 1000  # a frame waits at most so long for others


def write(source: Source, target: Path) -> list[Path]:
    """Writes the models; a folder of another kind in their place is left alone.

    Raises:
        ModelError: the bundle has no graph for batches.
        OutputError: the disk, or something else is there.
    """
    manifest = require_manifest(source)
    graph = _graph(manifest)
    if graph is None:
        raise ModelError(f"{source.path}: holds no graph for batches; export with --triton and --dynamic or --batch N")
    models: list[tuple[str, str, str, list[int], mf.Graph | mf.Engine]] = [
        (manifest.name, "onnxruntime_onnx", "model.onnx", graph.input, graph)
    ]
    models += [
        (f"{manifest.name}-{one.name}", "tensorrt_plan", "model.plan", _engine_input(one), one)
        for one in manifest.engines
        if one.flavour == "tensorrt" and one.resize == "host" and one.profile.max[0] > 1
    ]
    check_writable(target / "model")
    written = []
    for name, platform, file, shape, entry in models:
        place = target / name
        if place.exists() and not (place / "config.pbtxt").is_file():
            raise OutputError(f"{place} exists and is no Triton model; choose another --triton folder")
        with atomic_folder(place) as folder:
            (folder / "1").mkdir()
            (folder / "1" / file).write_bytes(source.read(entry.file, entry.sha256, entry.size))
            (folder / "config.pbtxt").write_text(config(name, platform, shape, manifest), encoding="utf-8")
        written.append(place)
    return written


def config(name: str, platform: str, shape: Sequence[int], manifest: mf.Manifest) -> str:
    """config.pbtxt of a model whose input is ``shape``, batch 0 for any."""
    output = manifest.output
    dynamic = shape[0] == 0
    lead = [] if dynamic else [shape[0]]
    dims_in = ", ".join(map(str, [*lead, *shape[1:]]))
    dims_out = ", ".join(map(str, [*lead, output.channels, output.height, output.width]))
    lines = [
        f'name: "{name}"',
        f'platform: "{platform}"',
        f"max_batch_size: {LARGEST_BATCH if dynamic else 0}",
        f'input [ {{ name: "frame" data_type: TYPE_UINT8 dims: [ {dims_in} ] }} ]',
        f'output [ {{ name: "probability" data_type: TYPE_UINT8 dims: [ {dims_out} ] }} ]',
    ]
    if dynamic:
        lines += [
            "dynamic_batching {",
            f"  preferred_batch_size: [ {LARGEST_BATCH // 2}, {LARGEST_BATCH} ]",
            f"  max_queue_delay_microseconds: {QUEUE_DELAY_US}",
            "}",
        ]
    lines.append("instance_group [ { kind: KIND_AUTO count: 1 } ]")
    for index, one in enumerate(manifest.classes[1:]):
        lines.append(
            f'parameters {{ key: "class{index}" '
            f'value {{ string_value: "{_quoted(one.name)} threshold {one.threshold}" }} }}'
        )
    return "\n".join(lines) + "\n"


def _graph(manifest: mf.Manifest) -> mf.Graph | None:
    """The float graph for any batch, else for a fixed one."""
    found = [one for one in manifest.graphs if one.form == "float" and one.resize == "host" and one.input[0] != 1]
    return min(found, key=lambda one: one.input[0], default=None)


def _engine_input(engine: mf.Engine) -> list[int]:
    smallest, largest = engine.profile.min, engine.profile.max
    return largest if smallest == largest else [0, *largest[1:]]


def _quoted(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", " ")
