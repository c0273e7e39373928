"""`edgeseg val`: figures per image and pooled, as table, CSV and JSON, with the worst images as a picture."""

from __future__ import annotations

import csv
import heapq
import importlib.util
import io
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeseg import console, metrics, reliability
from edgeseg.atomic import atomic_write
from edgeseg.bundle import open_model, resized
from edgeseg.data.select import seen as seen_already
from edgeseg.data.select import select
from edgeseg.evaluate import Comparison, evaluate
from edgeseg.postprocess import threshold_level
from edgeseg.predictor import open_predictor
from edgeseg.provenance import provenance

if TYPE_CHECKING:
    from rich.table import Table

    from edgeseg.data.select import Selection


@dataclass
class Report:
    """Everything `val` says."""

    model: str
    engine: str
    imgsz: tuple[int, int]
    auc_from: str
    frames: str
    thresholds: list[int]
    area: str
    tally: metrics.Tally
    worst: list[Comparison] = field(default_factory=list)
    provenance: dict[str, Any] = field(default_factory=dict)
    trained: tuple[int, int] | None = (0, 0)
    groups: list[int | None] = field(default_factory=list)

    @cached_property
    def interval(self) -> tuple[float, float] | None:
        """95 % interval of the mean Dice, by sequence or patient where known; None where all images are of one."""
        dices = [image.figures["dice"] for image in self.tally.images]
        both = [(dice, group) for dice, group in zip(dices, self.groups, strict=True) if dice is not None]
        return metrics.bootstrap_ci95([dice for dice, _ in both], [group for _, group in both])

    @cached_property
    def negatives(self) -> tuple[int, int]:
        """Images whose truth has no target, and how many of them get no mask either."""
        dices = [image.figures["dice"] for image in self.tally.images if image.figures["sensitivity"] is None]
        return len(dices), sum(dice == 1 for dice in dices)

    def ece(self) -> float:
        """Expected calibration error of all pixels; with several classes that of the likeliest."""
        return reliability.calibration_error(self.tally.histogram())

    def json(self) -> dict[str, Any]:
        return {
            "model": self.model,
            "engine": self.engine,
            "imgsz": list(self.imgsz),
            "frames": self.frames,
            "area": self.area,
            "thresholds": self.thresholds,
            "auc_from": self.auc_from,
            "n_images": len(self.tally.images),
            "trained_on": self.trained and self.trained[0],
            "trained_beside": self.trained and self.trained[1],
            "n_groups": len(set(self.groups) - {None}) or None,
            "n_negative": self.negatives[0],
            "n_mask_free": self.negatives[1],
            "per_image": self.tally.per_image(),
            "dice_ci95": self.interval,
            "pooled": self.tally.pooled(),
            "ece": self.ece(),
            "provenance": self.provenance,
            "images": [
                {"name": image.name}
                | ({} if group is None else {"group": group})
                | {k: v for k, v in image.figures.items() if v is not None}
                for image, group in zip(self.tally.images, self.groups, strict=True)
            ],
        }

    def table(self) -> Table:
        from rich.table import Table

        table = Table(title=f"{self.model} on {self.frames}: {len(self.tally.images)} images", title_justify="left")
        table.add_column("figure")
        table.add_column("mean per image", justify="right")
        table.add_column("pooled", justify="right")
        per_image, pooled = self.tally.per_image(), self.tally.pooled()
        for name in metrics.FIGURES:
            label = f"AUC ({self.auc_from})" if name == "auc" else {"dice": "Dice", "iou": "IoU"}.get(name, name)
            cells = [f"{value[name]:.4f}" if name in value else "–" for value in (per_image, pooled)]
            table.add_row(label, *cells)
            if name == "dice" and self.interval:
                table.add_row("Dice, 95 % interval", "{:.3f} to {:.3f}".format(*self.interval), "–")
        table.add_row("ECE", "–", f"{self.ece():.4f}")
        where = "inside the field of view" if self.area == "fov" else "whole frames"
        size, levels = "×".join(map(str, self.imgsz)), ", ".join(map(str, self.thresholds))
        table.caption = f"{self.engine}; input {size}; threshold {levels}/255; {where}"
        if self.trained is None:
            bare = "weights_sha256" not in self.provenance
            why = "a bare graph does not tell" if bare else "it knew a data set of this name, with other files or lists"
            table.caption += f"; NOT KNOWN how many of these images the model was trained on: {why}"
        known = [group for group in self.groups if group is not None]
        if known:
            number = len(set(known))
            of = "one sequence or patient" if number == 1 else f"{number} sequences or patients"
            table.caption += f"; {'all' if len(known) == len(self.groups) else len(known)} of {of}"
        without, free = self.negatives
        if without:
            table.caption += f"; {free} of {without} images without a target get no mask"
        on, beside = self.trained or (0, 0)
        if on:
            table.caption += f"; the model was TRAINED on {on} of these images"
        if beside:
            table.caption += f"; {beside} are other images of what it was trained on (sequences, patients)"
        table.caption_justify = "left"
        return table


