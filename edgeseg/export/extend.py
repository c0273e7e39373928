"""Adds graphs and engines to a bundle that is there; what it holds already stays as it is, figures included.

Where only engines are missing, nothing here needs torch or onnx: that is what a device does.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from edgeseg import manifest as mf
from edgeseg.bundle import Source, require_manifest
from edgeseg.errors import ModelError
from edgeseg.export import engines, rewrite
from edgeseg.export.engines import Plan, Wish
from edgeseg.export.request import Request
from edgeseg.export.tensorrt_progress import Progress

if TYPE_CHECKING:
    from edgeseg.export import parity

Step = Callable[[str], None]


@dataclass
class Extended:
    """The new bundle's manifest, what was built, and what the gates saw."""

    manifest: mf.Manifest
    plans: list[Plan] = field(default_factory=list)
    agreements: list[parity.Agreement] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


def extend(
    source: Source,
    request: Request,
    target: Path | None = None,
    *,
    device: int = 0,
    step: Step = lambda _: None,
) -> Extended:
    """Writes a bundle anew with the graphs and engines that are asked for and missing.

    Args:
        source: a bundle.
        request: from the options.
        target: another place; the bundle itself by default.
        device: index of the GPU that engines are timed on, where the library needs one.
        step: told what happens next.

    Raises:
        BackendError: an engine cannot be built here.
        GateError: an emitted graph does not mean what the float graph means.
        ModelError, UsageError: the bundle lacks what a graph is emitted from.
        OutputError: the disk; the old bundle stays.
    """
    manifest = require_manifest(source)
    bundle = str(target or source.path)
    engines.check(request.engines, bundle, device)
    out = Extended(manifest)
    wishes = _possible(request.engines, manifest, out)
    files = _add_graphs(source, request, wishes, out, step)
    graphs: dict[str, bytes] = {}
    for wish in wishes:
        entry = next((one for one in out.manifest.graphs if one.name == wish.graph), None)
        if entry is None:
            raise ModelError(f"{source.path}: engine {wish.name} is built from graph {wish.graph}, which is missing")
        if entry.file not in files:
            graphs[entry.name] = source.read(entry.file, entry.sha256, entry.size)
        else:
            graphs[entry.name] = files[entry.file]
        step(f"building engine {wish.name}")
        library, card = engines.builder(wish, bundle, device)
        told = Progress(lambda line, name=wish.name: step(f"building engine {name}: {line}"))  # type: ignore[misc]
        out.plans.append(engines.make(wish, out.manifest, graphs, library, card, progress=told))
    out.manifest, plans = engines.with_engines(out.manifest, out.plans)
    step("writing the bundle")
    out.manifest = rewrite.write(source, out.manifest, files | plans, target)
    return out


def _possible(wishes: Sequence[Wish], manifest: mf.Manifest, out: Extended) -> list[Wish]:
    """Those whose frames this model can take; the others are named in the notes."""
    fit, kept = manifest.frame.fit, []
    for wish in wishes:
        if "x" in wish.variant and (fit.region != "frame" or manifest.frame.steps):
            out.notes.append(f"no engine {wish.name}: frames of {manifest.name} are fitted on the host (fit.region)")
        else:
            kept.append(wish)
    return kept


def _add_graphs(
    source: Source, request: Request, wishes: Sequence[Wish], out: Extended, step: Step
) -> dict[str, bytes]:
    """Emits what is missing; the new files, with ``out.manifest`` naming them."""
    has = {one.name for one in out.manifest.graphs}
    bases = [name for name in request.wanted.graphs if name not in has]
    typed = [name for name in (*has, *bases) if "-trt-" in name and name.count("-") == 2]
    variants = {f"{name}{v}" for v in request.variants if "x" not in v for name in ("float", *typed)}
    variants |= {wish.graph for wish in wishes if wish.variant}
    missing = sorted(variants - has)
    if not bases and not missing:
        return {}
    from edgeseg import console

    console.require("train", "onnx", "onnxscript")
    from edgeseg.export import emit

    return emit.add(source, bases, missing, out, step)
