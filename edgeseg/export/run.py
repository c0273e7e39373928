"""`edgeseg export`: a trained run (or a bundle) → a checked bundle."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import edgeseg
from edgeseg import atomic, backends, golden, onnx_metadata
from edgeseg import manifest as mf
from edgeseg.backends.base import EngineOptions
from edgeseg.bundle import SUFFIX, Source, open_model, require_manifest, resized
from edgeseg.calibration import table as tables
from edgeseg.calibration.run import TABLE_FILE
from edgeseg.data.phantom import PHANTOMS
from edgeseg.data.select import Selection, select, to_choose
from edgeseg.errors import DataError, ModelError, OutputError, UsageError
from edgeseg.export import check, forms, gate, int8, operating, parity
from edgeseg.export.opset import opset_of
from edgeseg.export.papers import Paper, document, with_papers
from edgeseg.export.report import Findings
from edgeseg.machine import describe
from edgeseg.names import legal_name

PARITY_FRAMES = 50
# Parity of the quantised forms runs every frame three times with optimisations off: fewer of them.
QUANTISED_PARITY_FRAMES = 12
Step = Callable[[str], None]


@dataclass(frozen=True)
class Exported:
    """Where the bundle is, its manifest, how the float graph agreed with the network, and what the gates saw."""

    path: Path
    manifest: mf.Manifest
    agreements: list[check.Agreement]
    made: int8.Made


@dataclass(frozen=True)
class Form:
    """A graph on its way into the bundle."""

    entry: mf.Graph
    data: bytes


@dataclass(frozen=True)
class Float:
    """The float graph, its opset, and how it agrees with the network."""

    data: bytes
    opset: int
    agreements: list[check.Agreement] = field(default_factory=list)


def export_run(
    source: Source,
    data: list[Path],
    split: str | None,
    out: Path | None,
    *,
    opset: int,
    wanted: int8.Wanted = int8.Wanted(),  # noqa: B008  (frozen)
    imgsz: tuple[int, int] | None = None,
    threshold: str | float | None = None,
    step: Step = lambda _: None,
) -> Exported:
    """Exports a run or bundle to a bundle: float graph, the wanted INT8 and FP16 graphs, golden frames, documents.

    Args:
        source: a run, or a bundle whose float graph is used again.
        data: labelled frames for gates and report; without any the gate is *parity*, on phantom frames, as where
            none of them shows a target.
        split: of the gate's frames; the validation split by default, never the test split.
        out: the bundle; RUN/NAME.edgeseg, or the bundle itself, by default.
        opset: of the float graph.
        wanted: graphs beside the float one.
        imgsz: height and width of the input instead of the trained ones.
        threshold: another operating point, see :func:`edgeseg.export.operating.parse`; the model's own by default.
        step: told what happens next.

    Raises:
        UsageError: neither run nor bundle, or a threshold without labelled frames.
        GateError: a gate said no; nothing is written.
        OutputError: the disk.
    """
    if imgsz is not None:
        source = resized(source, imgsz)
    run = require_manifest(source) if imgsz is None else counted_again(source)
    target = out or (source.path / f"{run.name}{SUFFIX}" if source.kind == "run" else source.path)
    check_place(target)
    atomic.check_writable(target)
    if threshold is not None and not data:
        raise UsageError("--threshold is measured on labelled frames; give some with --data")
    selections = to_choose(data, split, run) if data else []
    pairs = [pair for selection in selections for pair in selection.pairs]
    frames = check.fitted_frames(pairs, run.frame, PARITY_FRAMES) if pairs else phantom_frames(run)
    graph = float_graph(source, run, opset, frames, step)
    calibrated, calibrate_on = graph.data, data
    if threshold is not None:
        step("measuring the operating point")
        run, graph = moved(threshold, graph, selections, run)
        has_table = any(one.role == "calibration" for one in run.documents)
        if source.kind == "bundle" and has_table and wanted.calibration is None:
            calibrate_on = []  # its own table: only the threshold was asked for
    reference = {}
    for backend in check.ENGINES if selections else ():
        step(f"evaluating the float graph on {backend}")
        reference[backend] = gate.measure("float", backend, graph.data, selections, run)
    told = any(one.has_targets for found in reference.values() for one in found)
    if reference and not told:
        step("the frames show no target, so no accuracy can be measured: the gate is parity")
    some = frames[:: max(1, len(frames) // QUANTISED_PARITY_FRAMES)]
    reference_there = reference.get("onnxruntime", [])
    made = int8.make(graph.data, run, source, wanted, calibrate_on, reference_there, some, step, calibrated=calibrated)
    entries = [Form(float_entry(graph.data, run, graph.opset, "passed" if told else "parity"), graph.data)]
    entries += [Form(form_entry(name, made, run), graph_) for name, graph_ in made.graphs.items()]
    measured = [*(one for found in reference.values() for one in found), *made.measured]
    evaluations = [evaluation(one, "gate", parity_db=parity_db(one, graph.data, made, some)) for one in measured]
    reported = report_on_test(graph.data, made, data, run, step) if selections and split is None else []
    evaluations += [evaluation(one, "report") for one in reported]
    measured += reported
    step("writing golden frames and the bundle")
    papers = [Paper("calibration", TABLE_FILE, tables.dump(made.table))] if made.table else []
    findings = Findings(measured, made.ranking, made.float_cost_ms)
    head = run.model_copy(update={"calibration": made.table.calibration if made.table else None})
    name = legal_name(target.name.removesuffix(SUFFIX), run.name)
    manifest = write_bundle(target, head, entries, evaluations, name, papers, findings)
    return Exported(target, manifest, graph.agreements, made)


def float_graph(source: Source, run: mf.Manifest, opset: int, frames: Sequence[check.Image], step: Step) -> Float:
    """The float frame graph: exported from a run and compared with its network, or a bundle's own.

    Raises:
        GateError: the graph differs from the network.
        ModelError: the bundle has no float graph, or the network has an operator that no graph may have.
    """
    if source.kind != "run":
        entry = next((one for one in run.graphs if one.form == "float" and one.resize == "host"), None)
        if entry is None:
            raise ModelError(f"{source.path}: holds no float graph to emit others from; export the run again")
        return Float(source.read(entry.file, entry.sha256, entry.size), entry.opset)
    from edgeseg.export import frame_graph
    from edgeseg.train.load import RunPredictor, load_run

    step("exporting the float graph")
    net = load_run(source)
    predictor = RunPredictor(net)
    graph = frame_graph.export(net, run, opset=opset)
    if fault := onnx_metadata.fault(graph):
        raise ModelError(f"{source.path}: the exported graph {fault}; no bundle was written")
    step("comparing with the network")
    return Float(graph, opset, check.agree(graph, predictor, list(frames)) if frames else [])


def parity_db(one: gate.Measured, graph: bytes, made: int8.Made, frames: Sequence[check.Image]) -> float | None:
    """How near a gated graph's probabilities are to the float graph's; None for the float graph itself."""
    if one.subject not in made.graphs:
        return None
    return parity.to_float(graph, made.graphs[one.subject], frames, parity.RUNNERS[one.backend])


def moved(
    threshold: str | float, graph: Float, selections: list[Selection], run: mf.Manifest
) -> tuple[mf.Manifest, Float]:
    """Manifest and float graph with another operating point, as the float graph's probabilities have it."""
    from edgeseg.export import frame_graph

    engine = check.ENGINES["onnxruntime"](graph.data, EngineOptions())
    try:
        run = operating.at(threshold, selections, lambda fitted: engine.run(fitted[None])[0], run)
    finally:
        engine.close()
    return run, replace(graph, data=frame_graph.said_again(graph.data, run))


