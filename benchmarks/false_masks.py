"""Masks where there is nothing to find, a minute of video at 25 frames a second.

    python -m benchmarks.false_masks MODEL [--data DIR] [--split val] [--out FILE.json] [--threshold T] [--crops 150]

* phantom: the stretches of a synthetic colonoscopy in which no polyp is visible.
* mucosa: the largest rectangle beside the polyp (16 pixels away from its mask) of images of CVC-ClinicDB and
  Kvasir-SEG, if it is at least 96 pixels high and wide; enlarged by the fit as any frame is. These are stills: their
  figure is the share of crops with a mask, times 1,500. A crop may hold an unlabelled polyp, so it is an upper bound.
* laparoscopy: the clip of a gallbladder operation, no colon at all.

Mucosa is of the test split; with `--split val` it is of the model's validation frames, and then the phantom is another
one and the laparoscopy is left out: those are the figures to choose a ``min_area`` or a threshold by.

A false mask is one with any pixel left after the manifest's ``min_area``. The figure beside it counts only masks of at
least 0.2 % of the frame, about 15 pixels across at 384×288.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.atomic import atomic_write
from edgeseg.bundle import open_model
from edgeseg.data.dataset import Pair, read_pair
from edgeseg.data.phantom import PHANTOMS
from edgeseg.data.select import select
from edgeseg.provenance import provenance
from edgeseg.stream.sources import open_source

if TYPE_CHECKING:
    from edgeseg.model import Model

Image = NDArray[np.uint8]
PER_MINUTE = 25 * 60
MARGIN, SMALLEST = 16, 96
VISIBLE = 0.002
PHANTOM_SEEDS = {"test": 11, "val": 12}


@dataclass(frozen=True)
class Row:
    """Frames without a target, and false masks per minute: any, and of at least 0.2 % of the frame."""

    what: str
    frames: int
    per_minute: float
    visible_per_minute: float
    mean_area: float


def largest_free(mask: NDArray[np.bool_]) -> tuple[int, int, int, int] | None:
    """Left, top, width, height of the largest of the four bands beside the mask's box; None if all are small."""
    height, width = mask.shape
    ys, xs = np.nonzero(mask)
    if not ys.size:
        return 0, 0, width, height
    left, right = int(xs.min()) - MARGIN, int(xs.max()) + 1 + MARGIN
    top, bottom = int(ys.min()) - MARGIN, int(ys.max()) + 1 + MARGIN
    bands = [(0, 0, left, height), (right, 0, width - right, height)]
    bands += [(0, 0, width, top), (0, bottom, width, height - bottom)]
    fitting = [band for band in bands if band[2] >= SMALLEST and band[3] >= SMALLEST]
    return max(fitting, key=lambda band: band[2] * band[3]) if fitting else None


def crops(pairs: Sequence[Pair], number: int) -> Iterator[Image]:
    """Mucosa without polyp; mostly dark crops (the corners of the optics) are left out."""
    count = 0
    for pair in pairs:
        frame, truth = read_pair(pair)
        box = largest_free(truth > 0)
        if box is None:
            continue
        left, top, width, height = box
        crop = frame[top : top + height, left : left + width]
        if (cv2.cvtColor(crop, cv2.COLOR_BGR2GRAY) < 30).mean() > 0.3:
            continue
        yield np.ascontiguousarray(crop)
        count += 1
        if count == number:
            return


def phantom(number: int, seed: int) -> Iterator[Image]:
    """Frames of the phantom in which no pixel is polyp."""
    for frame in PHANTOMS["colonoscopy"](number, 480, 360, seed):
        if not frame.mask.any():
            yield frame.image


def measure(model: Model, what: str, frames: Iterable[Image], *, stills: bool) -> Row:
    """Runs the model; on a stream the content of the first frame is held, as `infer` does."""
    placement, areas = None, []
    for frame in frames:
        if placement is None or stills:
            placement = model.place(frame)
        areas.append(float((model(frame, placement).mask > 0).mean()))
    shares = np.asarray(areas or [0.0])
    any_mask, visible = float((shares > 0).mean()), float((shares >= VISIBLE).mean())
    return Row(what, len(areas), any_mask * PER_MINUTE, visible * PER_MINUTE, float(shares.mean()))


def main() -> None:
    """Prints the table and, with --out, writes it as JSON."""
    from rich.console import Console
    from rich.table import Table

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--data", default=os.environ.get("EDGESEG_DATA", "../shared/data"), type=Path)
    parser.add_argument("--split", choices=sorted(PHANTOM_SEEDS), default="test")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--threshold", type=float)
    parser.add_argument("--frames", type=int, default=250, help="of the phantom")
    parser.add_argument("--crops", type=int, default=150, help="of each data set, at most")
    parser.add_argument("--out", type=Path)
    words = parser.parse_args()
    source = open_model(words.model)
    with source.load(precision=words.precision, threshold=words.threshold, threads=1) as model:
        nothing = phantom(words.frames, PHANTOM_SEEDS[words.split])
        rows = [measure(model, "phantom without polyp", nothing, stills=False)]
        for name in ("cvc_clinicdb", "kvasir_seg"):
            if (words.data / name).is_dir():
                (picked,) = select([words.data / name], words.split, words.split, source.manifest)
                found = crops(picked.pairs, words.crops)
                rows.append(measure(model, f"mucosa of {name} {words.split}", found, stills=True))
        clip = words.data / "video" / "laparoscopy_720p_250f.mp4"
        if clip.is_file() and words.split == "test":
            images = (frame.image for frame in open_source(str(clip)))
            rows.append(measure(model, "laparoscopy", images, stills=False))
        engine, thresholds = str(model.engine), model.thresholds
    columns = ("frames of", "frames", "false masks a minute", "of ≥ 0.2 % of the frame", "mean area")
    table = Table(*columns, title=source.name)
    for row in rows:
        figures = (f"{row.per_minute:.0f}", f"{row.visible_per_minute:.0f}", f"{row.mean_area:.4f}")
        table.add_row(row.what, str(row.frames), *figures)
    table.caption = f"{engine}; threshold {thresholds}/255; of {PER_MINUTE} frames a minute"
    Console().print(table)
    if words.out:
        value = {"model": source.name, "engine": engine, "thresholds": thresholds}
        value |= {"provenance": provenance(source.manifest), "rows": [asdict(row) for row in rows]}
        atomic_write(words.out, json.dumps(value, indent=1) + "\n")


if __name__ == "__main__":
    main()
