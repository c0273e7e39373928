"""`edgeseg bench`: latency of a model through the very call that `infer` makes."""

from __future__ import annotations

import csv
import io
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray
    from rich.table import Table

    from edgeseg.model import Model


@dataclass(frozen=True)
class Bench:
    """Milliseconds of each iteration."""

    engine: str
    backend: str
    precision: str
    fit_ms: NDArray[np.float64]
    infer_ms: NDArray[np.float64]
    percentiles: Sequence[float]

    def json(self) -> dict[str, Any]:
        latency = {"mean": round(float(self.infer_ms.mean()), 4), "min": round(float(self.infer_ms.min()), 4)}
        latency |= {f"p{p:g}": round(float(np.percentile(self.infer_ms, p)), 4) for p in self.percentiles}
        return {
            "backend": self.backend,
            "precision": self.precision,
            "engine": self.engine,
            "iterations": len(self.infer_ms),
            "latency_ms": latency,
            "fit_ms": round(float(np.median(self.fit_ms)), 4),
            "includes_copies": True,
            "cuda_graph": False,
        }

    def table(self) -> Table:
        from rich.table import Table

        table = Table("ms", "min", "mean", *(f"p{p:g}" for p in self.percentiles), title_justify="left")
        table.title = f"{len(self.infer_ms)} iterations, copies included"
        for name, values in (("fit", self.fit_ms), ("infer", self.infer_ms)):
            cells = [values.min(), values.mean(), *(np.percentile(values, p) for p in self.percentiles)]
            table.add_row(name, *(f"{cell:.2f}" for cell in cells))
        table.caption, table.caption_justify = self.engine, "left"
        return table

    def export_times(self) -> str:
        """Every iteration as CSV."""
        text = io.StringIO()
        writer = csv.writer(text)
        writer.writerow(["iteration", "fit_ms", "infer_ms"])
        writer.writerows(
            [i, f"{a:.4f}", f"{b:.4f}"] for i, (a, b) in enumerate(zip(self.fit_ms, self.infer_ms, strict=True))
        )
        return text.getvalue()


def bench(
    model: Model,
    *,
    warm_up_ms: float = 200.0,
    duration_s: float = 3.0,
    iterations: int = 10,
    percentiles: Sequence[float],
) -> Bench:
    """Runs a noise frame of 1080p through the model, as long as trtexec would.

    Args:
        model: loaded.
        warm_up_ms: run before measuring.
        duration_s: measure at least so long,
        iterations: and at least so often.
        percentiles: of the latency.
    """
    frame = np.random.default_rng(0).integers(0, 256, (1080, 1920, 3), np.uint8)
    placement = model.place(frame)
    until = time.perf_counter() + warm_up_ms / 1e3
    while time.perf_counter() < until:
        model(frame, placement)
    fits: list[float] = []
    infers: list[float] = []
    until = time.perf_counter() + duration_s
    while time.perf_counter() < until or len(fits) < iterations:
        latency = model(frame, placement).latency_ms
        fits.append(latency["fit"])
        infers.append(latency["infer"])
    info = model.engine
    return Bench(str(info), info.backend, info.precision, np.asarray(fits), np.asarray(infers), percentiles)
