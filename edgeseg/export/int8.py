"""The INT8 and FP16 graphs of an export: table, emitters, parity gate, accuracy gate."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from edgeseg import manifest as mf
from edgeseg.bundle import Source
from edgeseg.calibration import frames as calibration_frames
from edgeseg.calibration import run as calibration
from edgeseg.calibration import sensitivity
from edgeseg.calibration.table import Table, parse
from edgeseg.data.layouts import open_dataset
from edgeseg.errors import DataError, UsageError
from edgeseg.export import forms, gate, parity
from edgeseg.export.check import Image
from edgeseg.export.wanted import FP16, INT8, Wanted

Step = Callable[[str], None]
__all__ = ["FP16", "GATED", "INT8", "Made", "Wanted", "choose_frames", "excluded", "find_table", "make"]
GATED = ("int8-cpu", "int8-cpu-7bit")


@dataclass
class Made:
    """Graphs with their bytes and float layers, the table, and everything that was measured."""

    graphs: dict[str, bytes] = field(default_factory=dict)
    float_layers: list[str] = field(default_factory=list)
    table: Table | None = None
    agreements: list[parity.Agreement] = field(default_factory=list)
    measured: list[gate.Measured] = field(default_factory=list)
    ranking: list[sensitivity.Cost] = field(default_factory=list)
    float_cost_ms: float | None = None


def make(
    graph: bytes,
    manifest: mf.Manifest,
    source: Source,
    wanted: Wanted,
    data: list[Path],
    reference: Sequence[gate.Measured],
    frames: Sequence[Image],
    step: Step,
    *,
    calibrated: bytes | None = None,
) -> Made:
    """Emits the wanted graphs and lets both gates look at them.

    Args:
        graph: the float frame graph.
        manifest: of the model.
        source: the model, whose own table is used if it holds one that fits.
        wanted: what.
        data: folders to calibrate on.
        reference: the float graph on the accuracy gate's frames; empty without labelled frames.
        frames: fitted frames for the parity gate.
        step: told what happens next.
        calibrated: the graph before its metadata changed, which tables belong to; by default ``graph``.

    Raises:
        GateError: a gate says no.
        ModelError, DataError, UsageError: bad input, each with its sentence.
    """
    if not wanted.graphs:
        return Made()
    out = Made()
    if wanted.int8:
        table = find_table(calibrated or graph, manifest, source, wanted, data, step)
        out.table = calibration.moved_to(table, graph)
    exclude = excluded(graph, wanted.exclude)
    gated = [name for name in wanted.graphs if name in GATED]

    def emit(names: Sequence[str], left_float: Sequence[str]) -> dict[str, bytes]:
        found = {name: forms.emit(name, graph, out.table, left_float).data for name in names}
        for name, emitted in found.items():
            step(f"parity of {name}")
            runners = parity.chosen_runners(parity.backends(name, forms.GRAPHS[name].form))
            out.agreements = [one for one in out.agreements if one.subject != name]
            out.agreements += parity.check(name, emitted, frames, runners)
            if name in FP16:  # what FP16 may cost needs no labelled frames
                out.agreements += parity.fp16_holds(name, emitted, graph, frames)
        return found

    def rank() -> list[sensitivity.Cost]:
        step("ranking layers by what INT8 costs them")
        pairs = sensitivity.subset([pair for one in reference for pair in one.selection.pairs])
        if out.table is None:
            raise UsageError("a ranking needs a calibration table")
        return sensitivity.rank(graph, out.table, pairs, manifest)

    out.float_layers = list(exclude)
    if gated and reference:
        step("accuracy gate")
        outcome = gate.search(
            lambda layers: emit(gated, layers), reference, manifest,
            budget=wanted.max_dice_drop / 100, rank=rank, step=step, exclude=exclude,
        )  # fmt: skip
        out.graphs, out.measured = outcome.graphs, outcome.measured
        out.float_layers, out.ranking = outcome.float_layers, outcome.ranking
        out.float_cost_ms = outcome.float_cost_ms
    out.graphs |= emit([name for name in wanted.graphs if name not in out.graphs], out.float_layers)
    for name in (one for one in out.graphs if one in INT8):  # as they will be: the search may have left layers in float
        out.agreements += parity.int8_holds(name, out.graphs[name], graph, frames)
    return out


def excluded(graph: bytes, pattern: str | None) -> list[str]:
    """Layers that ``--exclude`` finds.

    Raises:
        UsageError: no regular expression, or it finds none.
    """
    if pattern is None:
        return []
    try:
        expression = re.compile(pattern)
    except re.error as error:
        raise UsageError(f"--exclude {pattern}: is no regular expression ({error})") from error
    names = sensitivity.layer_names(graph)
    found = [name for name in names if expression.search(name)]
    if not found:
        raise UsageError(f"--exclude {pattern}: finds no layer; there are {', '.join(names[:6])}, …")
    return found


def find_table(
    graph: bytes, manifest: mf.Manifest, source: Source, wanted: Wanted, data: list[Path], step: Step
) -> Table:
    """The calibration table: given, the model's own, or made now.

    Raises:
        UsageError: none there and no frames to make one.
        ModelError: a given table belongs to something else.
    """
    given = wanted.calibration
    if given is not None and given.endswith(".json"):
        table = calibration.reuse(calibration.read(Path(given)), graph, manifest, given)
        return calibration.with_method(table, wanted.method) if wanted.method else table
    if not data:
        return _own_table(graph, manifest, source, wanted)
    chosen = choose_frames(data, given, None, None, manifest)
    step(f"calibrating on {len(chosen.frames)} frames of {chosen.data}")
    return calibration.calibrate(graph, manifest, chosen, wanted.method or chosen.recipe.method)


def _own_table(graph: bytes, manifest: mf.Manifest, source: Source, wanted: Wanted) -> Table:
    document = next((one for one in manifest.documents if one.role == "calibration"), None)
    if document is None:
        raise UsageError(
            f"--int8 needs frames to calibrate on ({source.path} holds no table); add --data DIR "
            "or --calibration TABLE.json"
        )
    where = str(source.path / document.file)
    table = calibration.reuse(
        parse(source.read(document.file, document.sha256, document.size), where), graph, manifest, where
    )
    return calibration.with_method(table, wanted.method) if wanted.method else table


def choose_frames(
    data: list[Path], recipe_name: str | None, frames: int | None, seed: int | None, manifest: mf.Manifest
) -> calibration_frames.Chosen:
    """Calibration frames of a recipe: the named one, the one shipped for these sets, or a draw of so many.

    A shipped recipe lists the frames of one copy of a set and of one split; where nobody asked for it and they do not
    fit, frames are drawn.
    """
    from edgeseg import recipes

    def chosen(recipe: calibration_frames.Recipe, *, most: bool) -> calibration_frames.Chosen:
        seeded = recipe if seed is None else recipe.model_copy(update={"seed": seed})
        return calibration_frames.choose(seeded, data, manifest, most=most)

    if recipe_name is not None:
        return chosen(recipes.load(calibration_frames.KIND, recipe_name, calibration_frames.Recipe), most=False)
    names = [open_dataset(root).name for root in data]
    drawn = frames if seed is None else frames or calibration_frames.FRAMES  # a seed is of a draw
    recipe = calibration_frames.default_recipe(names, drawn)
    try:
        return chosen(recipe, most=recipe.name == "drawn" and frames is None)
    except DataError:
        if recipe.name == "drawn":
            raise
    return chosen(calibration_frames.default_recipe(names, calibration_frames.FRAMES), most=True)
