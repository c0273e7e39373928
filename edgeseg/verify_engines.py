"""`edgeseg verify`, the part on the GPU: every engine of the bundle that fits this machine.

An engine answers to its graph: golden frames, parity with the graph's meaning, extreme frames, and (with labelled
frames) Dice against the float graph.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from edgeseg import golden
from edgeseg import manifest as mf
from edgeseg.backends import engines, fingerprint
from edgeseg.backends.base import Engine, EngineOptions
from edgeseg.errors import BackendError, EdgesegError, ModelError
from edgeseg.export import gate, parity
from edgeseg.export.finite import extreme_frames

if TYPE_CHECKING:
    from edgeseg.backends.tensorrt_library import Library
    from edgeseg.bundle import Source
    from edgeseg.export.check import Image
    from edgeseg.verify import Check, Verified

Load = Callable[[bytes, mf.Engine, "Library", int], Engine]


def _load(plan: bytes, entry: mf.Engine, library: Library, device: int) -> Engine:
    from edgeseg.backends.tensorrt import TensorRtEngine

    return TensorRtEngine(
        plan, EngineOptions(entry.precision, device=device), library, host_code=entry.version_compatible
    )


def run(
    source: Source,
    out: Verified,
    graphs: Mapping[str, bytes],
    frames: Sequence[Image],
    reference: Sequence[gate.Measured],
    budget: float,
    device: int,
    step: Callable[[str], None],
    *,
    machine: Callable[[int], fingerprint.Machine] = engines.this_machine,
    load: Load = _load,
) -> None:
    """Adds to ``out`` what the engines do here; those that do not fit are named and judged neither way.

    Args:
        source: the bundle, hashes compared.
        out: what was found so far.
        graphs: name → bytes.
        frames: fitted.
        reference: the float graph's figures; empty without labelled frames.
        budget: mean Dice drop that is allowed, a fraction.
        device: index of the GPU.
        step: told what happens next.
        machine: finds this machine's fingerprint.
        load: makes a runner of a plan.
    """
    manifest = out.manifest
    try:
        here = machine(device)
    except BackendError as error:
        out.checks += [_not_run(one, str(error)) for one in manifest.engines]
        return
    for entry in manifest.engines:
        problem = fingerprint.misfit(entry, here)
        library = here.library(entry.flavour)
        if problem is not None or library is None:
            out.checks.append(_not_run(entry, f"{problem}; edgeseg export {source.path} --target {entry.target}"))
            continue
        step(f"engine {entry.name}")
        before = len(out.checks)
        try:
            if entry.graph not in graphs:
                raise ModelError(f"is of the graph {entry.graph}, which the bundle lacks; export it again")
            plan = source.read(entry.file, entry.sha256, entry.size)
            engine = load(plan, entry, library, device)
            try:
                out.checks += _alike(entry, engine, graphs[entry.graph], manifest, frames, source)
                measured = _measured(entry, engine, library, reference, manifest)
            finally:
                engine.close()
        except EdgesegError as error:
            out.checks.append(_check("engine", entry.name, passed=False, detail=str(error)))
            continue
        out.measured += measured
        out.checks += [_accuracy(entry, one, budget) for one in measured]
        if all(one.passed for one in out.checks[before:]):
            out.engine_gates[entry.name] = "passed" if any(one.has_targets for one in measured) else "parity"


def _check(name: str, subject: str, *, passed: bool, detail: str) -> Check:
    from edgeseg.verify import Check

    return Check(name, subject, passed, detail)


def _not_run(entry: mf.Engine, why: str) -> Check:
    return _check("not run here", f"{entry.name} ({entry.gate})", passed=True, detail=why)


def _alike(
    entry: mf.Engine, engine: Engine, graph: bytes, manifest: mf.Manifest, frames: Sequence[Image], source: Source
) -> list[Check]:
    """Golden frames, parity and extreme frames; a camera's engine is given phantom frames of its size."""
    _, height, width, _ = engine.shape
    if entry.resize == "engine":
        from edgeseg.export.variants import camera_frame

        frames = [camera_frame(height, width, seed) for seed in (5, 6)]
    checks = [] if entry.resize == "engine" else [_golden(entry, engine, manifest, source)]
    for name, some in (("parity", frames), ("finite", list(extreme_frames(height, width).values()))):
        got = np.stack([golden.run_one(engine, one) for one in some])
        wanted = np.stack(_meaning(graph, some))
        snr, largest = parity.snr_db(got, wanted), int(np.abs(got.astype(int) - wanted.astype(int)).max())
        good = snr >= parity.FLOOR_DB or largest <= parity.LEAST_LEVELS
        detail = f"{snr:.0f} dB to its graph, at most {largest} grey levels off"
        checks.append(_check(name, entry.name, passed=good, detail=detail))
    return checks


def _meaning(graph: bytes, frames: Sequence[Image]) -> list[Image]:
    from edgeseg.backends.onnxruntime import OnnxRuntimeEngine

    engine = OnnxRuntimeEngine(graph, EngineOptions(optimise=False))
    try:
        return [golden.run_one(engine, one) for one in frames]
    finally:
        engine.close()


def _golden(entry: mf.Engine, engine: Engine, manifest: mf.Manifest, source: Source) -> Check:
    """The graph's golden frames; FP16 made of the float graph by a flag gets the tolerance of FP16 graphs."""
    graph = next(one for one in manifest.graphs if one.name == entry.graph)
    wide = None if entry.precision == graph.precision else golden.TOLERANCE["trt-typed"]
    passed, detail = golden.replay_all(source, manifest, entry.graph, engine, wide)
    return _check("golden", entry.name, passed=passed, detail=detail)


def _measured(
    entry: mf.Engine, engine: Engine, library: Library, reference: Sequence[gate.Measured], manifest: mf.Manifest
) -> list[gate.Measured]:
    """Figures on the labelled frames, against the float graph's; only for engines that take one fitted frame."""
    if not reference or entry.resize == "engine" or entry.profile.max[0] != 1:
        return []
    selections = [one.selection for one in reference]
    found = gate.against(gate.figures(entry.name, "tensorrt", engine, selections, manifest), reference)
    return [replace(one, version=library.version) for one in found]


def _accuracy(entry: mf.Engine, one: gate.Measured, budget: float) -> Check:
    detail = f"Dice points to float: {one.points()}"
    where = f"{entry.name}, {one.selection.dataset.name} {one.selection.split}"
    return _check("accuracy", where, passed=one.drop <= budget, detail=detail)
