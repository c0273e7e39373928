"""Accuracy gate: the built INT8 engine against the float reference on validation frames.

Over budget, the layers that cost most go back to float one by one until the budget holds. The
search sees the validation split only.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property

import numpy as np

from edgeseg import manifest as mf
from edgeseg import metrics
from edgeseg.backends import runs_here
from edgeseg.backends.base import Engine, EngineOptions
from edgeseg.bundle import Spec
from edgeseg.calibration.sensitivity import Cost
from edgeseg.data.select import Selection
from edgeseg.errors import GateError
from edgeseg.evaluate import evaluate
from edgeseg.export.check import ENGINES
from edgeseg.export.wanted import MAX_DICE_DROP

__all__ = ["MAX_DICE_DROP", "Measured", "Outcome", "against", "dice_points", "measure", "median_ms", "search"]
Step = Callable[[str], None]


@dataclass(frozen=True)
class Measured:
    """A graph on a backend over one selection.

    ``drops`` are Dice of float minus Dice of this, per image; ``latency_ms`` is the median of a run,
    ``version`` the backend's where it is not the installed one of that name.
    """

    subject: str
    backend: str
    selection: Selection
    tally: metrics.Tally
    drops: tuple[float, ...] = ()
    latency_ms: float | None = None
    version: str = ""

    @property
    def has_targets(self) -> bool:
        """Whether any frame shows a target; without one Dice is 1 or 0 and says nothing of masks."""
        return any(image.figures["sensitivity"] is not None for image in self.tally.images)

    @property
    def drop(self) -> float:
        return float(np.mean(self.drops)) if self.drops else 0.0

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """95 % bootstrap interval of the mean drop, drawn by sequence or patient; None if all are of one."""
        if not self.drops:
            return None
        return metrics.bootstrap_ci95(self.drops, [pair.group for pair in self.selection.pairs])

    def points(self) -> str:
        """The drop as people read it, in Dice points, with its interval."""
        if self.interval is None:
            return dice_points(-self.drop)
        low, high = self.interval
        return f"{dice_points(-self.drop)} (95 % {dice_points(-high)} to {dice_points(-low)})"


def dice_points(change: float) -> str:
    """A change of Dice as people read it: with its sign, in hundredths; what rounds to nothing has a plus."""
    return f"{round(100 * change, 2) + 0.0:+.2f}"


@dataclass
class Outcome:
    """What the gate did: graphs as they passed, what was measured, and what went back to float."""

    graphs: dict[str, bytes]
    measured: list[Measured]
    float_layers: list[str] = field(default_factory=list)
    ranking: list[Cost] = field(default_factory=list)
    float_cost_ms: float | None = None


def measure(
    subject: str, backend: str, graph: bytes, selections: Sequence[Selection], spec: Spec | mf.Manifest
) -> list[Measured]:
    """Figures of a graph on a backend."""
    engine: Engine = ENGINES[backend](graph, EngineOptions())
    try:
        return figures(subject, backend, engine, selections, spec)
    finally:
        engine.close()


def figures(
    subject: str, backend: str, engine: Engine, selections: Sequence[Selection], spec: Spec | mf.Manifest
) -> list[Measured]:
    """Figures of a loaded engine."""
    thresholds = [one.threshold or 128 for one in spec.classes[1:]]
    tallies = [(one, evaluate(one.pairs, lambda x: engine.run(x[None])[0], spec, thresholds)) for one in selections]
    latency = median_ms(engine)
    return [Measured(subject, backend, one, tally, (), latency) for one, tally in tallies]


def median_ms(engine: Engine, runs: int = 25) -> float:
    """Median time of one frame in milliseconds, after the other engines' threads went to sleep."""
    frame = np.zeros((1, *engine.shape[1:]), np.uint8)
    time.sleep(0.03)
    times = []
    for _ in range(runs):
        start = time.perf_counter()
        engine.run(frame)
        times.append((time.perf_counter() - start) * 1e3)
    return float(np.median(times[5:]))


def against(measured: Sequence[Measured], reference: Sequence[Measured]) -> list[Measured]:
    """The same with the drops to the reference, image by image."""
    out = []
    for one, base in zip(measured, reference, strict=True):
        pairs = zip(base.tally.images, one.tally.images, strict=True)
        drops = tuple((a.figures["dice"] or 0.0) - (b.figures["dice"] or 0.0) for a, b in pairs)
        out.append(replace(one, drops=drops))
    return out


def search(
    emit: Callable[[list[str]], dict[str, bytes]],
    reference: Sequence[Measured],
    manifest: mf.Manifest,
    *,
    budget: float,
    rank: Callable[[], list[Cost]],
    step: Step,
    exclude: Sequence[str] = (),
) -> Outcome:
    """Emits and measures until the mean Dice drop of every graph on every backend and data set is within the budget.

    Args:
        emit: excluded layers → name and bytes of each gated graph.
        reference: the float graph on the gate's frames.
        manifest: of the model.
        budget: mean Dice drop that is allowed, a fraction.
        rank: the layers, worst first; asked for only when over budget.
        step: told what happens.
        exclude: layers the user keeps in float.

    Raises:
        GateError: even with every layer in float it does not hold.
    """
    left: list[str] | None = None
    ranking: list[Cost] = []
    moved = list(exclude)
    whole_ms: float | None = None
    while True:
        graphs = emit(moved)
        measured = [
            one
            for name, graph in graphs.items()
            for backend in ENGINES
            if runs_here(name, "cpu", backend)
            for one in against(measure(name, backend, graph, [r.selection for r in reference], manifest), reference)
        ]
        worst = max(measured, key=lambda one: one.drop)
        fastest = min(one.latency_ms or 0.0 for one in measured)
        whole_ms = fastest if whole_ms is None else whole_ms
        if worst.drop <= budget:
            cost = fastest - whole_ms if len(moved) > len(exclude) else None
            return Outcome(graphs, measured, moved, ranking, cost)
        if left is None:
            ranking = rank()
            left = [one.layer for one in ranking if one.layer not in moved]
        if not left:
            raise GateError(
                f"{worst.subject} on {worst.backend}: Dice drops by {100 * worst.drop:.2f} points on "
                f"{worst.selection.dataset.name} {worst.selection.split} (at most {100 * budget:.2f}) though every "
                "layer is back in float; no bundle was written"
            )
        layer = left.pop(0)
        moved.append(layer)
        step(f"Dice drops by {100 * worst.drop:.2f} points on {worst.backend}; layer {layer} goes back to float")
