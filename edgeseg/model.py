"""A loaded model: frame in, result out. The one call that `infer`, `val`, `bench` and Python users make."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Integral, Real
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

import numpy as np
from numpy.typing import NDArray

from edgeseg import fit, steps
from edgeseg.errors import BackendError, InputError, ModelError, UsageError
from edgeseg.fit import Box, Placement
from edgeseg.postprocess import Object, mask_of, objects_of, threshold_level
from edgeseg.tiles import tiled

if TYPE_CHECKING:
    from edgeseg.backends.base import Engine, EngineInfo
    from edgeseg.bundle import Source
    from edgeseg.stream.status import Status
    from edgeseg.stream.summary import Summary

Image = NDArray[np.uint8]
_MOST_PLACEMENTS = 64


@dataclass
class Result:
    """What a model says of one frame. ``mask`` and ``objects`` are computed when first asked for.

    Attributes:
        probability: uint8 [K−1, h, w] at network size.
        placement: where the frame went in the network's input.
        latency_ms: stage → milliseconds ("fit", "infer").
        model: what said it.
        sequence: of the frame in its stream, from 0.
        source_time: seconds from the stream's beginning.
        received: monotonic seconds at which the frame was decoded or given.
        state: of the signal when the frame came.
    """

    probability: Image
    placement: fit.Placement
    latency_ms: dict[str, float]
    model: Model = field(repr=False)
    sequence: int = 0
    source_time: float = 0.0
    received: float = field(default_factory=time.monotonic)
    state: str = "LIVE"

    @property
    def age_ms(self) -> float:
        """Milliseconds since the frame was decoded."""
        return (time.monotonic() - self.received) * 1e3

    @cached_property
    def mask(self) -> Image:
        """uint8 [H, W], class index at frame size."""
        output = self.model.spec.output
        whole = fit.back(self.probability, self.placement, output.upsample)
        return mask_of(whole, self.model.thresholds, output.min_area)

    @cached_property
    def objects(self) -> list[Object]:
        """8-connected objects in frame pixels, largest first."""
        return objects_of(self.mask, self.model.class_names)


class Model:
    """An engine with the manifest's fit before and threshold behind it; used by one thread.

    Use as a context manager, or call :meth:`close`.
    """

    def __init__(self, source: Source, loaded: tuple[Engine, EngineInfo], threshold: float | None = None) -> None:
        self.source, self.spec = source, source.spec
        self._engine, self.engine = loaded
        frame, output = self.spec.frame, self.spec.output
        _, height, width, _ = self._engine.shape
        self._camera = self.engine.camera
        if (height, width) != (self._camera or (frame.height, frame.width)):
            raise ModelError(
                f"{source.path}: the manifest says {frame.height}x{frame.width}, its graph {height}x{width}"
            )
        self.class_names = [one.name for one in self.spec.classes[1:]]
        self.thresholds = [one.threshold or 128 for one in self.spec.classes[1:]]
        if threshold is not None:
            self.thresholds = [threshold_level(threshold)] * len(self.thresholds)
        self._load: Callable[[], Model] | None = None
        self.tile = False  # sliding window over the whole frame, for stills: see edgeseg.tiles
        self._shape = (output.channels, output.height, output.width)
        self._placements: dict[tuple[int, int, fit.Box | None], fit.Placement] = {}

    @property
    def runner(self) -> Engine:
        """The engine itself: network input in, probability out, in batches."""
        return self._engine

    def place(self, frame: Image, box: fit.Box | None = None) -> fit.Placement:
        """Plans the fit; where the manifest asks for the content, it is found in this frame unless ``box`` is given."""
        if box is None and self.spec.frame.fit.region == "content":
            box = fit.content_box(frame, self.spec.frame.fit.content_level)
        key = (*frame.shape[:2], box)
        if key not in self._placements:
            if len(self._placements) >= _MOST_PLACEMENTS:  # the content box of each still is another
                self._placements.clear()
            self._placements[key] = fit.place(frame.shape[0], frame.shape[1], self.spec.frame, box)
        return self._placements[key]

    def fit(self, frame: Image, placement: fit.Placement) -> Image:
        """Frame → network input, uint8 [h, w, 3]; the frame itself where the engine resizes.

        Raises:
            InputError: such an engine takes frames of one size only.
        """
        if self._camera is not None:
            if frame.shape[:2] != self._camera:
                raise InputError(
                    f"engine {self.engine.engine} takes frames of {self._camera[1]}x{self._camera[0]} only, not "
                    f"{frame.shape[1]}x{frame.shape[0]}"
                )
            return frame
        return steps.network_input(frame, placement, self.spec.frame)

    def run(self, fitted: Image) -> Image:
        """Network input uint8 [h, w, 3] → probability uint8 [K−1, h, w].

        Raises:
            BackendError: the runtime failed, or gave something else than it must.
        """
        out = self._engine.run(fitted[None])
        if out.shape != (1, *self._shape) or out.dtype != np.uint8:
            raise BackendError(f"{self.engine.backend} gave {out.dtype} {out.shape} instead of uint8 {self._shape}")
        return out[0]

    def __call__(self, frame: Image, placement: Placement | None = None) -> Result:
        """Segments a frame.

        Args:
            frame: uint8 BGR [H, W, 3], any size.
            placement: from :meth:`place`, for streams; found anew if None.

        Raises:
            InputError: the frame is no uint8 BGR image.
            BackendError: the runtime failed.
        """
        if not isinstance(frame, np.ndarray):
            why = "; cv2.imread gives None for what it cannot read" if frame is None else ""
            raise InputError(f"a frame must be a uint8 BGR array, not {type(frame).__name__}{why}")
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[2] != 3 or not frame.size:
            raise InputError(f"a frame must be uint8 BGR [H, W, 3], not {frame.dtype} {list(frame.shape)}")
        start = time.perf_counter()
        if self.tile:
            probability = tiled(frame, self.run, self.spec.frame)
            size = Box(0, 0, frame.shape[1], frame.shape[0])
            whole = Placement(frame.shape[:2], size, size, frame.shape[:2])
            return Result(probability, whole, {"fit": 0.0, "infer": (time.perf_counter() - start) * 1e3}, self)
        placement = placement or self.place(frame)
        fitted = self.fit(frame, placement)
        middle = time.perf_counter()
        probability = self.run(fitted)
        end = time.perf_counter()
        latency = {"fit": (middle - start) * 1e3, "infer": (end - middle) * 1e3}
        return Result(probability, placement, latency, self)

    def stream(
        self,
        source: str | Path,
        on_result: Callable[[Result], None] | None = None,
        *,
        on_status: Callable[[Status], None] | None = None,
        frames: int | None = None,
        duration: float | None = None,
    ) -> Summary:
        """Runs over a recording (every frame, in order) or a live source (the newest frame), until its end.

        Args:
            source: SOURCE of the command line: a video, pictures, ``rtsp://camera/live``, ``/dev/video0``, …
            on_result: called in the calling thread with every result; on a live source only with newest ones where
                it is slow. ``result.state`` and ``result.age_ms`` say what to think of it.
            on_status: live: called at every change of state and five times a second, also when no frame comes.
            frames: stop after so many.
            duration: live: stop after so many seconds.

        Raises:
            UsageError: ``frames`` or ``duration`` is no such number.
            EdgesegError: source or engine, see :mod:`edgeseg.errors`.
        """
        from edgeseg.stream.sources import kind_of

        if frames is not None and (not isinstance(frames, Integral) or frames < 1):
            raise UsageError(f"frames={frames!r}: give a whole number from 1, or None for all")
        if duration is not None and (not isinstance(duration, Real) or not 0 < duration < math.inf):
            raise UsageError(f"duration={duration!r}: give seconds above 0, or None for no end")
        source = str(source)

        if not kind_of(source).live:
            from edgeseg.stream.pipeline import run

            return run(self, source, on_result=on_result, frames=frames)
        from edgeseg.stream.live.infer import check
        from edgeseg.stream.live.pipeline import LiveRun, Policy
        from edgeseg.stream.places import Outputs
        from edgeseg.stream.sources.base import SourceOptions

        options, policy = SourceOptions(), Policy(frames, duration)
        check([source], Outputs(), options, policy)
        live = LiveRun(self, self.again, policy, on_result=on_result, on_status=on_status)
        return live.run([source], options)[0]

    def again(self) -> Model:
        """The same model with an engine of its own, for when this one's failed.

        Raises:
            BackendError: it cannot be loaded.
        """
        if self._load is None:
            raise BackendError("this model was not loaded from a bundle, so its engine cannot be loaded again")
        model = self._load()
        model.thresholds = self.thresholds
        return model

    def loaded_by(self, load: Callable[[], Model]) -> Model:
        """Remembers how it was loaded, for :meth:`again`."""
        self._load = load
        return self

    def close(self) -> None:
        """Frees the engine."""
        self._engine.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
