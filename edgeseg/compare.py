"""Two bundles over one recording: how their masks differ, how each flickers, how long each takes."""

from __future__ import annotations

import heapq
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg.atomic import atomic_folder
from edgeseg.errors import ModelError
from edgeseg.pictures import write_png
from edgeseg.stream.overlay import Overlay
from edgeseg.stream.smoothing import Smoothing
from edgeseg.stream.summary import PERCENTILES, Latency

if TYPE_CHECKING:
    from edgeseg.model import Model, Result
    from edgeseg.stream.frame import StreamFrame
    from edgeseg.stream.sources.base import FrameSource

Mask = NDArray[np.uint8]
# Pictures of the frames on which the two differ most.
WORST = 8


def dice(one: Mask, other: Mask) -> float:
    """Of two uint8 [H, W] of class indexes: mean over the classes that either holds; 1 where both are empty."""
    if not cv2.countNonZero(one) and not cv2.countNonZero(other):
        return 1.0
    out = []
    for index in range(1, max(int(one.max()), int(other.max())) + 1):
        a, b = one == index, other == index
        total = int(a.sum()) + int(b.sum())
        if total:
            out.append(2 * int((a & b).sum()) / total)
    return float(np.mean(out))


@dataclass
class Side:
    """One of the two: ``flicker`` is 1 − Dice of each mask to the one before, smoothed as `infer` shows it.

    Stills, each another picture, do not flicker.
    """

    model: Model
    stills: bool = False
    latency: Latency = field(default_factory=Latency)
    flicker: list[float] = field(default_factory=list)
    _last: Mask | None = None
    _placement: Any = None

    def __post_init__(self) -> None:
        self._smooth = Smoothing(0.0 if self.stills else self.model.spec.output.smoothing)

    def segment(self, frame: StreamFrame) -> Result:
        size = frame.image.shape[:2]
        # Held on video, found anew in each still: as in `infer`.
        if self._placement is None or self.stills or self._placement.frame != size:
            self._placement = self.model.place(frame.image)
            self._last = None
        result = self._smooth.apply(frame, self.model(frame.image, self._placement))
        if self._last is not None:
            self.flicker.append(1 - dice(self._last, result.mask))
        self._last = result.mask
        self.latency.add(sum(result.latency_ms.values()))
        return result

    def mean_flicker(self) -> float | None:
        """None where no mask has one before it."""
        return round(float(np.mean(self.flicker)), 5) if self.flicker else None


@dataclass
class Comparison:
    """What :func:`compare` found; ``dice`` holds a value a frame, masks of A against those of B."""

    a: Side
    b: Side
    dice: list[float] = field(default_factory=list)
    worst: list[tuple[float, int, Mask]] = field(default_factory=list)

    def json(self) -> dict[str, Any]:
        def latency(side: Side) -> dict[str, float]:
            return {f"p{p}": round(side.latency.percentile(p), 3) for p in PERCENTILES}

        return {
            "frames": len(self.dice),
            "dice_mean": round(float(np.mean(self.dice)), 5),
            "dice_min": round(min(self.dice), 5),
            "flicker": {"a": self.a.mean_flicker(), "b": self.b.mean_flicker()},
            "latency_ms": {"a": latency(self.a), "b": latency(self.b)},
        }


def compare(a: Model, b: Model, source: FrameSource, on_frame: Callable[[], None] = lambda: None) -> Comparison:
    """Runs both over every frame of a recording, which is closed.

    Raises:
        ModelError: their classes differ.
        InputError: the recording is damaged.
    """
    try:
        if a.class_names != b.class_names:
            raise ModelError(f"their classes differ: {', '.join(a.class_names)} against {', '.join(b.class_names)}")
        out = Comparison(Side(a, source.stills), Side(b, source.stills))
        for frame in source:
            one, other = out.a.segment(frame), out.b.segment(frame)
            value = dice(one.mask, other.mask)
            out.dice.append(value)
            if len(out.worst) < WORST or value < -out.worst[0][0]:
                _remember(out, -value, frame, one, other)
            on_frame()
    finally:
        source.close()
    return out


def _remember(out: Comparison, badness: float, frame: StreamFrame, one: Result, other: Result) -> None:
    pictures = [Overlay(side.model.spec.classes).draw(frame, result) for side, result in ((out.a, one), (out.b, other))]
    item = (badness, -frame.sequence, np.hstack(pictures))
    if len(out.worst) < WORST:
        heapq.heappush(out.worst, item)
    else:
        heapq.heapreplace(out.worst, item)


def is_ours(path: Path) -> bool:
    """Whether a file is called as :func:`write_worst` calls its own, which it replaces."""
    return re.fullmatch(r"\d\d-frame-\d{6,}-dice-[\d.]+\.png", path.name) is not None and path.is_file()


def write_worst(found: Comparison, folder: Path) -> list[Path]:
    """The frames that differ most, A on the left and B on the right, worst first.

    Raises:
        OutputError: the disk refused.
    """
    with atomic_folder(folder) as place:
        names = []
        for rank, (badness, sequence, picture) in enumerate(sorted(found.worst, key=lambda one: -one[0]), 1):
            names.append(f"{rank:02d}-frame-{-sequence:06d}-dice-{-badness:.3f}.png")
            write_png(place / names[-1], picture)
    return [folder / name for name in names]
