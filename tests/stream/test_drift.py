"""Drift: the histogram training counts, a window of constant size, a warning that does not flicker."""

from __future__ import annotations

import json

import numpy as np
import pytest

from edgeseg.manifest import InputStatistics
from edgeseg.stream.drift import ENOUGH, EVERY, REPORT, WINDOW, Drift, DriftReport, histogram, psi

RNG = np.random.default_rng(0)


def frames(mean: float, number: int = 30) -> list[np.ndarray]:
    return [RNG.normal(mean, 40, (48, 64, 3)).clip(0, 255).astype(np.uint8) for _ in range(number)]


def statistics(of: list[np.ndarray], psi_warn: float = 0.2) -> InputStatistics:
    grey = np.mean([histogram(one) for one in of], 0)
    mean = np.mean([one.mean((0, 1)) for one in of], 0).tolist()
    triple = [1.0, 1.0, 1.0]
    return InputStatistics(
        split="train",
        frames=len(of),
        mean=mean,
        mean_sd=triple,
        std=triple,
        std_sd=triple,
        histogram=grey.tolist(),
        psi_warn=psi_warn,
    )


def reports(drift: Drift, of: list[np.ndarray], number: int) -> list[DriftReport]:
    found = (drift.update(of[index % len(of)]) for index in range(number))
    return [one for one in found if one is not None]


def test_histogram_is_that_of_training() -> None:
    frame = RNG.integers(0, 256, (37, 53, 3), np.uint8)
    grey = frame.astype(int).sum(2) // 3
    expected = np.bincount((grey // 16).ravel(), minlength=16) / grey.size
    assert np.allclose(histogram(frame), expected)


def test_psi() -> None:
    p, q = np.array([0.5, 0.5]), np.array([0.25, 0.75])
    assert psi(p, p) == 0
    assert psi(p, q) == pytest.approx(0.25 * np.log(2) - 0.25 * np.log(2 / 3))
    assert np.isfinite(psi(np.array([1.0, 0.0]), np.array([0.0, 1.0])))


def test_alike_is_quiet_unlike_warns_and_recovers() -> None:
    drift = Drift(statistics(frames(110)))
    first = reports(drift, frames(110), EVERY * ENOUGH)
    assert [(one.warning, one.changed, one.reason, one.frames) for one in first] == [(False, False, "", ENOUGH)]
    assert first[0].psi < 0.05
    dark = reports(drift, frames(60), EVERY * WINDOW)
    assert [one.changed for one in dark].count(True) == 1
    assert dark[-1].warning
    assert dark[-1].frames == WINDOW
    assert dark[-1].reason.endswith(" 49 grey levels darker")
    assert dark[-1].mean[0] == pytest.approx(61, abs=2)
    back = reports(drift, frames(110), EVERY * WINDOW)
    assert [one.changed for one in back].count(True) == 1
    assert not back[-1].warning
    assert json.loads(json.dumps(back[-1].row()))["frames"] == WINDOW


def test_constant_memory_and_pace() -> None:
    drift = Drift(statistics(frames(110)))
    size = drift._rows.nbytes
    number = len(reports(drift, frames(110, 5), EVERY * (WINDOW + 100)))
    assert number == (WINDOW + 100 - ENOUGH) // REPORT + 1
    assert drift._rows.nbytes == size < 128 * 1024
    drift.reset()
    assert reports(drift, frames(110, 5), EVERY * (ENOUGH - 1)) == []
