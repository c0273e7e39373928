from __future__ import annotations

import cv2
import numpy as np

from edgeseg import fit
from edgeseg.manifest import Fit, Frame, Step
from edgeseg.steps import network_input

PLAIN = Frame(height=40, width=60, fit=Fit(region="frame", mode="pad"))
EQUALISED = PLAIN.model_copy(update={"steps": [Step(op="clahe", clip_limit=2.0, tiles=4)]})


def test_no_steps_is_the_fit_alone() -> None:
    frame = np.random.default_rng(0).integers(0, 256, (80, 90, 3), dtype=np.uint8)
    placement = fit.place(80, 90, PLAIN)
    np.testing.assert_array_equal(network_input(frame, placement, PLAIN), fit.fit(frame, placement))


def test_clahe_is_grey_in_three_channels_with_more_contrast() -> None:
    ramp = np.linspace(100, 140, 60).astype(np.uint8)
    frame = np.repeat(np.tile(ramp, (40, 1))[..., None], 3, axis=2)
    out = network_input(frame, fit.place(40, 60, EQUALISED), EQUALISED)
    assert out.shape == (40, 60, 3)
    assert out.dtype == np.uint8
    assert out.flags.c_contiguous
    np.testing.assert_array_equal(out[..., 0], out[..., 2])
    assert out.std() > 1.3 * frame.std()
    expected = cv2.createCLAHE(2.0, (4, 4)).apply(frame[..., 0])
    np.testing.assert_array_equal(out[..., 1], expected)
