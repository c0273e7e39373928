"""Golden frames: phantom frames with the output every engine must give again.

They come from the phantom, never from a research set or a patient, so that bundles can be shared.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg import fit
from edgeseg import manifest as mf
from edgeseg.backends.base import EngineOptions
from edgeseg.backends.onnxruntime import OnnxRuntimeEngine
from edgeseg.data.phantom import PHANTOMS
from edgeseg.errors import GateError
from edgeseg.steps import network_input

Image = NDArray[np.uint8]
HEIGHT, WIDTH = 360, 480
# Output that is nearly all 0 or 255 would agree with a broken engine too.
LOW, HIGH, LEAST = 26, 229, 0.05
# How far each form may be from its own meaning: (grey levels, share of values that may differ by more).
TOLERANCE = {"float": (1, 0.0), "cpu": (2, 0.001), "trt-typed": (2, 0.001), "trt-legacy": (2, 0.001)}


@dataclass(frozen=True)
class GoldenFrame:
    """A phantom frame before and after fit."""

    name: str
    source: str
    frame: Image
    fitted: Image


def candidates(modality: str, spec: mf.Frame) -> Iterator[GoldenFrame]:
    """Phantom frames in a fixed order; after the plain ones come veiled ones, on which networks are less sure."""
    kind = "fundus" if modality == "fundus" else "colonoscopy"
    for veil in (0.0, 0.3, 0.5, 0.65):
        for seed in range(7, 15):
            clip = PHANTOMS[kind](48, WIDTH, HEIGHT, seed)
            for index in (0, 20, 40):
                frame = clip[index].image
                source = f"phantom {kind} seed {seed} frame {index}"
                if veil:
                    haze = cv2.GaussianBlur(frame, (0, 0), 25)
                    frame = cv2.addWeighted(frame, 1 - veil, haze, veil, 0)
                    source += f" veil {veil}"
                box = fit.content_box(frame, spec.fit.content_level) if spec.fit.region == "content" else None
                placement = fit.place(HEIGHT, WIDTH, spec, box)
                yield GoldenFrame("", source, frame, network_input(frame, placement, spec))


def telling(output: Image) -> float:
    """Share of values between 26 and 229."""
    return float(np.mean((output >= LOW) & (output <= HIGH)))


def pick(graph: bytes, manifest: mf.Manifest, number: int = 2) -> list[GoldenFrame]:
    """The first ``number`` phantom frames on which the float graph says something that proves something.

    Raises:
        GateError: on no phantom frame does it.
    """
    engine = OnnxRuntimeEngine(graph, EngineOptions(optimise=False))
    found: list[GoldenFrame] = []
    best = 0.0
    try:
        for one in candidates(manifest.task.modality, manifest.frame):
            share = telling(engine.run(one.fitted[None])[0])
            best = max(best, share)
            if share >= LEAST:
                found.append(GoldenFrame(f"g{len(found)}", one.source, one.frame, one.fitted))
            if len(found) == number:
                return found
    finally:
        engine.close()
    if found:
        return found
    raise GateError(
        f"no golden frame: on every phantom frame at most {best:.1%} of the output lies between {LOW} and {HIGH}, "
        "which would prove nothing on a device; train on more or longer"
    )


def write(folder: Path, frames: list[GoldenFrame], graphs: dict[str, tuple[str, bytes]]) -> list[mf.Golden]:
    """Writes the frames and each graph's output in ONNX Runtime with optimisations off.

    Args:
        folder: of the bundle.
        frames: from :func:`pick`.
        graphs: name → (form, bytes).
    """
    (folder / "golden").mkdir(exist_ok=True)
    expected: dict[str, list[mf.Expected]] = {one.name: [] for one in frames}
    for name, (form, data) in graphs.items():
        engine = OnnxRuntimeEngine(data, EngineOptions(optimise=False))
        max_diff, max_fraction = TOLERANCE[form]
        for one in frames:
            output = engine.run(one.fitted[None])[0].tobytes()
            file = f"golden/{one.name}.{name}.u8"
            (folder / file).write_bytes(output)
            expected[one.name].append(
                mf.Expected(
                    graph=name, max_diff=max_diff, max_fraction=max_fraction, file=file, sha256=mf.sha256(output)
                )
            )
        engine.close()
    out = []
    for one in frames:
        file, fitted_file = f"golden/{one.name}.frame.u8", f"golden/{one.name}.fitted.u8"
        (folder / file).write_bytes(one.frame.tobytes())
        (folder / fitted_file).write_bytes(one.fitted.tobytes())
        out.append(
            mf.Golden(
                name=one.name,
                source=one.source,
                height=HEIGHT,
                width=WIDTH,
                file=file,
                sha256=mf.sha256(one.frame.tobytes()),
                fitted_file=fitted_file,
                fitted_sha256=mf.sha256(one.fitted.tobytes()),
                expected=expected[one.name],
            )
        )
    return out


def replay(golden: mf.Golden, expected: mf.Expected, output: Image, want: Image) -> tuple[bool, int, float]:
    """Passed, the largest difference in grey levels, and the share of values that differ by more than allowed."""
    difference = cv2.absdiff(output.ravel(), want.ravel())
    share = float(np.mean(difference > expected.max_diff))
    return share <= expected.max_fraction, int(difference.max()), share
