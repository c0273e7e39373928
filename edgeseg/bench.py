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

from edgeseg.errors import UsageError
from edgeseg.power import Power


@dataclass(frozen=True)
class Bench:
    """Milliseconds of each iteration.

    ``copies`` says whether frame and result cross to the GPU and back; ``batch`` frames go in one call; ``layers`` is
    the profile, ``watts`` the card's mean power where its driver tells.
    """

    engine: str
    backend: str
    precision: str
    fit_ms: NDArray[np.float64]
    infer_ms: NDArray[np.float64]
    percentiles: Sequence[float]
    copies: bool = True
    cuda_graph: bool = False
    batch: int = 1
    layers: Sequence[tuple[str, float]] = ()
    watts: float | None = None

    def json(self) -> dict[str, Any]:
        latency = {"mean": round(float(self.infer_ms.mean()), 4), "min": round(float(self.infer_ms.min()), 4)}
        latency |= {f"p{p:g}": round(float(np.percentile(self.infer_ms, p)), 4) for p in self.percentiles}
        value: dict[str, Any] = {
            "backend": self.backend,
            "precision": self.precision,
            "engine": self.engine,
            "iterations": len(self.infer_ms),
            "latency_ms": latency,
            "fit_ms": round(float(np.median(self.fit_ms)), 4),
            "includes_copies": self.copies,
            "cuda_graph": self.cuda_graph,
            "batch": self.batch,
            "frames_per_second": round(1e3 * self.batch / float(self.infer_ms.mean()), 2),
        }
        if self.layers:
            value["layers"] = [{"name": name, "ms": round(ms, 5)} for name, ms in self.layers]
        if self.watts is not None:
            value["power_watts"] = round(self.watts, 1)
        return value

    def table(self) -> Table:
        from rich.table import Table

        table = Table("ms", "min", "mean", *(f"p{p:g}" for p in self.percentiles), title_justify="left")
        copies = "copies included" if self.copies else "GPU time without copies"
        frames = "" if self.batch == 1 else f" of {self.batch} frames"
        graph = ", CUDA graph" if self.cuda_graph else ""
        watts = "" if self.watts is None else f", {self.watts:.0f} W"
        table.title = f"{len(self.infer_ms)} iterations{frames}, {copies}{graph}{watts}"
        for name, values in (("fit", self.fit_ms), ("infer", self.infer_ms)):
            cells = [values.min(), values.mean(), *(np.percentile(values, p) for p in self.percentiles)]
            table.add_row(name, *(f"{cell:.3f}" if cell < 1 else f"{cell:.2f}" for cell in cells))
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

    def profile(self) -> Table:
        """Layers with their share, slowest first."""
        from rich.table import Table

        table = Table("layer", "ms", "share", title="profile (each layer waited for: slower than a run)")
        whole = sum(ms for _, ms in self.layers) or 1.0
        for name, ms in sorted(self.layers, key=lambda one: -one[1]):
            table.add_row(name, f"{ms:.4f}", f"{ms / whole:.1%}")
        return table


@dataclass(frozen=True)
class Run:
    """How long and how: trtexec's options.

    Attributes:
        warm_up_ms: run before measuring.
        duration_s: measure at least so long,
        iterations: and at least so often.
        percentiles: of the latency.
        batch: frames a call.
        copies: False for the engine's GPU time alone.
        layers: profile layers afterwards.
    """

    warm_up_ms: float = 200.0
    duration_s: float = 3.0
    iterations: int = 10
    percentiles: Sequence[float] = (50, 95, 99)
    batch: int = 1
    copies: bool = True
    layers: bool = False


def bench(model: Model, how: Run) -> Bench:
    """Runs noise through the model, as long as trtexec would.

    One frame of 1080p goes through the call that `infer` makes (fit, then the engine). Batches, and GPU time without
    copies, go to the engine directly.

    Args:
        model: loaded.
        how: long, and what is measured.

    Raises:
        UsageError: GPU time or layers of an engine that does not tell them.
    """
    from edgeseg.backends.tensorrt import TensorRtEngine

    engine = model.runner
    on_gpu = isinstance(engine, TensorRtEngine)
    if not on_gpu and (not how.copies or how.layers):
        raise UsageError(
            "--noDataTransfers and --dumpProfile are for engines on a GPU (--backend tensorrt), "
            f"not {model.engine.backend}"
        )
    rng = np.random.default_rng(0)
    size = model.engine.camera or (1080, 1920)
    frame = rng.integers(0, 256, (*size, 3), np.uint8)
    placement = model.place(frame)
    frames = rng.integers(0, 256, (how.batch, *engine.shape[1:]), np.uint8)

    def once() -> tuple[float, float]:
        if not how.copies and isinstance(engine, TensorRtEngine):
            return 0.0, engine.gpu_ms(frames, copies=False)
        if how.batch == 1:
            latency = model(frame, placement).latency_ms
            return latency["fit"], latency["infer"]
        start = time.perf_counter()
        engine.run(frames)
        return 0.0, (time.perf_counter() - start) * 1e3

    until = time.perf_counter() + how.warm_up_ms / 1e3
    while time.perf_counter() < until:
        once()
    times: list[tuple[float, float]] = []
    with Power(engine.card.bus_id if isinstance(engine, TensorRtEngine) else "") as power:
        until = time.perf_counter() + how.duration_s
        while time.perf_counter() < until or len(times) < how.iterations:
            times.append(once())
    fits, infers = np.asarray(times).T
    layers = engine.layer_ms(frames) if how.layers and isinstance(engine, TensorRtEngine) else ()
    info = model.engine
    graph = isinstance(engine, TensorRtEngine) and engine.uses_cuda_graph and how.copies
    return Bench(
        str(info), info.backend, info.precision, fits, infers, how.percentiles, how.copies, graph, how.batch, layers,
        power.watts,
    )  # fmt: skip
