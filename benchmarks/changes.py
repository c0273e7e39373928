"""Polyp models on changed validation frames: other light, colour, focus and file format, polyps nearer.

    python -m benchmarks.changes MODEL [MODEL ...] --data cvc_clinicdb --data kvasir_seg [--threshold T] [--json PATH|-]

Mean Dice of the frames of every --data's validation split, each model in FP32 at its own threshold and least area; with
--threshold (0 to 1, may be given several times) also at those, out of the same pass. The
truth is zoomed with the frame and otherwise left alone. Frames of a hospital without training frames would say more;
these stand in when a model is chosen, so that no test frame chooses it.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from benchmarks.drive import cast, gamma, jpeg, noisy, probability_of, unsharp
from edgeseg import metrics
from edgeseg.bundle import open_model
from edgeseg.data.dataset import read_pair
from edgeseg.data.select import select
from edgeseg.evaluate import positive
from edgeseg.postprocess import threshold_level
from edgeseg.predictor import open_predictor
from edgeseg.provenance import provenance

Image = NDArray[np.uint8]
Change = Callable[[Image, Image], tuple[Image, Image]]


def light(change: Callable[[Image], Image]) -> Change:
    """One of :mod:`benchmarks.drive`, which leave everything at its place."""
    return lambda frame, truth: (change(frame), truth)


def near(factor: float) -> Change:
    """A part of the frame around the target, 1/factor of each side."""

    def change(frame: Image, truth: Image) -> tuple[Image, Image]:
        height, width = truth.shape
        rows, columns = np.nonzero(truth)
        middle = (rows.mean(), columns.mean()) if len(rows) else (height / 2, width / 2)
        down, across = int(height / factor), int(width / factor)
        top = int(np.clip(middle[0] - down / 2, 0, height - down))
        left = int(np.clip(middle[1] - across / 2, 0, width - across))
        part = slice(top, top + down), slice(left, left + across)
        return np.ascontiguousarray(frame[part]), np.ascontiguousarray(truth[part])

    return change


CHANGES: dict[str, Change] = {
    "as it is": light(lambda frame: frame),
    "gamma 0.6": light(gamma(0.6)),
    "gamma 1.6": light(gamma(1.6)),
    "blue": light(cast(1.5, 1.1, 0.8)),
    "yellow": light(cast(0.6, 1.1, 1.1)),
    "pale": light(cast(1.4, 1.2, 0.9)),
    "unsharp 2": light(unsharp(2)),
    "unsharp 4": light(unsharp(4)),
    "JPEG 20": light(jpeg(20)),
    "noise 10": light(noisy(10)),
    "1.5x": near(1.5),
    "2.5x": near(2.5),
}


def measure(model: str, data: list[Path], others: list[float]) -> dict[str, tuple[dict[str, float], dict[str, object]]]:
    """By the model's name, and for each other threshold by both: mean Dice by change, and where it comes from."""
    source = open_model(model)
    spec = source.spec
    pairs = [pair for one in select(data, "val", "val", source.manifest) for pair in one.pairs]
    points = {model: [one.threshold or 128 for one in spec.classes[1:]]}
    points |= {f"{model} at {other:g}": [threshold_level(other)] * len(spec.classes[1:]) for other in others}
    out: dict[str, dict[str, float]] = {name: {} for name in points}
    with open_predictor(source, "auto", "fp32") as predictor:
        for name, change in CHANGES.items():
            dice: dict[str, list[float]] = {point: [] for point in points}
            for pair in pairs:
                frame, truth = change(*read_pair(pair))
                probability = probability_of(frame, predictor.predict, spec, tile=False)
                for point, thresholds in points.items():
                    mask = positive(probability, thresholds, spec.output.min_area)
                    dice[point].append(metrics.count(mask, truth > 0).figures()["dice"] or 0.0)
            for point, values in dice.items():
                out[point][name] = float(np.mean(values))
    said = provenance(source.manifest) | {"images": len(pairs)}
    return {point: (figures, said | {"thresholds": points[point]}) for point, figures in out.items()}


def main() -> None:
    """The table, and its figures as JSON."""
    from rich.console import Console
    from rich.table import Table

    from edgeseg.console import write_json

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+", metavar="MODEL")
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--json", dest="json_to")
    parser.add_argument("--threshold", type=float, action="append", default=[])
    words = parser.parse_args()
    if not all(0 <= one <= 1 for one in words.threshold):
        parser.error("--threshold is 0 to 1")
    found = {}
    for model in words.models:
        found |= measure(model, words.data, words.threshold)
    table = Table("change", *found, title="mean Dice, validation frames", title_justify="left")
    for name in CHANGES:
        table.add_row(name, *(f"{figures[name]:.4f}" for figures, _ in found.values()))
    means = [np.mean([value for name, value in figures.items() if name != "as it is"]) for figures, _ in found.values()]
    table.add_row("mean of the changes", *(f"{one:.4f}" for one in means))
    if words.json_to != "-":
        # In a pipe rich takes 80 columns, which cuts the models' names.
        console = Console()
        console.width = console.width if console.is_terminal else 22 + sum(3 + max(6, len(name)) for name in found)
        console.print(table)
    if words.json_to:
        write_json({model: {"dice": dice, "provenance": said} for model, (dice, said) in found.items()}, words.json_to)


if __name__ == "__main__":
    main()
