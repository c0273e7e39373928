"""Golden frames: phantom frames with the output every engine must give again.

They come from the phantom, never from a research set or a patient, so that bundles can be shared.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from numpy.typing import NDArray

from edgeseg import fit
from edgeseg import manifest as mf
from edgeseg.backends.base import Engine, EngineOptions
from edgeseg.backends.onnxruntime import OnnxRuntimeEngine
from edgeseg.data.phantom import PHANTOMS
from edgeseg.errors import GateError, ModelError
from edgeseg.steps import network_input

if TYPE_CHECKING:
    from edgeseg.bundle import Source

Image = NDArray[np.uint8]
HEIGHT, WIDTH = 360, 480
SEEDS = range(7, 15)
# Output that is nearly all 0 or 255 would agree with a broken engine too.
LOW, HIGH, LEAST = 26, 229, 0.05
# What fit makes of a frame may be so many grey levels off what it made at export: the contract's bound on bilinear.
FIT_LEVELS = 1
# How far each form may be from its own meaning: (grey levels, share of values that may differ by more).
# Where a runtime rounds a value at the border of two INT8 steps the other way, the step spreads through later layers:
# right engines differ by up to 11 grey levels in single pixels (under 0.1 % by more than 8); broken ones everywhere.
TOLERANCE = {"float": (1, 0.0), "cpu": (8, 0.01), "trt-typed": (8, 0.01), "trt-legacy": (8, 0.01)}


@dataclass(frozen=True)
class GoldenFrame:
    """A phantom frame before and after fit."""

    name: str
    source: str
    frame: Image
    fitted: Image


def candidates(modality: str, spec: mf.Frame) -> Iterator[GoldenFrame]:
    """Phantom frames in a fixed order, each scene's with the most target; then mosaics and close-ups of them.

    A sure network says 0 or 255 nearly everywhere: mosaics have more edges, close-ups more doubt.
    """
    kind = "fundus" if modality == "fundus" else "colonoscopy"
    scenes: list[tuple[str, Image]] = []
    for seed in SEEDS:
        clip = PHANTOMS[kind](48, WIDTH, HEIGHT, seed)
        richest = max((clip[index] for index in range(0, 48, 8)), key=lambda frame: int(frame.mask.sum()))
        scenes.append((f"phantom {kind} seed {seed} frame {richest.index}", richest.image))
        yield _fitted(*scenes[-1], spec)
    for side in (2, 3):
        for first in range(len(scenes)):
            parts = [scenes[(first + step) % len(scenes)][1] for step in range(side * side)]
            yield _fitted(f"{scenes[first][0]}, mosaic {side}x{side}", _mosaic(parts, side), spec)
    for factor in (2, 3, 4):
        for source, image in scenes:
            yield _fitted(f"{source}, close-up {factor}x", _close_up(image, factor), spec)


def _mosaic(images: list[Image], side: int) -> Image:
    """The middles of several frames side by side, at frame size."""
    inner = [image[HEIGHT // 10 : -HEIGHT // 10, WIDTH // 6 : -WIDTH // 6] for image in images]
    tiles = [cv2.resize(image, (WIDTH // side, HEIGHT // side), interpolation=cv2.INTER_AREA) for image in inner]
    return np.vstack([np.hstack(tiles[row * side : (row + 1) * side]) for row in range(side)])


def _close_up(image: Image, factor: int) -> Image:
    """The middle of a frame, enlarged to frame size."""
    top, left = HEIGHT // 2 - HEIGHT // factor // 2, WIDTH // 2 - WIDTH // factor // 2
    part = image[top : top + HEIGHT // factor, left : left + WIDTH // factor]
    out: Image = cv2.resize(part, (WIDTH, HEIGHT), interpolation=cv2.INTER_LINEAR)
    return out


def _fitted(source: str, frame: Image, spec: mf.Frame) -> GoldenFrame:
    return GoldenFrame("", source, frame, fitted(frame, spec))


def fitted(frame: Image, spec: mf.Frame) -> Image:
    """A frame uint8 [H, W, 3] as the network gets it; its content is found in it, as in a still."""
    box = fit.content_box(frame, spec.fit.content_level) if spec.fit.region == "content" else None
    return network_input(frame, fit.place(frame.shape[0], frame.shape[1], spec, box), spec)


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
        "which would prove nothing on a device; train longer or on more frames"
    )


def write(folder: Path, frames: list[GoldenFrame], graphs: Mapping[str, tuple[str, bytes]]) -> list[mf.Golden]:
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
            output = run_one(engine, one.fitted).tobytes()
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


def read_frame(source: Source, one: mf.Golden) -> Image:
    """A golden frame before fit, uint8 [H, W, 3].

    Raises:
        ModelError: its file changed, or is of another size than the manifest says.
    """
    return _raw(source, one.file, one.sha256, (one.height, one.width, 3))


def read_fitted(source: Source, one: mf.Golden, spec: mf.Frame) -> Image:
    """A golden frame after fit and steps, uint8 [h, w, 3]; raises like :func:`read_frame`."""
    return _raw(source, one.fitted_file, one.fitted_sha256, (spec.height, spec.width, 3))


def _raw(source: Source, file: str, sha256: str, shape: tuple[int, ...]) -> Image:
    data = source.read(file, sha256)
    if len(data) != math.prod(shape):
        size = "x".join(map(str, shape))
        raise ModelError(
            f"{source.path / file}: is {len(data)} bytes, but {size} in the manifest asks for {math.prod(shape)}; "
            "export the bundle again"
        )
    return np.frombuffer(data, np.uint8).reshape(shape)


def run_one(engine: Engine, fitted: Image) -> Image:
    """One frame through an engine; a fixed batch is filled with copies of it."""
    return engine.run(np.repeat(fitted[None], max(1, engine.shape[0]), axis=0))[0]


def replay(expected: mf.Expected, output: Image, want: Image) -> tuple[bool, int, float]:
    """Passed, the largest difference in grey levels, and the share of values that differ by more than allowed."""
    difference = cv2.absdiff(output.ravel(), want.ravel())
    share = float(np.mean(difference > expected.max_diff))
    return share <= expected.max_fraction, int(difference.max()), share


def replay_all(
    source: Source, manifest: mf.Manifest, graph: str, engine: Engine, tolerance: tuple[int, float] | None = None
) -> tuple[bool, str]:
    """Every golden frame on an engine of a graph: passed, and what was found.

    A frame with nothing to compare with is not passed: else a bundle that expects nothing would prove itself.

    Args:
        source: the bundle.
        manifest: its manifest.
        graph: name of the graph whose outputs are expected.
        engine: what runs.
        tolerance: in place of the manifest's, like a value of ``TOLERANCE``.

    Raises:
        ModelError: a file or an output is of another size than the manifest says.
        BackendError: the runtime failed.
    """
    shape = (manifest.output.channels, manifest.output.height, manifest.output.width)
    worst, share, passed = 0, 0.0, True
    for one in manifest.golden:
        rows = [row for row in one.expected if row.graph == graph]
        if not rows:
            return False, f"golden frame {one.name} was not compared: the manifest expects no output of {graph} on it"
        output = run_one(engine, read_fitted(source, one, manifest.frame))
        if output.shape != shape or output.dtype != np.uint8:
            raise ModelError(
                f"{source.path}: graph {graph} gives {output.dtype} {list(output.shape)}, but the manifest says uint8 "
                f"{list(shape)}; export the bundle again"
            )
        for row in rows:
            rule = row
            if tolerance is not None:
                rule = row.model_copy(update={"max_diff": tolerance[0], "max_fraction": tolerance[1]})
            good, largest, more = replay(rule, output, _raw(source, row.file, row.sha256, shape))
            worst, share, passed = max(worst, largest), max(share, more), passed and good
    return passed, f"at most {worst} grey levels off, {share:.3%} beyond"