def validate(
    model: str,
    data: list[Path],
    split: str | None = None,
    *,
    imgsz: tuple[int, int] | None = None,
    backend: str = "auto",
    precision: str = "auto",
    device: int = 0,
    threads: int = 0,
    threshold: float | None = None,
    area: str = "frame",
    tile: bool = False,
    worst: int = 0,
    quiet: bool = False,
) -> Report:
    """Measures MODEL on labelled frames; ``worst`` comparisons are kept for the picture.

    ``imgsz``: height and width of a run's input, instead of the size it was trained with.

    Raises:
        EdgesegError: model, data or backend are rejected, each with its sentence.
    """
    source = open_model(model) if imgsz is None else resized(open_model(model), imgsz)
    selections = select(data, split, "test", source.manifest)
    pairs = [pair for selection in selections for pair in selection.pairs]
    thresholds = [one.threshold or 128 for one in source.spec.classes[1:]]
    if threshold is not None:
        thresholds = [threshold_level(threshold)] * len(thresholds)
    kept: list[tuple[float, int, Comparison]] = []
    with (
        open_predictor(source, backend, precision, device=device, threads=threads) as predictor,
        console.progress(quiet=quiet) as bar,
    ):
        task = bar.add_task("val", total=len(pairs), note="")
        seen = 0

        def each(comparison: Comparison) -> None:
            nonlocal seen
            seen += 1
            bar.advance(task)
            if worst:
                heapq.heappush(kept, (-(comparison.figures.figures["dice"] or 0.0), seen, comparison))
                if len(kept) > worst:
                    heapq.heappop(kept)

        tally = evaluate(pairs, predictor.predict, source.spec, thresholds, area=area, tile=tile, each=each)
        frames = " + ".join(f"{one.dataset.name} {one.split}" for one in selections)
        ordered = [comparison for _, _, comparison in sorted(kept, key=lambda item: (-item[0], item[1]))]
        return Report(
            source.name,
            predictor.engine,
            (source.spec.frame.height, source.spec.frame.width),
            predictor.auc_from,
            frames,
            thresholds,
            area,
            tally,
            ordered,
            provenance(source.manifest),
            _sum([seen_already(one, source.manifest) for one in selections]),
            _numbered(selections),
        )


def _numbered(selections: list[Selection]) -> list[int | None]:
    """Each image's sequence or patient by a number, from 1 on; None where it is not known.

    A number, since a group's own name may be a patient's.
    """
    numbers: dict[tuple[Path, str], int] = {}
    return [
        None if pair.group is None else numbers.setdefault((one.dataset.root, pair.group), len(numbers) + 1)
        for one in selections
        for pair in one.pairs
    ]


def _sum(counts: list[tuple[int, int] | None]) -> tuple[int, int] | None:
    known = [one for one in counts if one is not None]
    return (sum(on for on, _ in known), sum(beside for _, beside in known)) if len(known) == len(counts) else None


def write_outputs(report: Report, out: Path) -> list[Path]:
    """figures.csv, worst.png and, where matplotlib is installed (extra train), curves.png; what was written.

    Raises:
        OutputError: the disk.
    """
    from edgeseg.pictures import compare_tile, same_size, sheet, write_png

    text = io.StringIO()
    writer = csv.DictWriter(text, ["name", *metrics.FIGURES])
    writer.writeheader()
    for image in report.tally.images:
        writer.writerow({"name": image.name} | {k: "" if v is None else f"{v:.6f}" for k, v in image.figures.items()})
    atomic_write(out / "figures.csv", text.getvalue())
    written = [out / "figures.csv"]
    if importlib.util.find_spec("matplotlib"):
        written.append(out / "curves.png")
        reliability.draw(
            report.tally.histogram(), report.thresholds[0] / 255, f"{report.model} on {report.frames}", written[-1]
        )
    tiles = [
        compare_tile(one.frame, one.truth, one.predicted, f"{one.pair.stem}  Dice {one.figures.figures['dice']:.3f}")
        for one in report.worst
    ]
    if tiles:
        written.append(out / "worst.png")
        write_png(written[-1], sheet(same_size(tiles)))
    return written
