"""Float weights → int8, so that what rounding does to flat parts of a picture cancels.

Neighbouring values of a feature map are much alike, and after a ReLU none is negative: what a convolution loses by
rounding is nearly the *sum* of its weights' errors times the local mean. So after rounding to the nearest, weights
with the largest errors of that sign go to their other neighbour until the sum of each kernel is within half a step,
and then one more in some kernels until that of each output channel is (SQuant: Guo et al., ICLR 2022, arXiv
2202.07471). No data is needed.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def round_weights(weight: NDArray[np.float32], scale: NDArray[np.float32], axis: int, levels: int) -> NDArray[np.int8]:
    """Weights as int8, each one of its two neighbours on the grid.

    Args:
        weight: of a layer; any shape, the axes but ``axis`` are input channels and then space.
        scale: per output channel.
        axis: of the output channels.
        levels: the largest magnitude.
    """
    first = np.moveaxis(weight, axis, 0)
    outputs, inputs = first.shape[:2]
    steps = (first / scale.astype(np.float64).reshape(-1, *[1] * (first.ndim - 1))).reshape(outputs, inputs, -1)
    whole = np.clip(np.rint(steps), -levels, levels)
    # One weight of a kernel may move by its kernel's sum, and one more by its output channel's.
    whole += _moves(whole - steps, whole, levels)
    error = whole - steps
    towards = np.sign(error.sum((1, 2), keepdims=True))
    useful = _useful(error, whole, towards, levels)
    best = np.argmax(np.where(useful, error * towards, -np.inf), axis=2)[..., None]
    # Of each kernel the weight that is furthest off; kernels whose sum is furthest off come first.
    sums = error.sum(2, keepdims=True)
    able = np.take_along_axis(useful, best, 2)
    moved = _moves_of(np.where(able, sums * towards, -np.inf).swapaxes(1, 2), np.abs(error.sum((1, 2)))[:, None])
    np.put_along_axis(whole, best, np.take_along_axis(whole, best, 2) - towards * moved.swapaxes(1, 2), 2)
    return np.moveaxis(whole.reshape(first.shape), 0, axis).astype(np.int8)


def nearest(weight: NDArray[np.float32], scale: NDArray[np.float32], axis: int, levels: int) -> NDArray[np.int8]:
    """Weights as int8, half to even."""
    shape = [-1 if index == axis else 1 for index in range(weight.ndim)]
    return np.clip(np.rint(weight / scale.reshape(shape)), -levels, levels).astype(np.int8)


def _moves(error: Floats, whole: Floats, levels: int) -> Floats:
    """What to add, -1, 0 or 1, so that the errors along the last axis sum to half a step at most."""
    towards = np.sign(error.sum(-1, keepdims=True))
    useful = _useful(error, whole, towards, levels)
    ranked = np.where(useful, error * towards, -np.inf)
    return -towards * _moves_of(ranked, np.abs(error.sum(-1)))


def _useful(error: Floats, whole: Floats, towards: Floats, levels: int) -> NDArray[np.bool_]:
    """Weights that were rounded the way the sum is off, and have a neighbour on the other side."""
    return (error * towards > 0) & (np.abs(whole - towards) <= levels)


def _moves_of(worth: Floats, sums: Floats) -> NDArray[np.bool_]:
    """Along the last axis as many of the worthiest as the sum is whole steps off; never one worth -inf."""
    order = np.argsort(-worth, axis=-1, kind="stable")
    rank = np.empty_like(order)
    np.put_along_axis(rank, order, np.broadcast_to(np.arange(worth.shape[-1]), order.shape), -1)
    return (rank < np.rint(sums)[..., None]) & np.isfinite(worth)
