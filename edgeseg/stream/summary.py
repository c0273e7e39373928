"""What a run says at the end: frames, speed, and percentiles per stage, in constant memory."""

from __future__ import annotations

import math
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from rich.table import Table

PERCENTILES = (50, 95, 99)
# Bins of 1 % width from 1 µs to 1,000 s: a working day of frames takes no more memory than a second of them.
_FIRST_MS, _GROWTH = 1e-3, math.log(1.01)
_BINS = math.ceil(math.log(1e6 / _FIRST_MS) / _GROWTH) + 1


class Latency:
    """Milliseconds in bins of 1 % width."""

    def __init__(self) -> None:
        self.bins = np.zeros(_BINS, np.int64)
        self.count = 0

    def add(self, milliseconds: float) -> None:
        index = int(math.log(max(milliseconds, _FIRST_MS) / _FIRST_MS) / _GROWTH)
        self.bins[min(index, _BINS - 1)] += 1
        self.count += 1

    def percentile(self, percent: float) -> float:
        """Middle of the bin that the percentile falls in; 0 if empty."""
        if not self.count:
            return 0.0
        rank = max(1, math.ceil(self.count * percent / 100))
        index = int(np.searchsorted(np.cumsum(self.bins), rank))
        return float(_FIRST_MS * math.exp((index + 0.5) * _GROWTH))

    def since(self, before: Latency | None) -> Latency:
        """What came after ``before``, an earlier copy of this one; with None a copy."""
        out = Latency()
        out.bins = self.bins - (before.bins if before else 0)
        out.count = self.count - (before.count if before else 0)
        return out

    @property
    def p50(self) -> float:
        return self.percentile(50)

    @property
    def p95(self) -> float:
        return self.percentile(95)

    @property
    def p99(self) -> float:
        return self.percentile(99)


@dataclass
class Summary:
    """Of one stream: ``stages`` by name, milliseconds; ``dropped`` frames; ``states`` frames per signal state.

    ``notes`` are about the source. Live streams also: ``damaged`` frames or packets, ``connections`` made, ``restarts``
    of the capture process, ``violations`` of the latency limit, frames that each slow sink lost.
    """

    stream: str = ""
    engine: str = ""
    frames: int = 0
    dropped: int = 0
    with_target: int = 0
    states: Counter[str] = field(default_factory=Counter)
    stages: dict[str, Latency] = field(default_factory=dict)
    seconds: float = 0.0
    warning: str = ""
    damaged: int = 0
    connections: int = 0
    restarts: int = 0
    violations: int = 0
    notes: list[str] = field(default_factory=list)
    sink_drops: dict[str, int] = field(default_factory=dict)
    _began: float = field(default_factory=time.perf_counter, repr=False)

    def add(self, stage: str, milliseconds: float) -> None:
        if stage not in self.stages:
            self.stages[stage] = Latency()
        self.stages[stage].add(milliseconds)

    def begin(self) -> None:
        self._began = time.perf_counter()

    def end(self) -> None:
        self.seconds = time.perf_counter() - self._began

    @property
    def fps(self) -> float:
        return self.frames / self.seconds if self.seconds else 0.0

    def json(self) -> dict[str, Any]:
        out: dict[str, Any] = {
            "stream": self.stream,
            "engine": self.engine,
            "frames": self.frames,
            "fps": round(self.fps, 2),
            "seconds": round(self.seconds, 3),
            "dropped": self.dropped,
            "states": dict(self.states),
            "stages": {
                name: {f"p{p}": round(latency.percentile(p), 3) for p in PERCENTILES}
                for name, latency in self.stages.items()
            },
        }
        if self.connections:
            out |= {
                "connections": self.connections,
                "restarts": self.restarts,
                "damaged": self.damaged,
                "violations": self.violations,
                "sink_drops": self.sink_drops,
                "notes": self.notes,
            }
        elif self.notes:
            out["notes"] = self.notes
        return out | ({"warning": self.warning} if self.warning else {})

    def table(self) -> Table:
        from rich.table import Table

        table = Table(
            "stage (ms)",
            *(f"p{p}" for p in PERCENTILES),
            title=f"{self.stream}: {self.frames} frames at {self.fps:.1f} fps",
            title_justify="left",
        )
        for name, latency in self.stages.items():
            table.add_row(name, *(f"{latency.percentile(p):.2f}" for p in PERCENTILES))
        table.caption = "\n".join([self.engine, *self._remarks()])
        table.caption_justify = "left"
        return table

    def _remarks(self) -> list[str]:
        """What a live stream went through, where there is anything to say."""
        out = list(self.notes)
        if self.connections:
            states = ", ".join(f"{name} {count}" for name, count in self.states.most_common())
            out.append(f"states: {states or 'none'}; {self.dropped} frames overtaken by newer ones")
        for count, text in (
            (self.damaged, "damaged frames or packets"),
            (self.connections - 1, "reconnections"),
            (self.restarts, "restarts of the capture process"),
            (self.violations, "masks later than --max-latency-ms"),
        ):
            if count > 0:
                out.append(f"{count} {text}")
        out += [f"{name}: {count} frames lost, too slow" for name, count in self.sink_drops.items()]
        if self.connections and self.warning:  # a recording's ends the command with a sentence
            out.append(self.warning)
        return out