def report_on_test(
    graph: bytes, made: int8.Made, data: list[Path], run: mf.Manifest, step: Step
) -> list[gate.Measured]:
    """Float and every INT8 graph on the test split, after everything was chosen; empty where the set has none."""
    found = []
    for root in data:
        try:
            found += select([root], "test", "test", run)
        except DataError:
            continue  # no test split in this folder: nothing to report
    if not found:
        return []
    step("reporting on the test split")
    reference = gate.measure("float", "openvino", graph, found, run)
    out = list(reference)
    for name in (one for one in int8.GATED if one in made.graphs):
        for backend in (one for one in check.ENGINES if backends.runs_here(name, "cpu", one)):
            step(f"reporting {name} in {backend} on the test split")
            out += gate.against(gate.measure(name, backend, made.graphs[name], found, run), reference)
    return out


def counted_again(source: Source) -> mf.Manifest:
    """A run's manifest with the multiply-adds of its present size."""
    from edgeseg.nets.count import cost
    from edgeseg.train.load import load_run

    run = require_manifest(source)
    gmac = round(cost(load_run(source).net, run.frame.height, run.frame.width).gmac, 6)
    return run.model_copy(update={"training": run.training.model_copy(update={"gmac": gmac})})


def check_place(target: Path) -> None:
    """A bundle may be replaced by a newer one, anything else may not.

    Raises:
        OutputError: something else is there.
    """
    if not target.exists() or (target.is_dir() and not any(target.iterdir())):
        return
    try:
        if open_model(target).kind == "bundle":
            return
    except ModelError:
        # A damaged bundle is replaced too: its manifest.sha256 and graphs/ show what it was.
        if (target / "manifest.sha256").is_file() and (target / "graphs").is_dir():
            return
    raise OutputError(f"{target} exists and is no bundle; choose another --out or remove it first")


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


