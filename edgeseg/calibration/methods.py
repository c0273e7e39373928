"""Histogram → threshold: how much of a tensor's range INT8 keeps, and what it clips.

All methods look at |x|; a tensor that can be negative gets a symmetric range. 255 steps serve a
tensor that is never negative (uint8), 127 a signed one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from edgeseg.errors import UsageError

METHODS = ("minmax", "percentile", "entropy", "mse")
PERCENTILE = 0.9999
_CANDIDATES = 160
_LEAST = 0.05

Counts = NDArray[np.int64]


def threshold(method: str, counts: Counts, width: float, largest: float, *, signed: bool) -> float:
    """The greatest |x| that INT8 represents.

    Args:
        method: of ``METHODS``.
        counts: histogram of |x| in equal bins that begin at 0.
        width: of a bin.
        largest: greatest |x| seen.
        signed: 127 steps instead of 255.

    Raises:
        UsageError: no such method.
    """
    if method not in METHODS:
        raise UsageError(f"no method {method!r}; there are {', '.join(METHODS)}")
    if largest <= 0 or not counts.any():
        return max(largest, 1e-6)
    steps = 127 if signed else 255
    match method:
        case "percentile":
            chosen = _percentile(counts, width)
        case "entropy":
            chosen = _entropy(counts, width, steps)
        case "mse":
            chosen = _mse(counts, width, steps)
        case _:
            chosen = largest
    return float(min(chosen, largest))


def _percentile(counts: Counts, width: float) -> float:
    share = np.cumsum(counts) / counts.sum()
    return float((np.searchsorted(share, PERCENTILE) + 1) * width)


def _mse(counts: Counts, width: float, steps: int) -> float:
    """The threshold with the least mean squared rounding and clipping error."""
    centres = (np.arange(counts.size) + 0.5) * width
    top = (np.flatnonzero(counts)[-1] + 1) * width
    candidates = np.linspace(_LEAST, 1.0, _CANDIDATES) * top
    errors = []
    for candidate in candidates:
        step = candidate / steps
        kept = np.minimum(np.rint(centres / step), steps) * step
        errors.append(float(np.dot(counts, np.square(centres - kept))))
    return float(candidates[int(np.argmin(errors))])


def _entropy(counts: Counts, width: float, steps: int) -> float:
    """The threshold with the least Kullback-Leibler divergence (Migacz, GTC 2017).

    The spike at zero is left out: zero is represented exactly whatever the threshold, and on ReLU
    outputs it would drown everything else.
    """
    histogram = counts.astype(np.float64)
    histogram[0] = histogram[1] if histogram.size > 1 else histogram[0]
    last = int(np.flatnonzero(histogram)[-1]) + 1
    levels = steps + 1
    if last <= levels:
        return last * width
    best, chosen = np.inf, last
    for stop in sorted({*range(levels, last, max(1, (last - levels) // _CANDIDATES)), last}):
        reference = histogram[:stop].copy()
        reference[-1] += histogram[stop:].sum()
        divergence = _divergence(reference, _requantised(histogram[:stop], levels))
        if divergence <= best:
            best, chosen = divergence, stop
    return (chosen + 0.5) * width


def _requantised(histogram: NDArray[np.float64], levels: int) -> NDArray[np.float64]:
    """The histogram after its bins were merged into ``levels`` and spread over the non-empty ones again."""
    edges = np.arange(histogram.size) * levels // histogram.size
    filled = histogram > 0
    total = np.bincount(edges, histogram, levels)
    number = np.bincount(edges, filled, levels)
    share = np.divide(total, number, out=np.zeros(levels), where=number > 0)
    return np.where(filled, share[edges], 0.0)


def _divergence(p: NDArray[np.float64], q: NDArray[np.float64]) -> float:
    """KL(p ‖ q) with a little mass everywhere, so that an empty bin of q costs much but not infinitely."""
    p, q = (p + 1e-4) / (p + 1e-4).sum(), (q + 1e-4) / (q + 1e-4).sum()
    return float(np.sum(p * np.log(p / q)))
