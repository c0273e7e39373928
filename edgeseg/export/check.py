"""Does an exported graph do what the trained network did? Frame by frame, on real frames where there are some."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg import fit
from edgeseg import manifest as mf
from edgeseg.backends.base import Engine, EngineOptions
from edgeseg.backends.onnxruntime import OnnxRuntimeEngine
from edgeseg.backends.openvino import OpenVinoEngine
from edgeseg.data.dataset import Pair, read_frame
from edgeseg.errors import GateError
from edgeseg.steps import network_input

Image = NDArray[np.uint8]
ENGINES: dict[str, Callable[[bytes, EngineOptions], Engine]] = {
    "onnxruntime": OnnxRuntimeEngine,
    "openvino": OpenVinoEngine,
}
MAX_DIFFERENCE = 1.0 / 255


@dataclass(frozen=True)
class Agreement:
    """Largest difference in probability on a backend, over how many frames."""

    backend: str
    frames: int
    largest: float


def fitted_frames(pairs: Iterable[Pair], spec: mf.Frame, limit: int) -> list[Image]:
    """Up to ``limit`` labelled frames, evenly picked and fitted."""
    listed = list(pairs)
    picks = np.linspace(0, len(listed) - 1, min(limit, len(listed))).round().astype(int)
    return [fitted(listed[int(index)], spec) for index in picks]


def fitted(pair: Pair, spec: mf.Frame) -> Image:
    """A labelled frame's image as the network gets it, uint8 [h, w, 3].

    Raises:
        DataError: unreadable.
    """
    frame = read_frame(pair.image)
    box = fit.content_box(frame, spec.fit.content_level) if spec.fit.region == "content" else None
    return network_input(frame, fit.place(frame.shape[0], frame.shape[1], spec, box), spec)


def agree(graph: bytes, reference: Callable[[Image], NDArray[np.float32]], frames: list[Image]) -> list[Agreement]:
    """Runs the float graph on every CPU backend against the network.

    A value may be off by 1/255 plus half a grey level of rounding.

    Raises:
        GateError: a backend differs by more.
    """
    wanted = [reference(frame) for frame in frames]
    out = []
    for name, load in ENGINES.items():
        engine = load(graph, EngineOptions())
        try:
            largest = max(
                _difference(engine.run(frame[None])[0], want) for frame, want in zip(frames, wanted, strict=True)
            )
        finally:
            engine.close()
        if largest > MAX_DIFFERENCE + 0.5 / 255 + 1e-6:
            raise GateError(
                f"the exported graph differs from the network by {largest:.4f} in probability on {name} "
                f"(at most {MAX_DIFFERENCE:.4f} is allowed); no bundle was written"
            )
        out.append(Agreement(name, len(frames), largest))
    return out


def _difference(output: Image, want: NDArray[np.float32]) -> float:
    largest = float(np.abs(output.astype(np.float32) / 255 - want).max())
    return largest if np.isfinite(largest) else np.inf  # no comparison is true of a number that is none


def snr_db(output: Image, want: Image) -> float:
    """Signal to noise of an output against its reference in dB, 99 where they are equal."""
    noise = float(np.square(output.astype(np.float64) - want).sum())
    signal = float(np.square(want.astype(np.float64)).sum())
    if noise == 0:
        return 99.0
    return min(99.0, 10 * float(np.log10(signal / noise))) if signal else 0.0


def same_within(a: Image, b: Image, levels: int) -> bool:
    """Whether two outputs are within so many grey levels everywhere."""
    return int(cv2.absdiff(a.ravel(), b.ravel()).max()) <= levels
