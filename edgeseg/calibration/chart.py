"""The sensitivity ranking as a bar chart."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path

from edgeseg.atomic import atomic_write
from edgeseg.calibration.sensitivity import Cost


def write(costs: Sequence[Cost], name: str, file: Path) -> None:
    """A PNG with the costliest layer on top.

    Raises:
        OutputError: the disk.
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=(8, 1.2 + 0.28 * len(costs)), layout="constrained")
    axes = figure.subplots()
    names = [one.layer for one in reversed(costs)]
    bars = axes.barh(names, [100 * one.difference for one in reversed(costs)], color="#3b7ddd", height=0.7)
    axes.bar_label(bars, [f"{one.snr_db:.0f} dB" for one in reversed(costs)], padding=3, fontsize=8, color="#555555")
    axes.set_xlabel("mean difference in probability with only this layer in INT8 (%)")
    axes.set_title(f"{name}: what INT8 costs, layer by layer", loc="left")
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.12)
    buffer = io.BytesIO()
    figure.savefig(buffer, format="png", dpi=130, metadata={"Software": None})
    atomic_write(file, buffer.getvalue())
