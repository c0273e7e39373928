"""`edgeseg export`: a trained run → a checked bundle."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import edgeseg
from edgeseg import atomic, backends, golden, metrics
from edgeseg import manifest as mf
from edgeseg.backends.base import EngineOptions
from edgeseg.bundle import SUFFIX, Source, require_manifest
from edgeseg.data.phantom import PHANTOMS
from edgeseg.data.select import Selection, select
from edgeseg.errors import UsageError
from edgeseg.evaluate import evaluate
from edgeseg.export import check, frame_graph
from edgeseg.machine import describe
from edgeseg.train.load import RunPredictor, load_run

PARITY_FRAMES = 50
Step = Callable[[str], None]


@dataclass(frozen=True)
class Exported:
    """Where the bundle is, its manifest, and how the float graph agreed with the network."""

    path: Path
    manifest: mf.Manifest
    agreements: list[check.Agreement]


@dataclass(frozen=True)
class Form:
    """A graph on its way into the bundle."""

    entry: mf.Graph
    data: bytes


def export_run(
    source: Source, data: list[Path], split: str | None, out: Path | None, *, opset: int, step: Step = lambda _: None
) -> Exported:
    """Exports a run to a bundle with the float graph, golden frames and, with labelled frames, its evaluation.

    Args:
        source: a run.
        data: labelled frames for gate and report; without any the gate is *parity*, on phantom frames.
        split: of the gate's frames; the validation split by default.
        out: the bundle; RUN/NAME.edgeseg by default.
        opset: of the float graph.
        step: told what happens next.

    Raises:
        UsageError: not a run.
        GateError: the graph differs from the network; nothing is written.
        OutputError: the disk.
    """
    if source.kind != "run":
        raise UsageError(f"{source.path}: is a {source.kind}; `edgeseg export` starts from a run")
    run = require_manifest(source)
    target = out or source.path / f"{run.name}{SUFFIX}"
    atomic.check_writable(target)
    step("exporting the float graph")
    net = load_run(source)
    graph = frame_graph.export(net, run, opset=opset)
    predictor = RunPredictor(net)
    selections = select(data, split, "val", run) if data else []
    pairs = [pair for selection in selections for pair in selection.pairs]
    step("comparing with the network")
    frames = check.fitted_frames(pairs, run.frame, PARITY_FRAMES) if pairs else phantom_frames(run)
    agreements = check.agree(graph, predictor, frames)
    evaluations = evaluate_float(graph, selections, run, step) if selections else []
    form = Form(float_entry(graph, run, opset, "passed" if evaluations else "parity"), graph)
    step("writing golden frames and the bundle")
    manifest = write_bundle(target, run, [form], evaluations, bundle_name(target, run))
    return Exported(target, manifest, agreements)


def phantom_frames(run: mf.Manifest, number: int = 8) -> list[check.Image]:
    """Fitted phantom frames for a parity check without data."""
    kind = "fundus" if run.task.modality == "fundus" else "colonoscopy"
    clip = PHANTOMS[kind](48, run.frame.width, run.frame.height, 3)
    return [clip[index].image for index in range(0, 48, 48 // number)]


def float_entry(graph: bytes, run: mf.Manifest, opset: int, gate: mf.Gate) -> mf.Graph:
    """The manifest's entry of the float graph."""
    return mf.Graph(
        name="float",
        form="float",
        precision="fp32",
        opset=opset,
        input=[1, run.frame.height, run.frame.width, 3],
        resize="host",
        gate=gate,
        file="graphs/float.onnx",
        size=len(graph),
        sha256=mf.sha256(graph),
    )


def evaluate_float(graph: bytes, selections: list[Selection], run: mf.Manifest, step: Step) -> list[mf.Evaluation]:
    """The float graph on both CPU backends, on the gate's frames."""
    out = []
    thresholds = [one.threshold or 128 for one in run.classes[1:]]
    for name, load in check.ENGINES.items():
        step(f"evaluating on {name}")
        engine = load(graph, EngineOptions())
        try:
            for selection in selections:
                tally = evaluate(selection.pairs, lambda x: engine.run(x[None])[0], run, thresholds)  # noqa: B023
                out.append(evaluation("float", name, "gate", selection, tally))
        finally:
            engine.close()
    return out


def evaluation(
    subject: str, backend: str, purpose: str, selection: Selection, tally: metrics.Tally, area: str = "frame"
) -> mf.Evaluation:
    """A tally as the manifest keeps it."""
    worst = tally.worst(1)[0]
    return mf.Evaluation.model_validate(
        {
            "subject": subject,
            "backend": backend,
            "backend_version": backends.BACKENDS[backend]().version(),
            "purpose": purpose,
            "data": selection.dataset.name,
            "split": selection.split,
            "images": len(tally.images),
            "area": area,
            "machine": describe(),
            "created": mf.now(),
            "per_image": rounded(tally.per_image()),
            "pooled": rounded(tally.pooled()),
            "worst_image": worst.name,
            "worst_dice": round(worst.figures["dice"] or 0.0, 6),
        }
    )


def rounded(figures: dict[str, float]) -> dict[str, float]:
    """To six digits, as manifests keep figures."""
    return {name: round(value, 6) for name, value in figures.items()}


def bundle_name(target: Path, run: mf.Manifest) -> str:
    """NAME of NAME.edgeseg where it is a legal one, else the run's."""
    name = target.name.removesuffix(SUFFIX).lower().replace("_", "-")
    legal = 0 < len(name) <= 64 and all(c.isascii() and (c.isalnum() or c == "-") for c in name)
    return name if legal else run.name


def write_bundle(
    target: Path, run: mf.Manifest, forms: list[Form], evaluations: list[mf.Evaluation], name: str
) -> mf.Manifest:
    """Writes the whole bundle beside its place and exchanges it in one step.

    Raises:
        GateError: no golden frame can be found.
        OutputError: the disk.
    """
    frames = golden.pick(forms[0].data, run)
    with atomic.atomic_folder(target) as folder:
        (folder / "graphs").mkdir()
        for form in forms:
            (folder / form.entry.file).write_bytes(form.data)
        manifest = run.model_copy(
            update={
                "kind": "bundle",
                "name": name,
                "created": mf.now(),
                "writer": f"edgeseg {edgeseg.__version__}",
                "graphs": [form.entry for form in forms],
                "evaluations": evaluations,
                "golden": golden.write(folder, frames, {f.entry.name: (f.entry.form, f.data) for f in forms}),
                "documents": [],
            }
        )
        data = mf.dump(mf.parse(mf.dump(manifest)))
        (folder / "manifest.json").write_bytes(data)
        (folder / "manifest.sha256").write_text(f"{mf.sha256(data)}  manifest.json\n")
    return manifest
