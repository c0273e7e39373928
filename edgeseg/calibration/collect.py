"""Runs the float frame graph over calibration frames and records what every activation does.

The graph is the one that the device runs, preprocessing included, in ONNX Runtime with
optimisations off. Histograms are kept while frames stream through: a histogram's limit is a power
of two and doubles (neighbouring bins are merged) when a frame exceeds it, so one pass is enough
and the order of frames does not matter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

import cv2
import numpy as np
import onnx
import onnx_ir as ir
from numpy.typing import NDArray

from edgeseg.calibration.methods import threshold
from edgeseg.calibration.table import BINS, Tensor
from edgeseg.errors import DataError
from edgeseg.export.layers import activations, never_negative

Image = NDArray[np.uint8]


@dataclass
class Histogram:
    """Of one tensor: |x| in ``BINS`` equal bins over [0, limit], the ends, and the mean per channel."""

    signed: bool
    limit: float = 0.0
    counts: NDArray[np.int64] = field(default_factory=lambda: np.zeros(BINS, np.int64))
    low: float = np.inf
    high: float = -np.inf
    frames: int = 0
    means: NDArray[np.float64] | None = None

    def add(self, values: NDArray[np.float32]) -> None:
        """Adds one frame's values, finite, [N, C, …]."""
        low, high = float(values.min()), float(values.max())
        self.low, self.high = min(self.low, low), max(self.high, high)
        self._grow(max(abs(low), abs(high)))
        flat = np.ascontiguousarray(values.reshape(1, -1))
        flat = np.abs(flat) if self.signed else flat
        # calcHist leaves the upper end out; counts of one frame fit float32 exactly (under 2^24 a bin).
        counts = cv2.calcHist([flat], [0], None, [BINS], [0.0, float(np.nextafter(np.float32(self.limit), np.inf))])
        self.counts += counts.ravel().astype(np.int64)
        # Attention makes [N, pixels, C] of maps: no layer with a bias reads them; a mean a pixel fills megabytes.
        if values.ndim != 3:
            axes = (0, *range(2, values.ndim))
            mean = values.mean(axis=axes, dtype=np.float64) if values.ndim > 1 else values.astype(float)
            self.means = mean if self.means is None else self.means + mean
        self.frames += 1

    def _grow(self, largest: float) -> None:
        if self.limit == 0.0:
            self.limit = float(2.0 ** np.ceil(np.log2(max(largest, 2.0**-40))))
        while largest > self.limit:
            merged = self.counts.reshape(-1, 2).sum(1)
            self.counts = np.concatenate((merged, np.zeros(BINS // 2, np.int64)))
            self.limit *= 2

    def tensor(self, name: str, method: str, means: list[float] | None = None) -> Tensor:
        """As the table keeps it; ``means`` where they are known already."""
        largest = max(abs(self.low), abs(self.high))
        top = threshold(method, self.counts, self.limit / BINS, largest, signed=self.signed)
        last = int(np.flatnonzero(self.counts)[-1]) + 1 if self.counts.any() else 0
        if means is None:
            means = [] if self.means is None else [round(value, 9) for value in (self.means / self.frames).tolist()]
        return Tensor(
            name=name,
            signed=self.signed,
            low=self.low,
            high=self.high,
            range=[-top if self.signed else 0.0, top],
            limit=self.limit,
            histogram=self.counts[:last].tolist(),
            channel_mean=means,
        )


def collect(
    graph: bytes, frames: Iterable[tuple[str, Image]], *, each: Callable[[], None] = lambda: None
) -> dict[str, Histogram]:
    """Histograms of every activation.

    Args:
        graph: the float frame graph.
        frames: name and fitted frame uint8 [h, w, 3].
        each: called after each frame.

    Raises:
        DataError: an activation is not a finite number.
    """
    import onnxruntime as ort

    model = onnx.load_from_string(graph)
    recorded = activations(ir.from_proto(model))
    signed = {value.name: not never_negative(value) for value in recorded}
    names = [value.name or "" for value in recorded]
    known = {output.name for output in model.graph.output}
    model.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names if name not in known)
    settings = ort.SessionOptions()
    settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    settings.log_severity_level = 4
    session = ort.InferenceSession(model.SerializeToString(), settings, providers=["CPUExecutionProvider"])
    out = {name: Histogram(signed[name]) for name in names}
    for frame_name, frame in frames:
        for name, values in zip(names, session.run(names, {"frame": frame[None]}), strict=True):
            if not np.isfinite(values).all():
                raise DataError(
                    f"{frame_name}: tensor {name} is not finite on this frame; the weights are broken, train again"
                )
            out[name].add(values)
        each()
    return out


def tensors(histograms: dict[str, Histogram], method: str) -> list[Tensor]:
    """The table's rows, with ranges chosen by a method."""
    return [one.tensor(name, method) for name, one in histograms.items()]


def from_table(row: Tensor) -> Histogram:
    """The histogram of a table's row, for another method."""
    counts = np.zeros(BINS, np.int64)
    counts[: len(row.histogram)] = row.histogram
    return Histogram(row.signed, row.limit, counts, row.low, row.high)
