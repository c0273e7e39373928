"""DRIVE's test images: whole images and inside the field of view, connectivity, and what another camera costs.

    python benchmarks/drive.py RUN --data /path/to/drive --out benchmarks/results

RUN is a run, a bundle or a zoo name. The threshold is the model's own, chosen on its validation images; with --rule it
is the one of largest Dice or accuracy inside the validation images' fields of view instead, or with "sensitivity 0.88"
the highest that finds so much of their vessels. "AUC" is taken from float probability for a run and from uint8 for a
bundle. The lines after the first change the test images as another camera would: its size, tone curve, colours, focus,
noise and file format. The truth and the field of view stay at their own size.
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

# Of thresholds; `benchmarks.papers` has rows of these two.
OWN, SENSITIVE = "the model's own", "sensitivity 0.88"

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


def cast(blue: float, green: float, red: float) -> Change:
    """The frame under another lamp and sensor: a gain per channel."""
    gains = np.array([blue, green, red])
    return lambda frame: np.clip(frame * gains + 0.5, 0, 255).astype(np.uint8)


def unsharp(sigma: float) -> Change:
    """The frame out of focus, pixels."""
    return lambda frame: np.asarray(cv2.GaussianBlur(frame, (0, 0), sigma), np.uint8)


def noisy(deviation: float) -> Change:
    """The frame with the same Gaussian noise each time, grey levels."""
    return lambda frame: np.clip(
        frame + np.random.default_rng(0).normal(0, deviation, frame.shape) + 0.5, 0, 255
    ).astype(np.uint8)


def jpeg(quality: int) -> Change:
    """The frame out of a JPEG file."""

    def change(frame: Image) -> Image:
        _, file = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])
        return np.asarray(cv2.imdecode(file, cv2.IMREAD_COLOR), np.uint8)

    return change


CHANGES: dict[str, Change] = {
    "as it is": lambda frame: frame,
    "0.5x": resized(0.5),
    "1.7x": resized(1.7),
    "gamma 0.7": gamma(0.7),
    "gamma 1.4": gamma(1.4),
    "yellow": cast(0.5, 0.8, 1.2),
    "pale": cast(2.0, 1.3, 0.8),
    "unsharp 1.5": unsharp(1.5),
    "noise 5": noisy(5),
    "JPEG 50": jpeg(50),
}


Predict = Callable[[Image], NDArray[np.generic]]


def probability_of(frame: Image, predict: Predict, spec: Spec, *, tile: bool) -> NDArray[np.generic]:
    """Of a whole frame at its own size."""
    if tile:
        return np.asarray(tiled(frame, predict, spec.frame))
    box = fit.content_box(frame, spec.frame.fit.content_level) if spec.frame.fit.region == "content" else None
    placement = fit.place(frame.shape[0], frame.shape[1], spec.frame, box)
    fitted = steps.network_input(frame, placement, spec.frame)
    return np.asarray(fit.back(predict(fitted), placement, spec.output.upsample))


def field_of_view(pair: Pair, truth: Image) -> NDArray[np.bool_]:
    """Of a pair; the whole frame where the set has none."""
    return read_mask(pair.fov, threshold=True) > 0 if pair.fov else np.ones(truth.shape, bool)


def chosen(pairs: list[Pair], predict: Predict, spec: Spec, rule: str, *, tile: bool) -> int:
    """The threshold 1 to 255 by ``rule``, over all pixels inside the fields of view."""
    counts = np.zeros((2, 256), np.int64)
    for pair in pairs:
        frame, truth = read_pair(pair)
        probability = probability_of(frame, predict, spec, tile=tile).max(0)
        levels = probability if probability.dtype == np.uint8 else np.floor(probability * 255 + 0.5).astype(np.uint8)
        inside = field_of_view(pair, truth)
        for value in (0, 1):
            counts[value] += np.bincount(levels[inside & ((truth > 0) == bool(value))], minlength=256)
    false, true = counts[:, ::-1].cumsum(1)[:, ::-1]
    if rule == SENSITIVE:
        return max(1, int(np.flatnonzero(true >= float(rule.split()[1]) * true[0])[-1]))
    merit = 2 * true / (true + false + true[0]) if rule == "max dice" else true - false
    return int(np.argmax(merit[1:])) + 1


def measure(
    pairs: list[Pair], predict: Predict, spec: Spec, thresholds: list[int], change: Change, *, tile: bool
) -> dict[str, dict[str, float]]:
    """Pooled figures "frame" and "fov", with the mean clDice of the images."""
    tallies = {"frame": metrics.Tally(), "fov": metrics.Tally()}
    connected: dict[str, list[float]] = {"frame": [], "fov": []}
    for pair in pairs:
        frame, truth = read_pair(pair)
        probability = probability_of(change(frame), predict, spec, tile=tile)
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
    parser.add_argument(
        "--rule", choices=["max dice", "max accuracy", SENSITIVE], help="another threshold than the model's own"
    )
    parser.add_argument("--only", choices=sorted(CHANGES), help="one line of the table")
    parser.add_argument("--out", type=Path)
    args = parser.parse_args()
    source = open_model(args.model)
    pairs = [pair for one in select([args.data], args.split, "test", source.manifest) for pair in one.pairs]
    rows, rule = {}, args.rule or OWN
    with open_predictor(source, args.backend, args.precision) as predictor:
        thresholds = [one.threshold or 128 for one in source.spec.classes[1:]]
        if args.rule:
            images = [pair for one in select([args.data], "val", "val", source.manifest) for pair in one.pairs]
            thresholds = [chosen(images, predictor.predict, source.spec, args.rule, tile=args.tile)]
        print(f"{source.name}, {predictor.engine}; {len(pairs)} images of {args.split}")
        print(f"threshold {thresholds}/255, {rule}")
        keys = ("auc", "sensitivity", "specificity", "accuracy", "dice", "iou", "cldice")
        print(f"{'':12}{'area':6}" + "".join(f"{key:>13}" for key in keys))
        for name, change in CHANGES.items():
            if args.only in (None, name):
                rows[name] = measure(pairs, predictor.predict, source.spec, thresholds, change, tile=args.tile)
                for area, figures in rows[name].items():
                    print(f"{name:12}{area:6}" + "".join(f"{figures[key]:13.4f}" for key in keys), flush=True)
    if args.out:
        row = {"model": source.name, "engine": predictor.engine, "auc_from": predictor.auc_from, "tile": args.tile}
        training = source.manifest.training.weights_sha256 if source.manifest else ""
        row |= {"weights_sha256": training, "split": args.split, "images": len(pairs)}
        row |= {"thresholds": thresholds, "rule": rule}
        row["provenance"] = provenance(source.manifest)
        rounded = {n: {a: {k: round(v, 5) for k, v in f.items()} for a, f in r.items()} for n, r in rows.items()}
        ending = f"-{args.rule.replace(' ', '-')}" if args.rule else ""
        atomic_write(
            args.out / f"drive-{source.name}{ending}.json", json.dumps(row | {"pooled": rounded}, indent=1) + "\n"
        )


if __name__ == "__main__":
    main()
