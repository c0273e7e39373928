"""What temporal smoothing gains and costs: flicker, delay and Dice, for several weights.

    python -m benchmarks.smoothing [--model npnet-polyp] [--data DIR] [--frames 250] [--out benchmarks/results]

* flicker: mean over neighbouring frames of 1 − Dice of their masks (both empty: 0). A moving camera flickers too; the
  phantom's truth is given beside it as the floor.
* delay: frames from a polyp's coming into view in the truth to the first mask that overlaps it, and from its leaving
  to the first empty mask; mean over the appearances in all phantoms, of those that happen. Against smoothing 0 it says
  what the weight costs.
* Dice: mean over the phantoms' frames. The real clip has boxes only: box IoU ≥ 0.5 in a share of its frames.

No frame is written; the result file holds figures.
"""

from __future__ import annotations

import argparse
import json
import os
from dataclasses import asdict, dataclass
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from benchmarks.clips_with_truth import IOU, box_iou
from edgeseg import metrics
from edgeseg.atomic import atomic_write
from edgeseg.bundle import open_model
from edgeseg.data.phantom import PHANTOMS
from edgeseg.fit import Box
from edgeseg.provenance import provenance
from edgeseg.stream.frame import StreamFrame
from edgeseg.stream.smoothing import Smoothing
from edgeseg.stream.sources import open_source

if TYPE_CHECKING:
    from edgeseg.model import Model, Result

Mask = NDArray[np.bool_]
WEIGHTS = (0.0, 0.3, 0.5, 0.7)
PHANTOM_SEEDS, PHANTOM_SIZE = range(11, 23), (480, 360)


@dataclass(frozen=True)
class Figures:
    """Of one weight on one clip; None where the clip cannot say."""

    clip: str
    smoothing: float
    flicker: float
    flicker_of_truth: float | None = None
    dice: float | None = None
    onset_frames: float | None = None
    offset_frames: float | None = None
    appearances: int | None = None
    boxes_met: float | None = None


def dice(a: Mask, b: Mask) -> float:
    """Both empty: 1."""
    return float(metrics.count(a, b).figures()["dice"] or 0.0)


def flicker(masks: list[Mask]) -> float:
    """Mean of 1 − Dice of neighbours."""
    return float(np.mean([1 - dice(a, b) for a, b in pairwise(masks)]))


def delays(masks: list[Mask], truth: list[Mask]) -> tuple[list[int], list[int], int]:
    """Frames to the first overlap after each onset, to the first empty mask after each end, and the onsets."""
    present = [bool(one.any()) for one in truth]
    edges = [n for n in range(1, len(present)) if present[n] != present[n - 1]] + [len(present)]
    onset, offset, onsets = [], [], 0
    for start, end in pairwise(edges):
        here = [(masks[n] & truth[n]).any() if present[start] else not masks[n].any() for n in range(start, end)]
        found = [number for number, met in enumerate(here) if met]
        onsets += present[start]
        if found:
            (onset if present[start] else offset).append(found[0])
    return onset, offset, onsets


def results(model: Model, frames: list[StreamFrame]) -> list[Result]:
    """Unsmoothed, with the content of the first frame held, as `infer` does."""
    placement = model.place(frames[0].image)
    return [model(frame.image, placement) for frame in frames]


def smoothed(raw: list[Result], frames: list[StreamFrame], weight: float) -> list[Result]:
    """Results as the pipeline would give them."""
    smooth = Smoothing(weight)
    return [smooth.apply(frame, result) for frame, result in zip(frames, raw, strict=True)]


def phantom(model: Model, number: int) -> list[Figures]:
    """All phantoms with their truth; ``number`` frames of each."""
    rows: dict[float, list[tuple[float, float, float]]] = {weight: [] for weight in WEIGHTS}
    onset: dict[float, list[int]] = {weight: [] for weight in WEIGHTS}
    offset: dict[float, list[int]] = {weight: [] for weight in WEIGHTS}
    appearances = 0
    for seed in PHANTOM_SEEDS:
        frames, truth = [], []
        for frame in PHANTOMS["colonoscopy"](number, *PHANTOM_SIZE, seed):
            frames.append(StreamFrame(frame.image, frame.index, frame.index / 25, 0.0, 0.0, 0.0))
            truth.append(frame.mask > 0)
        raw, onsets = results(model, frames), 0
        for weight in WEIGHTS:
            masks = [one.mask > 0 for one in smoothed(raw, frames, weight)]
            began, ended, onsets = delays(masks, truth)
            onset[weight] += began
            offset[weight] += ended
            met = float(np.mean([dice(a, b) for a, b in zip(masks, truth, strict=True)]))
            rows[weight].append((flicker(masks), flicker(truth), met))
        appearances += onsets
    return [
        Figures(
            f"{len(PHANTOM_SEEDS)} phantoms",
            weight,
            *(float(value) for value in np.mean(rows[weight], axis=0)),
            float(np.mean(onset[weight])) if onset[weight] else None,
            float(np.mean(offset[weight])) if offset[weight] else None,
            appearances,
        )
        for weight in WEIGHTS
    ]


def real(model: Model, folder: Path) -> list[Figures]:
    """The colonoscopy clip with its boxes."""
    truth = json.loads((folder / "colonoscopy_polyp_53f_boxes.json").read_text())["frames"]
    boxes = [[Box(x, y, right - x, bottom - y) for x, y, right, bottom in (o["bbox"] for o in f)] for f in truth]
    frames = list(open_source(str(folder / "colonoscopy_polyp_53f.mp4")))
    raw, out = results(model, frames), []
    for weight in WEIGHTS:
        said = smoothed(raw, frames, weight)
        met = [
            any(box_iou(seen.box, box) >= IOU for seen in one.objects for box in wanted)
            for one, wanted in zip(said, boxes, strict=False)
            if wanted
        ]
        share = float(np.mean(met)) if met else None
        out.append(Figures("colonoscopy clip", weight, flicker([one.mask > 0 for one in said]), boxes_met=share))
    return out


def table(rows: list[Figures], said: dict[str, object]) -> str:
    """Markdown."""
    names = list(asdict(rows[0]))
    lines = [f"`{said['command']}` on {said['machine']}, {said['date']}", ""]
    lines += ["| " + " | ".join(name.replace("_", " ") for name in names) + " |", "|---" * len(names) + "|"]
    for row in rows:
        cells = ["–" if v is None else f"{v:.4f}" if isinstance(v, float) else str(v) for v in asdict(row).values()]
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines) + "\n"


def main() -> None:
    """Measures, prints and, with --out, writes smoothing.json and smoothing.md."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="npnet-polyp")
    parser.add_argument("--data", default=os.environ.get("EDGESEG_DATA", "../shared/data"), type=Path)
    parser.add_argument("--frames", type=int, default=250)
    parser.add_argument("--out", type=Path)
    words = parser.parse_args()
    source = open_model(words.model)
    with source.load(threads=1) as model:
        rows = real(model, words.data / "video") + phantom(model, words.frames)
        engine = str(model.engine)
    said = provenance(source.manifest)
    print(engine)
    print(table(rows, said), end="")
    if words.out:
        value = {"model": source.name, "engine": engine, "provenance": said, "rows": [asdict(row) for row in rows]}
        atomic_write(words.out / "smoothing.json", json.dumps(value, indent=1) + "\n")
        text = f"# Temporal smoothing: {source.name}\n\n{engine}. What the columns mean: `benchmarks/smoothing.py`.\n\n"
        atomic_write(words.out / "smoothing.md", text + table(rows, said))


if __name__ == "__main__":
    main()
