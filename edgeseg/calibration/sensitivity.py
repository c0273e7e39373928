"""Which layers cost most in INT8: each alone in INT8, all others in float, on a fixed set of frames."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import onnx
import onnx_ir as ir

from edgeseg import manifest as mf
from edgeseg.atomic import atomic_write
from edgeseg.backends import int8_form
from edgeseg.backends.base import EngineOptions
from edgeseg.backends.openvino import OpenVinoEngine
from edgeseg.bundle import Spec
from edgeseg.cache import cache_home
from edgeseg.calibration import table as tables
from edgeseg.calibration.table import Table
from edgeseg.data.dataset import Pair
from edgeseg.errors import OutputError
from edgeseg.evaluate import evaluate
from edgeseg.export import forms
from edgeseg.export.layers import layers
from edgeseg.export.parity import snr_db

FRAMES = 16


@dataclass(frozen=True)
class Cost:
    """What INT8 in one layer costs.

    Attributes:
        layer: its name.
        difference: mean absolute difference in probability, 0 to 1.
        snr_db: of the probability to float.
        dice_drop: mean Dice of float minus Dice with this layer in INT8.
    """

    layer: str
    difference: float
    snr_db: float
    dice_drop: float


def layer_names(graph: bytes) -> list[str]:
    """The layers INT8 is meant for, in graph order."""
    return [one.name for one in layers(ir.from_proto(onnx.load_from_string(graph)))]


def subset(pairs: Sequence[Pair]) -> list[Pair]:
    """Up to ``FRAMES`` frames, evenly picked."""
    picks = np.linspace(0, len(pairs) - 1, min(FRAMES, len(pairs))).round().astype(int)
    return [pairs[int(index)] for index in picks]


def rank(
    graph: bytes,
    table: Table,
    pairs: Sequence[Pair],
    spec: Spec | mf.Manifest,
    *,
    each: Callable[[], None] = lambda: None,
    cache: bool = True,
) -> list[Cost]:
    """The layers, costliest first (by difference in probability: Dice on few frames is too coarse to rank by).

    One pass a layer on OpenVINO. The ranking is kept in the user's cache folder under the hash of
    everything it depends on.

    Args:
        graph: the float frame graph.
        table: of this graph.
        pairs: labelled frames, from :func:`subset`.
        spec: of the model.
        each: called after each layer.
        cache: look in the cache first, and write it.
    """
    names = layer_names(graph)
    file = _cache_file(graph, table, pairs) if cache else None
    kept = _cached(file) if file else None
    if kept is not None:
        return kept
    thresholds = [one.threshold or 128 for one in spec.classes[1:]]

    def run(data: bytes) -> tuple[np.ndarray[tuple[int, ...], np.dtype[np.uint8]], list[float]]:
        engine = OpenVinoEngine(data, EngineOptions())
        seen: list[np.ndarray[tuple[int, ...], np.dtype[np.uint8]]] = []

        def predict(
            frame: np.ndarray[tuple[int, ...], np.dtype[np.uint8]],
        ) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
            seen.append(engine.run(frame[None])[0])
            return seen[-1]

        try:
            tally = evaluate(pairs, predict, spec, thresholds)
        finally:
            engine.close()
        return np.stack(seen), [one.figures["dice"] or 0.0 for one in tally.images]

    wanted, float_dice = run(graph)
    costs = []
    for name in names:
        alone = forms.emit(int8_form(), graph, table, [other for other in names if other != name], alone=True)
        got, dice = run(alone.data)
        difference = float(np.abs(got.astype(np.float64) - wanted).mean() / 255)
        costs.append(Cost(name, difference, snr_db(got, wanted), float(np.mean(np.subtract(float_dice, dice)))))
        each()
    costs.sort(key=lambda one: (-one.difference, one.layer))
    if file:
        _keep(file, costs)
    return costs


def _cache_file(graph: bytes, table: Table, pairs: Sequence[Pair]) -> Path:
    import openvino

    files = [(one.image.read_bytes(), b"" if one.mask is None else one.mask.read_bytes()) for one in pairs]
    frames = "".join(mf.sha256(image) + mf.sha256(mask) for image, mask in files)
    # The emitted graph stands for the emitters: what they write changes with edgeseg.
    emitted = mf.sha256(forms.emit(int8_form(), graph, table).data)
    parts = [mf.sha256(graph), mf.sha256(tables.dump(table)), int8_form(), emitted, frames, openvino.__version__]
    return cache_home() / "sensitivity" / f"{mf.sha256(' '.join(parts).encode())}.json"


def _cached(file: Path) -> list[Cost] | None:
    try:
        return [Cost(**row) for row in json.loads(file.read_text())]
    except (OSError, ValueError, TypeError):
        return None


def _keep(file: Path, costs: list[Cost]) -> None:
    try:
        atomic_write(file, json.dumps([asdict(one) for one in costs], indent=1))
    except OutputError:
        return  # a cache that cannot be written costs time, nothing else
