"""Which engine runs: chosen once, with the reason said aloud; never a silent fallback."""

from __future__ import annotations

import os
import platform
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeseg import onnx_metadata
from edgeseg.backends.base import Engine, EngineInfo, EngineOptions
from edgeseg.errors import BackendError, EdgesegError, ModelError, UsageError
from edgeseg.machine import cpu_flags

if TYPE_CHECKING:
    from edgeseg import manifest as mf
    from edgeseg.bundle import Source


@dataclass(frozen=True)
class Backend:
    """A row of the table: how to ask for its version and how to load a graph."""

    version: Callable[[], str]
    load: Callable[[bytes, EngineOptions], Engine]


def _openvino() -> Backend:
    from edgeseg.backends.openvino import OpenVinoEngine, version

    return Backend(version, OpenVinoEngine)


def _onnxruntime() -> Backend:
    from edgeseg.backends.onnxruntime import OnnxRuntimeEngine, version

    return Backend(version, OnnxRuntimeEngine)


# In the order of preference on a CPU. Adding a backend that runs graphs is a file beside this one and a line here;
# TensorRT runs engines, see engines.py.
BACKENDS: dict[str, Callable[[], Backend]] = {"openvino": _openvino, "onnxruntime": _onnxruntime}

NO_VNNI = "this CPU has no VNNI, and products of full 8-bit weights overflow in OpenVINO on it"


def choose(
    source: Source,
    backend: str = "auto",
    precision: str = "auto",
    *,
    device: int = 0,
    threads: int = 0,
    streams: int = 1,
    camera: tuple[int, int] | None = None,
    batch: int = 1,
    cuda_graph: bool | None = None,
) -> tuple[Engine, EngineInfo]:
    """Loads the engine that the contract's rule "which file runs" picks.

    Args:
        source: the model.
        backend: "auto", or one by name.
        precision: "auto", or one by name.
        device: index of the GPU.
        threads: of the CPU.
        streams: callers at once.
        camera: height and width of the frames to come; an engine that takes them as they are is then preferred.
        batch: frames a call.
        cuda_graph: on a GPU: True or False; None for the faster.

    Raises:
        BackendError: a runtime that was asked for is missing or refuses.
        ModelError: no graph for what was asked.
        UsageError: no such backend, or a CUDA graph without a GPU.
    """
    passed_over = ""
    if backend == "tensorrt" or (backend == "auto" and source.manifest is not None and source.manifest.engines):
        from edgeseg.backends import engines

        try:
            chosen = engines.pick(
                source, precision, device=device, asked=backend == "tensorrt", camera=camera, batch=batch
            )
        except EdgesegError as error:
            if backend == "tensorrt":
                raise
            passed_over = f"; tensorrt was passed over: {error}"
        else:
            return engines.load(
                source, chosen, EngineOptions(chosen.entry.precision, device=device, cuda_graph=cuda_graph)
            )
    if cuda_graph:
        raise UsageError(f"a CUDA graph needs an engine on a GPU (--backend tensorrt){passed_over}")
    names = list(BACKENDS) if backend == "auto" else [backend]
    problems = []
    for name in names:
        if name not in BACKENDS:
            raise UsageError(f"no backend {name!r}; there are {', '.join(BACKENDS)}, tensorrt")
        runtime = BACKENDS[name]()
        try:
            version = runtime.version()
        except BackendError as error:
            problems.append(str(error))
            continue
        if backend == "auto" and _overflows(source, name, precision, batch):
            problems.append(NO_VNNI)
            passed_over += f"; openvino was passed over: {NO_VNNI}"
            continue
        graph, used, why = _pick(source, name, precision, asked=backend != "auto", batch=batch)
        options = EngineOptions(used, threads, streams, device)
        return runtime.load(_whole(source, _bytes(source, graph)), options), EngineInfo(
            name, version, used, graph.name if graph else source.name, why + passed_over
        )
    raise BackendError("; ".join(problems))


