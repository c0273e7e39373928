"""clDice: overlap counted along centre lines, so that a broken thin vessel costs as much as a broken thick one.

Shit et al., clDice, a novel topology-preserving loss function, CVPR 2021. Needs scikit-image
(the ``train`` extra): import this module only where the figure is asked for.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from skimage.morphology import skeletonize


def cldice(predicted: NDArray[np.bool_], truth: NDArray[np.bool_], area: NDArray[np.bool_] | None = None) -> float:
    """2·Tp·Ts / (Tp + Ts), Tp the share of the predicted skeleton on the truth, Ts of the true one on the prediction.

    Both masks empty: 1. One of them empty: 0, as for Dice.

    Args:
        predicted: bool [H, W].
        truth: bool [H, W].
        area: pixels that count, such as a field of view; skeletons are taken before, so that its edge makes no branch.
    """
    line_p, line_t = skeletonize(predicted), skeletonize(truth)
    if area is not None:
        line_p, line_t = line_p & area, line_t & area
    if not line_p.any() and not line_t.any():
        return 1.0
    if not line_p.any() or not line_t.any():
        return 0.0
    precision = np.count_nonzero(line_p & truth) / np.count_nonzero(line_p)
    sensitivity = np.count_nonzero(line_t & predicted) / np.count_nonzero(line_t)
    total = precision + sensitivity
    return 2 * precision * sensitivity / total if total else 0.0