def form_entry(name: str, made: int8.Made, run: mf.Manifest) -> mf.Graph:
    """The manifest's entry of an emitted graph."""
    recipe, data = forms.GRAPHS[name], made.graphs[name]
    passed = any(one.subject == name and one.has_targets for one in made.measured)
    quantised = recipe.precision == "int8"
    return mf.Graph(
        name=name,
        form=recipe.form,
        precision=recipe.precision,
        opset=opset_of(data),
        input=[1, run.frame.height, run.frame.width, 3],
        resize="host",
        float_layers=made.float_layers if quantised else [],
        table_sha256=mf.sha256(tables.dump(made.table)) if made.table and quantised else None,
        gate="passed" if passed else "parity",
        file=f"graphs/{name}.onnx",
        size=len(data),
        sha256=mf.sha256(data),
    )


def evaluation(one: gate.Measured, purpose: str, area: str = "frame", parity_db: float | None = None) -> mf.Evaluation:
    """Measurements as the manifest keeps them."""
    tally, selection = one.tally, one.selection
    worst = tally.worst(1)[0]
    value = {
        "subject": one.subject,
        "backend": one.backend,
        "backend_version": one.version or backends.BACKENDS[one.backend]().version(),
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
    if one.latency_ms is not None:
        value["latency_p50_ms"] = round(one.latency_ms, 3)
    if one.drops:
        value["dice_drop"] = round(one.drop, 6)
        if one.interval is not None:
            value["dice_drop_ci95"] = [round(end, 6) for end in one.interval]
    if parity_db is not None:
        value["parity_db"] = round(parity_db, 1)
    return mf.Evaluation.model_validate(value)


def rounded(figures: dict[str, float]) -> dict[str, float]:
    """To six digits, as manifests keep figures."""
    return {name: round(value, 6) for name, value in figures.items()}


def write_bundle(
    target: Path,
    run: mf.Manifest,
    graphs: list[Form],
    evaluations: list[mf.Evaluation],
    name: str,
    papers: Sequence[Paper] = (),
    findings: Findings | None = None,
) -> mf.Manifest:
    """Writes the whole bundle beside its place and exchanges it in one step.

    Raises:
        GateError: no golden frame can be found.
        OutputError: the disk.
    """
    frames = golden.pick(graphs[0].data, run)
    with atomic.atomic_folder(target) as folder:
        (folder / "graphs").mkdir()
        for form in graphs:
            (folder / form.entry.file).write_bytes(form.data)
        manifest = run.model_copy(
            update={
                "kind": "bundle",
                "name": name,
                "created": mf.now(),
                "writer": f"edgeseg {edgeseg.__version__}",
                "graphs": [form.entry for form in graphs],
                "engines": [],  # a bundle's own are of its old graphs
                "evaluations": evaluations,
                "golden": golden.write(folder, frames, {f.entry.name: (f.entry.form, f.data) for f in graphs}),
                "documents": [document(one) for one in papers],
            }
        )
        manifest, more = with_papers(manifest, findings or Findings())
        for paper in (*papers, *more):
            (folder / paper.file).write_bytes(paper.data)
        data = mf.dump(mf.parse(mf.dump(manifest)))
        (folder / "manifest.json").write_bytes(data)
        (folder / "manifest.sha256").write_text(f"{mf.sha256(data)}  manifest.json\n")
    return manifest
