"""DRIVE's test images: whole images and inside the field of view, connectivity, and what another camera costs.

    python benchmarks/drive.py RUN --data /path/to/drive --out benchmarks/results

RUN is a run, a bundle or a zoo name. The threshold is the model's own, chosen on its validation images. "AUC" is
taken from float probability for a run and from uint8 for a bundle. The second table changes the test images as
another camera would (size 0.5 and 1.7, gamma 0.7 and 1.4); the truth and the field of view stay at their own size.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg import fit, metrics, steps
from edgeseg.atomic import atomic_write
from edgeseg.bundle import Spec, open_model
from edgeseg.cldice import cldice
from edgeseg.data.dataset import Pair, read_mask, read_pair
from edgeseg.data.select import select
from edgeseg.evaluate import positive
from edgeseg.predictor import open_predictor
from edgeseg.provenance import provenance
from edgeseg.tiles import tiled

Image = NDArray[np.uint8]
Change = Callable[[Image], Image]


def resized(factor: float) -> Change:
    """The frame at another resolution."""
    return lambda frame: np.asarray(
        cv2.resize(frame, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA if factor < 1 else cv2.INTER_LINEAR),
        np.uint8,
    )


def gamma(power: float) -> Change:
    """The frame through another tone curve."""
    table = np.rint(255 * (np.arange(256) / 255) ** power).astype(np.uint8)
    return lambda frame: np.asarray(table[frame], np.uint8)


CHANGES: dict[str, Change] = {
    "as it is": lambda frame: frame,
    "0.5x": resized(0.5),
    "1.7x": resized(1.7),
    "gamma 0.7": gamma(0.7),
    "gamma 1.4": gamma(1.4),
}


def measure(
    pairs: list[Pair], predict: Callable[[Image], NDArray[np.generic]], spec: Spec, change: Change, *, tile: bool
) -> dict[str, dict[str, float]]:
    """Pooled figures "frame" and "fov", with the mean clDice of the images."""
    thresholds = [one.threshold or 128 for one in spec.classes[1:]]
    tallies = {"frame": metrics.Tally(), "fov": metrics.Tally()}
    connected: dict[str, list[float]] = {"frame": [], "fov": []}
    for pair in pairs:
        frame, truth = read_pair(pair)
        changed = change(frame)
        if tile:
            probability = tiled(changed, predict, spec.frame)
        else:
            box = fit.content_box(changed, spec.frame.fit.content_level) if spec.frame.fit.region == "content" else None
            placement = fit.place(changed.shape[0], changed.shape[1], spec.frame, box)
            fitted = steps.network_input(changed, placement, spec.frame)
            probability = fit.back(predict(fitted), placement, spec.output.upsample)
        if probability.shape[1:] != truth.shape:
            size = (truth.shape[1], truth.shape[0])
            probability = np.stack([cv2.resize(plane, size, interpolation=cv2.INTER_LINEAR) for plane in probability])
        predicted = positive(probability, thresholds, spec.output.min_area)
        inside = read_mask(pair.fov, threshold=True) > 0 if pair.fov else None
        for area, where in (("frame", None), ("fov", inside)):
            tallies[area].add(pair.stem, probability.max(0), predicted, truth > 0, where)
            connected[area].append(cldice(predicted, truth > 0, where))
    return {area: tallies[area].pooled() | {"cldice": float(np.mean(connected[area]))} for area in tallies}


def main() -> None:
    """Prints the table and, with --out, writes it as JSON."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--split", default="test")
    parser.add_argument("--backend", default="auto")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--tile", action="store_true")
    parser.add_argument("--only", choices=sorted(CHANGES), help="one line of the table")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    source = open_model(args.model)
    pairs = [pair for one in select([args.data], args.split, "test", source.manifest) for pair in one.pairs]
    rows = {}
    with open_predictor(source, args.backend, args.precision) as predictor:
        thresholds = [one.threshold or 128 for one in source.spec.classes[1:]]
        print(f"{source.name}, {predictor.engine}; {len(pairs)} images of {args.split}; threshold {thresholds}/255")
        keys = ("auc", "sensitivity", "specificity", "accuracy", "dice", "iou", "cldice")
        print(f"{'':12}{'area':6}" + "".join(f"{key:>13}" for key in keys))
        for name, change in CHANGES.items():
            if args.only in (None, name):
                rows[name] = measure(pairs, predictor.predict, source.spec, change, tile=args.tile)
                for area, figures in rows[name].items():
                    print(f"{name:12}{area:6}" + "".join(f"{figures[key]:13.4f}" for key in keys), flush=True)
    if args.out:
        row = {"model": source.name, "engine": predictor.engine, "auc_from": predictor.auc_from, "tile": args.tile}
        training = source.manifest.training.weights_sha256 if source.manifest else ""
        row |= {"weights_sha256": training, "split": args.split, "images": len(pairs), "thresholds": thresholds}
        row["provenance"] = provenance(source.manifest)
        rounded = {n: {a: {k: round(v, 5) for k, v in f.items()} for a, f in r.items()} for n, r in rows.items()}
        atomic_write(args.out / f"drive-{source.name}.json", json.dumps(row | {"pooled": rounded}, indent=1) + "\n")


if __name__ == "__main__":
    main()