def _pick(source: Source, backend: str, precision: str, *, asked: bool, batch: int) -> tuple[mf.Graph | None, str, str]:
    """The graph, the precision it runs in, and why."""
    if source.kind == "run":
        raise UsageError(
            f"{source.path}: is a run, which has no engine yet; make one with: edgeseg export {source.path}"
        )
    if source.manifest is None:
        if precision not in ("auto", "fp32", "bf16"):
            raise ModelError(f"{source.path}: a bare graph runs as it is; leave --precision {precision} out")
        said = "the bare graph as it is"
        if _overflows(source, backend, precision, batch):
            said += f"; {NO_VNNI}"
        return None, "fp32" if precision == "auto" else precision, said
    wanted = ["int8", "fp32"] if precision == "auto" else [precision]
    for gate in ("passed", "parity"):
        for one in wanted:
            graph = _graph(source.manifest, backend, one, gate, batch)
            if graph is not None:
                order = "first of int8, fp32" if precision == "auto" else "asked for"
                overflows = one == "fp32" and precision == "auto" and _overflows(source, backend, "int8", batch)
                return graph, one, f"{order} with gate {gate}" + (f"; INT8 passed over: {NO_VNNI}" if overflows else "")
    if asked and precision != "auto":
        graph = _graph(source.manifest, backend, precision, "pending", batch)
        if graph is not None:
            return graph, precision, "asked for, though its gate is pending"
    if _overflows(source, backend, precision, batch):
        raise ModelError(f"{source.path}: no INT8 here: {NO_VNNI}; take --backend onnxruntime, or export for x86 too")
    has = ", ".join(f"{g.name} ({g.gate})" for g in source.manifest.graphs)
    kind = "graph whose gate passed" if precision == "auto" else f"{precision} graph"
    frames = f" and {batch} frames a call" if batch > 1 else ""
    more = f"; make one with: edgeseg export {source.path} --batch {batch} --out FILE.edgeseg" if batch > 1 else ""
    raise ModelError(f"{source.path}: holds no {kind} for {backend}{frames}; it has {has}{more}")


def _graph(manifest: mf.Manifest, backend: str, precision: str, gate: str, batch: int) -> mf.Graph | None:
    """Both CPU backends: fp32 → float, int8 → cpu; bf16 → float on openvino only."""
    if precision == "bf16" and backend != "openvino":
        return None
    form = {"fp32": "float", "bf16": "float", "int8": "cpu"}.get(precision)
    found = [
        one
        for one in manifest.graphs
        if one.form == form and one.gate == gate and runs_frames(one, batch) and runs_here(one.name, one.form, backend)
    ]
    found.sort(key=lambda one: (form == "cpu" and one.name != int8_form(), one.input[0] != batch))
    return found[0] if found else None


def _overflows(source: Source, backend: str, precision: str, batch: int) -> bool:
    """Whether INT8 is asked for, or a bare graph is in INT8, and the backend would compute all there is of it wrong."""
    if source.manifest is None:
        quantised = source.graph is not None and b"DequantizeLinear" in source.graph
        return quantised and not runs_here(source.path.stem, "cpu", backend)
    int8 = [one for one in source.manifest.graphs if one.form == "cpu" and runs_frames(one, batch)]
    return precision == "int8" and bool(int8) and not any(runs_here(one.name, one.form, backend) for one in int8)


def runs_frames(graph: mf.Graph, batch: int = 1) -> bool:
    """Whether a graph takes so many fitted frames at a time."""
    return graph.resize == "host" and graph.input[0] in (0, batch)


def takes_one(graph: mf.Graph) -> bool:
    """Whether a graph takes exactly one fitted frame: what gates measure; variants answer to it."""
    return graph.resize == "host" and graph.input[0] == 1


def int8_form() -> str:
    """The CPU INT8 graph that every backend of this machine computes as it is meant."""
    return "int8-cpu" if sums_in_32_bits() else "int8-cpu-7bit"


def runs_here(name: str, form: str, backend: str) -> bool:
    """Whether a backend computes a graph as it is meant on this CPU.

    Full 8-bit weights overflow in OpenVINO where VNNI is missing. ONNX Runtime takes them right there, and slower.
    """
    return form != "cpu" or "7bit" in name or backend != "openvino" or sums_in_32_bits()


def sums_in_32_bits() -> bool:
    """Whether uint8 × int8 products do not saturate here: VNNI on x86; elsewhere always.

    Without VNNI an x86 CPU adds them in pairs in 16 bits, which 8-bit weights overflow silently.
    """
    if platform.machine() not in ("x86_64", "AMD64"):
        return True
    return not cpu_flags().isdisjoint({"avx512_vnni", "avx_vnni"}) and "ONEDNN_MAX_CPU_ISA" not in os.environ


def _whole(source: Source, data: bytes) -> bytes:
    """The graph, if a runtime may see it."""
    try:
        fault = onnx_metadata.fault(data)
    except ValueError as error:
        raise ModelError(f"{source.path}: its graph is no ONNX file, or a damaged one") from error
    if fault:
        raise ModelError(f"{source.path}: its graph {fault}")
    return data


def _bytes(source: Source, graph: mf.Graph | None) -> bytes:
    if graph is None:
        if source.graph is None:
            raise ModelError(f"{source.path}: holds no graph")
        return source.graph
    return source.read(graph.file, graph.sha256, graph.size)
