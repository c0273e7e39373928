"""Parity gate: does a runtime compute what a graph means?

A graph's meaning is ONNX Runtime with every optimisation off. The same graph on its real backend
must agree to 30 dB; where it does not, something is broken (not merely imprecise), and the gate
names the first layer at which the two part. It has caught: OpenVINO on symmetric int8 after Concat,
ONNX Runtime's WeightBiasQuantization with FP16 scales, 16-bit saturation on CPUs without VNNI.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir
import onnx_ir.passes.common as passes
from numpy.typing import NDArray

from edgeseg.backends import runs_here
from edgeseg.backends.base import EngineOptions
from edgeseg.backends.onnxruntime import OnnxRuntimeEngine
from edgeseg.backends.openvino import OpenVinoEngine
from edgeseg.errors import GateError

FLOOR_DB = 30.0
# Of INT8 to float: a graph that sees nothing has 0 dB, the shipped ones 20 to 32 on phantom and real frames.
INT8_FLOOR_DB = 6.0
# Outputs that are nearly all 0 have no signal to compare with; this many grey levels are no disagreement.
LEAST_LEVELS = 2
_NO_NOISE_DB = 99.0
# A frame has a signal where at least this share of its probability is above a tenth.
SEEN_LEVEL, SEEN_SHARE = 26, 0.01
_SEARCH_FRAMES = 3
_WEIGHTED = ("Conv", "ConvTranspose", "Gemm", "MatMul")
Frames = Sequence[NDArray[np.uint8]]
Runner = Callable[[bytes, Frames], NDArray[np.generic]]
"""Graph and fitted frames uint8 [h, w, 3] → stacked outputs."""


@dataclass(frozen=True)
class Agreement:
    """Of a graph on a backend with its own meaning: signal to noise in dB, largest difference in grey levels."""

    subject: str
    backend: str
    snr_db: float
    largest: int


def meaning(graph: bytes, frames: Frames) -> NDArray[np.generic]:
    """The graph in ONNX Runtime with optimisations off."""
    return _run(OnnxRuntimeEngine(graph, EngineOptions(optimise=False)), frames)


def on_onnxruntime(graph: bytes, frames: Frames) -> NDArray[np.generic]:
    """The graph in ONNX Runtime as edgeseg runs it."""
    return _run(OnnxRuntimeEngine(graph, EngineOptions()), frames)


def on_openvino(graph: bytes, frames: Frames) -> NDArray[np.generic]:
    """The graph in OpenVINO as edgeseg runs it."""
    return _run(OpenVinoEngine(graph, EngineOptions()), frames)


def _run(engine: OnnxRuntimeEngine | OpenVinoEngine, frames: Frames) -> NDArray[np.generic]:
    try:
        return np.stack([engine.run(frame[None])[0] for frame in frames])
    finally:
        engine.close()


def on_openvino_avx2(graph: bytes, frames: Frames) -> NDArray[np.generic]:
    """OpenVINO in a child process that is told the CPU has no VNNI."""
    with tempfile.TemporaryDirectory() as folder:
        files = [str(Path(folder) / name) for name in ("graph.onnx", "frames.npy", "out.npy")]
        Path(files[0]).write_bytes(graph)
        np.save(files[1], np.stack(frames))
        environment = os.environ | {"ONEDNN_MAX_CPU_ISA": "AVX2"}
        code = "import sys; from edgeseg.export.parity import child; child(*sys.argv[1:])"
        done = subprocess.run(  # noqa: S603  (this interpreter, our own function)
            [sys.executable, "-c", code, *files], env=environment, capture_output=True, text=True, check=False
        )
        if done.returncode:
            raise GateError(f"openvino without VNNI failed: {(done.stderr.strip().splitlines() or ['no message'])[-1]}")
        out: NDArray[np.generic] = np.load(files[2])
        return out


def child(graph: str, frames: str, out: str) -> None:
    """The process behind :func:`on_openvino_avx2`."""
    np.save(out, on_openvino(Path(graph).read_bytes(), list(np.load(frames))))


RUNNERS: dict[str, Runner] = {
    "onnxruntime": on_onnxruntime,
    "openvino": on_openvino,
    "openvino without VNNI": on_openvino_avx2,
}


def backends(name: str, form: str) -> tuple[str, ...]:
    """Where a graph really runs on this machine; TensorRT forms only through ONNX Runtime."""
    if form not in ("float", "cpu") or not runs_here(name, form, "openvino"):
        return ("onnxruntime",)
    x86 = os.uname().machine == "x86_64"
    return ("onnxruntime", "openvino", *(("openvino without VNNI",) if name.endswith("7bit") and x86 else ()))


def check(subject: str, graph: bytes, frames: Frames, runners: dict[str, Runner]) -> list[Agreement]:
    """Compares a graph's meaning with what runtimes make of it.

    Raises:
        GateError: one disagrees; names the first layer where they part.
    """
    wanted = meaning(graph, frames)
    out = []
    for backend, run in runners.items():
        got = run(graph, frames)
        snr, largest = snr_db(got, wanted), int(np.abs(got.astype(np.float64) - wanted.astype(np.float64)).max())
        if snr < FLOOR_DB and largest > LEAST_LEVELS:
            where = first_parting(graph, frames[:_SEARCH_FRAMES], run)
            raise GateError(
                f"{subject}: {backend} does not compute what the graph means (SNR {snr:.1f} dB, at least "
                f"{FLOOR_DB:.0f} is wanted); they part first at {where}; no bundle was written"
            )
        out.append(Agreement(subject, backend, snr, largest))
    return out


def to_float(float_graph: bytes, graph: bytes, frames: Frames, runner: Runner) -> float | None:
    """Lowest SNR of a graph's frames to the float graph's in dB; frames on which float sees nothing do not count."""
    wanted, got = meaning(float_graph, frames), runner(graph, frames)
    shown = [index for index, one in enumerate(wanted) if (one >= SEEN_LEVEL).mean() >= SEEN_SHARE]
    return min((snr_db(got[index], wanted[index]) for index in shown), default=None)


def fp16_holds(subject: str, graph: bytes, float_graph: bytes, frames: Frames) -> list[Agreement]:
    """Compares the meaning of an FP16 graph with that of the float graph it came from.

    Raises:
        GateError: FP16 does not hold this network's values.
    """
    got, wanted = meaning(graph, frames), meaning(float_graph, frames)
    snr, largest = snr_db(got, wanted), int(np.abs(got.astype(np.float64) - wanted.astype(np.float64)).max())
    if snr < FLOOR_DB and largest > LEAST_LEVELS:
        raise GateError(
            f"{subject}: differs from the float graph (SNR {snr:.1f} dB, at least {FLOOR_DB:.0f} is wanted); the "
            "network's values do not fit FP16: take --int8 or fp32; no bundle was written"
        )
    return [Agreement(subject, "float", snr, largest)]


def int8_holds(subject: str, graph: bytes, float_graph: bytes, frames: Frames) -> list[Agreement]:
    """Compares an INT8 graph that passed :func:`check` with the float graph, on frames on which float sees something.

    None there: nothing is said.

    A bound for what is broken (a table of something else, an emitter that fails): what INT8 may cost in Dice is the
    accuracy gate's, with labelled frames.

    Raises:
        GateError: the graph is nowhere near float.
    """
    # As ONNX Runtime runs them, several times as fast as what they mean: `check` has shown that these are one.
    got, wanted = on_onnxruntime(graph, frames), on_onnxruntime(float_graph, frames)
    shown = [index for index, one in enumerate(wanted) if (one >= SEEN_LEVEL).mean() >= SEEN_SHARE]
    if not shown:
        return []
    snr = snr_db(got[shown], wanted[shown])
    if snr < INT8_FLOOR_DB:
        raise GateError(
            f"{subject}: is nowhere near the float graph (SNR {snr:.1f} dB, at least {INT8_FLOOR_DB:.0f} is wanted); "
            "the calibration table does not fit this network: calibrate again with --data"
        )
    largest = int(np.abs(got.astype(np.float64) - wanted.astype(np.float64)).max())
    return [Agreement(subject, "float", snr, largest)]


def first_parting(graph: bytes, frames: Frames, run: Runner) -> str:
    """The first layer whose output differs, found by cutting the graph off behind each layer in turn.

    A cut graph, unlike one with extra outputs, is optimised up to the cut as the whole one is.
    """
    names = [node.name for node in onnx.load_from_string(graph).graph.node if node.op_type in _WEIGHTED]
    for name in names:
        part = cut(graph, name)
        if snr_db(run(part, frames), meaning(part, frames)) < FLOOR_DB:
            return f"layer {name}"
    return "what follows the last layer"


def cut(graph: bytes, layer: str) -> bytes:
    """The graph up to a layer (and its ReLU), whose output becomes float ``probability``."""
    model = ir.from_proto(onnx.load_from_string(graph))
    node = next(node for node in model.graph if node.name == layer)
    value = node.outputs[0]
    users = [user for user, _ in value.uses()]
    if len(users) == 1 and users[0].op_type in ("Relu", "Clip"):
        value = users[0].outputs[0]
    for output in model.graph.outputs:
        output.name = f"{output.name}.whole"
    out = ir.Value(name="probability", type=ir.TensorType(ir.DataType.FLOAT), shape=value.shape)
    cast = ir.Node("", "Cast", [value], {"to": ir.AttrInt64("to", int(ir.DataType.FLOAT))}, outputs=[out], name="cut")
    model.graph.append(cast)
    model.graph.outputs[:] = [out]
    passes.RemoveUnusedNodesPass()(model)
    return ir.to_proto(model).SerializeToString()


def snr_db(got: NDArray[np.generic], wanted: NDArray[np.generic]) -> float:
    """Signal to noise over all values in dB; 99 where they are equal."""
    want = wanted.astype(np.float64)
    noise = float(np.square(got.astype(np.float64) - want).sum())
    if noise == 0:
        return _NO_NOISE_DB
    signal = float(np.square(want).sum())
    return min(_NO_NOISE_DB, 10 * float(np.log10(signal / noise))) if signal else 0.0


def chosen_runners(names: Iterable[str]) -> dict[str, Runner]:
    """Rows of ``RUNNERS``."""
    return {name: RUNNERS[name] for name in names}
