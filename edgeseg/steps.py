"""Host operations after the fit that the manifest names (``frame.steps``); mostly there are none.

What the graph can do lives in the graph. CLAHE cannot: its histograms are no ONNX operators.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import cv2
import numpy as np

from edgeseg import fit

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgeseg.manifest import Frame, Step

    Image = NDArray[np.uint8]


def network_input(frame: Image, placement: fit.Placement, spec: Frame) -> Image:
    """Frame → what the graph takes: the fit, then the steps.

    Args:
        frame: uint8 BGR [H, W, 3], of the size the placement was planned for.
        placement: from :func:`edgeseg.fit.place`.
        spec: the manifest's frame.

    Returns:
        uint8 [h, w, 3], C-contiguous.

    Raises:
        DataError: the frame has another size than planned.
    """
    return apply(fit.fit(frame, placement, spec.fit.pad_value), spec)


def apply(image: Image, spec: Frame) -> Image:
    """The manifest's steps on a fitted image uint8 [h, w, 3], in their order."""
    for step in spec.steps:
        image = clahe(image, step)
    return image


def clahe(image: Image, step: Step) -> Image:
    """Contrast-limited adaptive histogram equalisation (Zuiderveld 1994) of the grey picture.

    Grey is OpenCV's BT.601 luma; the result stands in B, G and R.

    Args:
        image: uint8 BGR [h, w, 3].
        step: clip limit and tiles per side.
    """
    equalise = cv2.createCLAHE(step.clip_limit, (step.tiles, step.tiles))
    return cv2.cvtColor(equalise.apply(cv2.cvtColor(image, cv2.COLOR_BGR2GRAY)), cv2.COLOR_GRAY2BGR).astype(np.uint8)
