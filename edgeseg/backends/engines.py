"""Which engine of a bundle runs on this machine's GPU: fingerprints first, bytes after."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeseg import manifest as mf
from edgeseg.backends import fingerprint
from edgeseg.backends.cuda import find_card
from edgeseg.backends.tensorrt_library import Library, find, installed
from edgeseg.errors import ModelError, UsageError

if TYPE_CHECKING:
    from edgeseg.backends.base import Engine, EngineInfo, EngineOptions
    from edgeseg.bundle import Source

PRECISIONS = ("int8", "fp16", "fp32")


@dataclass(frozen=True)
class Chosen:
    """An engine that fits this machine, the library that runs it, and why it was taken."""

    entry: mf.Engine
    library: Library
    why: str


def this_machine(device: int = 0) -> fingerprint.Machine:
    """What engines meet here.

    Raises:
        BackendError: no TensorRT, no pycuda, no driver or no GPU; the first of these that is missing.
    """
    libraries = tuple(installed())
    if not libraries:
        find("tensorrt")  # says what helps
    return fingerprint.machine(find_card(device), libraries)


def pick(
    source: Source, precision: str, *, device: int, asked: bool, camera: tuple[int, int] | None = None, batch: int = 1
) -> Chosen:
    """The engine that the contract's rule picks.

    Args:
        source: the bundle.
        precision: "auto", or one by name.
        device: index of the GPU.
        asked: tensorrt was asked for by name; with a precision, a pending engine will do.
        camera: height and width of the frames to come.
        batch: frames a call.

    Raises:
        UsageError, ModelError: no bundle, no such engine, or none that fits; then both fingerprints are shown.
        BackendError: nothing here could run one.
    """
    manifest = source.manifest
    if source.kind != "bundle" or manifest is None:
        raise UsageError(
            f"{source.path}: is a {source.kind}; tensorrt runs engines of a bundle, made with: edgeseg export "
            f"{source.path} --target NAME"
        )
    wanted = PRECISIONS if precision == "auto" else (precision,)
    gates = ("passed", "parity", *(("pending",) if asked and precision != "auto" else ()))
    every = [one for one in manifest.engines if one.precision in wanted and runs_frames(one, manifest, camera, batch)]
    if not every:
        has = ", ".join(f"{one.name} ({one.gate})" for one in manifest.engines) or "none"
        kind = "engine" if precision == "auto" else f"{precision} engine"
        raise ModelError(
            f"{source.path}: holds no {kind} for tensorrt (it has {has}); make one with: "
            f"edgeseg export {source.path} --target NAME"
        )
    here = this_machine(device)
    order = [one for gate in gates for name in wanted for one in every if (one.gate, one.precision) == (gate, name)]
    order.sort(key=lambda one: one.resize != "engine")  # asked for by the camera's size
    problem = ""
    for entry in order:
        if fingerprint.graph_changed(entry, manifest):
            raise ModelError(
                f'{source.path}: engine "{entry.name}" was built from another graph than its "{entry.graph}"; '
                "rebuild it: add --rebuild"
            )
        differs = fingerprint.misfit(entry, here)
        library = here.library(entry.flavour)
        if differs is None and library is not None:
            gate = f"asked for, though its gate is {entry.gate}" if entry.gate == "pending" else f"gate {entry.gate}"
            return Chosen(entry, library, f"{gate}, built for {' or '.join(entry.compute_capabilities)}")
        problem = problem or fingerprint.sentence(entry, here, differs or "", str(source.path))
    if not problem:
        pending = next(one for one in every if one.gate == "pending")
        problem = (
            f'engine "{pending.name}" has not passed its gate on such a machine; run here: '
            f"edgeseg verify {source.path} --update, or ask for it: --backend tensorrt --precision {pending.precision}"
        )
    raise ModelError(f"{source.path}: {problem}")


def runs_frames(engine: mf.Engine, manifest: mf.Manifest, camera: tuple[int, int] | None, batch: int = 1) -> bool:
    """Whether an engine takes so many fitted frames, or frames of that camera."""
    smallest, largest = engine.profile.min, engine.profile.max
    if not smallest[0] <= batch <= largest[0]:
        return False
    if engine.resize == "engine":
        return camera is not None and (largest[1], largest[2]) == camera
    return (largest[1], largest[2]) == (manifest.frame.height, manifest.frame.width)


def load(source: Source, chosen: Chosen, options: EngineOptions) -> tuple[Engine, EngineInfo]:
    """Loads a chosen engine; its bytes are hashed before the library sees any.

    Raises:
        ModelError: a byte has changed.
        BackendError: the GPU or the library refuses.
    """
    from edgeseg.backends.base import EngineInfo
    from edgeseg.backends.tensorrt import TensorRtEngine

    entry = chosen.entry
    plan = source.read(entry.file, entry.sha256, entry.size)
    engine = TensorRtEngine(plan, options, chosen.library, host_code=entry.version_compatible)
    how = ", CUDA graph" if engine.uses_cuda_graph else ""
    camera = (entry.profile.max[1], entry.profile.max[2]) if entry.resize == "engine" else None
    info = EngineInfo("tensorrt", chosen.library.version, entry.precision, entry.name, f"{chosen.why}{how}", camera)
    return engine, info
