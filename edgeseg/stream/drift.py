"""Whether a stream still looks like the frames the network was trained on.

The population stability index (PSI) compares the grey histogram of the last minutes with that of the training frames:
Σ (p − q)·ln(p / q) over 16 bins. The manifest's ``psi_warn`` is where a warning begins; docs/viewer.md has what was
measured on real data.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgeseg.manifest import InputStatistics

BINS = 16
# One frame in EVERY is looked at (a second at 25 frames a second); the window holds WINDOW of those, ten minutes. Short
# windows warn of every single scene: of 29 real sequences, 24 are above 0.2 alone, though the data set is at 0.15.
EVERY, WINDOW = 25, 600
# The first report comes after ENOUGH of them (five minutes), then one every REPORT (ten seconds).
ENOUGH, REPORT = 300, 10
# An empty bin counts as this share, or its logarithm would be infinite.
FLOOR = 1e-4
# A warning ends below this share of its threshold, so that it does not flicker.
RELEASE = 0.8


@dataclass(frozen=True)
class DriftReport:
    """The window against the training frames.

    Attributes:
        psi: population stability index of the grey histogram; 0 is equal.
        warning: whether psi is above the manifest's threshold.
        changed: whether ``warning`` is another than in the report before.
        mean: grey levels of B, G, R over the window.
        std: mean over the window's frames of their standard deviations, B, G, R.
        frames: in the window.
        reason: the warning as a few words; empty without.
    """

    psi: float
    warning: bool
    changed: bool
    mean: tuple[float, float, float]
    std: tuple[float, float, float]
    frames: int
    reason: str

    def row(self) -> dict[str, Any]:
        """The fields that a ``drift`` row of the events has beside those of every row."""
        return {
            "psi": round(self.psi, 4),
            "warning": self.warning,
            "mean": [round(value, 2) for value in self.mean],
            "std": [round(value, 2) for value in self.std],
            "frames": self.frames,
            "reason": self.reason,
        }


def histogram(fitted: NDArray[np.uint8]) -> NDArray[np.float64]:
    """Grey levels (mean of B, G, R) of a fitted frame uint8 [h, w, 3] in 16 bins that sum to 1, as training counts."""
    blue, green, red = (plane.astype(np.uint16) for plane in cv2.split(fitted))
    grey = ((blue + green + red) // 3).astype(np.uint8)
    counts = cv2.calcHist([grey], [0], None, [BINS], [0, 256]).ravel()
    return counts.astype(np.float64) / grey.size


def psi(seen: NDArray[np.float64], expected: NDArray[np.float64]) -> float:
    """Population stability index of two histograms that sum to 1."""
    p, q = np.maximum(seen, FLOOR), np.maximum(expected, FLOOR)
    return float(np.sum((p - q) * np.log(p / q)))


class Drift:
    """A sliding window in constant memory; one for each stream.

    Args:
        spec: the manifest's ``input_statistics``.
    """

    def __init__(self, spec: InputStatistics) -> None:
        self._expected = np.asarray(spec.histogram, np.float64)
        self._limit, self._trained = spec.psi_warn, np.asarray(spec.mean, np.float64)
        self._rows = np.zeros((WINDOW, BINS + 6))
        self._given = self._taken = 0
        self._warning = False

    @property
    def due(self) -> bool:
        """Whether the next frame is looked at; the others need not be fitted."""
        return self._given % EVERY == 0

    def update(self, fitted: NDArray[np.uint8] | None) -> DriftReport | None:
        """Counts a frame and, if it is ``due``, takes it.

        Args:
            fitted: uint8 [h, w, 3]; may be None where the frame is not due.

        Returns:
            A report every 10 s at 25 frames a second, None between.
        """
        due = self.due
        self._given += 1
        if not due or fitted is None:
            return None
        mean, std = cv2.meanStdDev(fitted)
        self._rows[self._taken % WINDOW] = np.concatenate([histogram(fitted), mean.ravel(), std.ravel()])
        self._taken += 1
        if self._taken < ENOUGH or self._taken % REPORT:
            return None
        return self._report()

    def _report(self) -> DriftReport:
        frames = min(self._taken, WINDOW)
        row = self._rows[:frames].mean(0)
        value = psi(row[:BINS], self._expected)
        before = self._warning
        self._warning = value >= self._limit * (RELEASE if before else 1.0)
        mean, std = row[BINS : BINS + 3], row[BINS + 3 :]
        reason = ""
        if self._warning:
            shift = float(mean.mean() - self._trained.mean())
            reason = f"unlike the training frames: PSI {value:.2f}, {abs(shift):.0f} grey levels "
            reason += "brighter" if shift > 0 else "darker"
        return DriftReport(value, self._warning, self._warning != before, _triple(mean), _triple(std), frames, reason)

    def reset(self) -> None:
        """Forgets the window, as after a change of size or source."""
        self._given = self._taken = 0


def _triple(values: NDArray[np.float64]) -> tuple[float, float, float]:
    return float(values[0]), float(values[1]), float(values[2])
