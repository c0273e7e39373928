"""TensorRT on an NVIDIA GPU: an engine's plan, run through pycuda.

One thread of its own owns the GPU's context, the engine and all buffers; calls are handed to it. Host buffers are
pinned, device buffers bound once, everything is queued on one stream, and a frame allocates nothing but its result.
The v3 execution API only, which 8.6, 10, 11 and TensorRT for RTX all have.
"""

from __future__ import annotations

import atexit
import queue
import re
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeVar

import numpy as np
from numpy.typing import NDArray

from edgeseg import cache
from edgeseg.backends.base import EngineOptions
from edgeseg.backends.cuda import Card, Cuda, PyCuda
from edgeseg.backends.tensorrt_library import Library, log_of
from edgeseg.errors import BackendError

Frames = NDArray[np.uint8]
Answer = TypeVar("Answer")
_WARM_UP = 10
_TIMED = 20


@dataclass(frozen=True)
class Port:
    """An input or output of the plan: name and shape at the largest batch."""

    name: str
    shape: tuple[int, int, int, int]


class _Owner:
    """The thread that everything of one engine happens in."""

    def __init__(self, name: str) -> None:
        self._calls: queue.SimpleQueue[tuple[Callable[[], Any], Future[Any]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._work, name=name, daemon=True)
        self._thread.start()

    def ask(self, call: Callable[[], Answer]) -> Answer:
        """Runs ``call`` there and gives its answer, or raises what it raised."""
        future: Future[Answer] = Future()
        self._calls.put((call, future))
        return future.result()

    def stop(self) -> None:
        """Ends the thread after what was asked before."""
        self._calls.put(None)
        self._thread.join()

    def _work(self) -> None:
        while (item := self._calls.get()) is not None:
            call, future = item
            try:
                future.set_result(call())
            except BaseException as error:  # noqa: BLE001 - belongs to who asked
                future.set_exception(error)
            del item, call, future  # nothing of an answer outlives its call here


def _close(engine: weakref.ref[TensorRtEngine]) -> None:
    one = engine()
    if one is not None:
        one.close()


class TensorRtEngine:
    """A plan on a GPU.

    Args:
        plan: the engine's bytes; their hash and the engine's fingerprint were checked by the caller.
        options: ``device``, and ``cuda_graph``: None takes the faster way at load.
        library: that built the plan.
        open_cuda: makes the memory-and-stream object in the owner thread.
        host_code: the plan carries code of its own (version-compatible engines do).

    Raises:
        BackendError: no driver, no GPU, out of memory, or the plan is refused.
    """

    shape: tuple[int, int, int, int]
    card: Card

    def __init__(
        self,
        plan: bytes,
        options: EngineOptions,
        library: Library,
        open_cuda: Callable[[int], Cuda] = PyCuda,
        *,
        host_code: bool = False,
    ) -> None:
        self._library, self._options = library, options
        self._log = log_of(library)
        self._cuda: Cuda | None = None
        self._graphs: dict[int, object] = {}
        self._closed = False
        self.uses_cuda_graph = False
        self._owner = _Owner("edgeseg-tensorrt")
        # pycuda aborts a process that ends with a context still in place.
        atexit.register(_close, weakref.ref(self))
        try:
            self._owner.ask(lambda: self._open(plan, open_cuda, host_code=host_code))
        except BaseException:
            self.close()
            raise

    # -- in the owner thread ------------------------------------------------------------------------------------

    def _open(self, plan: bytes, open_cuda: Callable[[int], Cuda], *, host_code: bool) -> None:
        trt, can = self._library.module, self._library.can
        cuda = self._cuda = open_cuda(self._options.device)
        self.card = cuda.card()
        self._log.clear()
        runtime = self._runtime = trt.Runtime(self._log.logger)
        if host_code and hasattr(runtime, "engine_host_code_allowed"):
            runtime.engine_host_code_allowed = True
        if can.validity:
            self._judge(runtime, plan)
        self._engine = runtime.deserialize_cuda_engine(plan)
        if self._engine is None:
            raise self._refused("the plan is refused")
        self._cache_file: Path | None = None
        self._context = self._execution_context(plan)
        if self._context is None:
            raise self._refused("no execution context (is the GPU's memory full?)")
        self._in, self._out = self._ports()
        self._fixed = -1 not in tuple(self._engine.get_tensor_shape(self._in.name))
        batch, height, width, channels = self._in.shape
        self.shape = (batch if self._fixed else 0, height, width, channels)
        self._host_in, self._host_out = cuda.pinned(self._in.shape), cuda.pinned(self._out.shape)
        self._device_in, self._device_out = cuda.device(self._host_in.nbytes), cuda.device(self._host_out.nbytes)
        bound = self._context.set_tensor_address(self._in.name, self._device_in)
        bound = self._context.set_tensor_address(self._out.name, self._device_out) and bound
        if not bound:
            raise self._refused("buffers cannot be bound")
        self._batch = 0
        self._prepare(1)
        self._warm_up()

    def _judge(self, runtime: Any, plan: bytes) -> None:
        """Asks the library whether the plan suits this card (TensorRT for RTX)."""
        trt = self._library.module
        verdict, reasons = runtime.get_engine_validity(plan)
        if verdict == trt.EngineValidity.INVALID:
            names = trt.EngineInvalidityDiagnostics.__members__.items()
            why = ", ".join(name for name, bit in names if int(reasons) & int(bit)) or "no reason given"
            raise BackendError(
                f"{self._library.title} says the plan does not run on this machine ({why}); rebuild it: add --rebuild"
            )

    def _execution_context(self, plan: bytes) -> Any:
        """With the kernels that were compiled on this card before, where the library keeps them."""
        can, engine = self._library.can, self._engine
        if not (can.runtime_config and can.runtime_cache):
            return engine.create_execution_context()
        from edgeseg.manifest import sha256

        card = re.sub(r"[^A-Za-z0-9.]+", "-", self._cuda.card().name) if self._cuda else ""
        self._cache_file = cache.cache_home() / "runtime" / f"{self._library.version}-{card}-{sha256(plan)[:32]}.cache"
        settings = engine.create_runtime_config()
        self._kernels = settings.create_runtime_cache()
        self._kept = cache.read(self._cache_file)
        if self._kept:
            self._kernels.deserialize(self._kept)
        settings.set_runtime_cache(self._kernels)
        return engine.create_execution_context(settings)

    def _ports(self) -> tuple[Port, Port]:
        """The one input and the one output, uint8 both.

        Raises:
            BackendError: the plan has others.
        """
        trt, engine = self._library.module, self._engine
        found: dict[bool, Port] = {}
        for index in range(engine.num_io_tensors):
            name = engine.get_tensor_name(index)
            is_input = engine.get_tensor_mode(name) == trt.TensorIOMode.INPUT
            shape = tuple(engine.get_tensor_shape(name))
            if is_input in found or len(shape) != 4 or engine.get_tensor_dtype(name) != trt.DataType.UINT8:
                raise self._refused("its inputs or outputs are not one uint8 frame and one uint8 probability")
            found[is_input] = Port(name, shape)
        if len(found) != 2:
            raise self._refused("it lacks an input or an output")
        entry, out = found[True], found[False]
        if entry.shape[0] == -1:
            largest = tuple(engine.get_tensor_profile_shape(entry.name, 0)[2])
            entry = Port(entry.name, (largest[0], *entry.shape[1:]))
            out = Port(out.name, (largest[0], *out.shape[1:]))
        if min(*entry.shape, *out.shape) < 1:
            raise self._refused("it has sizes that are not fixed")
        return entry, out

    def _prepare(self, batch: int) -> None:
        """Sets the batch of the next runs; a fixed one stays what it is."""
        wanted = self._in.shape[0] if self._fixed else batch
        if wanted == self._batch:
            return
        if not self._fixed and not self._context.set_input_shape(self._in.name, (wanted, *self._in.shape[1:])):
            raise self._refused(f"batch {wanted} is refused")
        self._batch = wanted

    def _warm_up(self) -> None:
        """Runs until kernels are compiled and loaded; then takes the faster of plain calls and one CUDA graph."""
        cuda, want = self._gpu(), self._options.cuda_graph
        for _ in range(_WARM_UP):
            self._whole()
        cuda.synchronize()
        if self._cache_file is not None:
            self._keep_kernels(self._cache_file)
        if want is False:
            return
        graph = cuda.capture(self._whole)
        if graph is None:
            if want:
                raise BackendError(
                    f"{self._library.title}: this engine cannot be captured as a CUDA graph; leave it out"
                )
            return
        plain = min(cuda.timed(self._whole) for _ in range(_TIMED))
        whole = min(cuda.timed(lambda: cuda.launch(graph)) for _ in range(_TIMED))
        self.uses_cuda_graph = bool(want) or whole < plain
        if self.uses_cuda_graph:
            self._graphs[self._batch] = graph

    def _keep_kernels(self, file: Path) -> None:
        data = self._kernels.serialize()
        kept = bytes(memoryview(data)) if data is not None else b""
        if kept and kept != self._kept:
            cache.write(file, kept)
            self._kept = kept

    def _whole(self) -> None:
        """Queues copy in, engine, copy out."""
        cuda, batch = self._gpu(), self._batch
        cuda.copy_in(self._device_in, self._host_in[:batch])
        self._enqueue()
        cuda.copy_out(self._host_out[:batch], self._device_out)

    def _enqueue(self) -> None:
        if not self._context.execute_async_v3(self._gpu().stream):
            raise BackendError(f"{self._library.title} failed on a frame: {self._log.last()}")

    def _queue(self) -> None:
        graph = self._graphs.get(self._batch)
        if graph is not None:
            self._gpu().launch(graph)
        else:
            self._whole()

    def _run(self, frames: Frames) -> Frames:
        number = len(frames)
        self._prepare(number)
        np.copyto(self._host_in[:number], frames)
        if self.uses_cuda_graph and self._batch not in self._graphs:
            graph = self._gpu().capture(self._whole)
            if graph is not None:
                self._graphs[self._batch] = graph
        self._queue()
        self._gpu().synchronize()
        return self._host_out[:number].copy()

    def _gpu(self) -> Cuda:
        if self._cuda is None:
            raise BackendError("tensorrt failed: the engine is closed")
        return self._cuda

    def _release(self) -> None:
        """What the library made goes before the memory it points into."""
        self._context = self._engine = self._runtime = self._kernels = None
        if self._cuda is not None:
            self._cuda.close()
            self._cuda = None

    def _refused(self, what: str) -> BackendError:
        return BackendError(f"{self._library.title} cannot load the engine: {what} ({self._log.last()})")

    # -- from any thread ----------------------------------------------------------------------------------------

    def run(self, frames: Frames) -> Frames:
        """uint8 [B, h, w, 3] → uint8 [B, classes − 1, h, w]; the result is the caller's own.

        Raises:
            BackendError: closed, another shape than the engine's, or the GPU failed.
        """
        self._check_open()
        most = self._in.shape[0]
        if frames.dtype != np.uint8 or frames.shape[1:] != self._in.shape[1:] or not 1 <= len(frames) <= most:
            raise BackendError(
                f"tensorrt failed: the engine takes uint8 [1 to {most}, {', '.join(map(str, self._in.shape[1:]))}], "
                f"not {frames.dtype} {list(frames.shape)}"
            )
        return self._owner.ask(lambda: self._run(frames))

    def gpu_ms(self, frames: Frames, *, copies: bool) -> float:
        """GPU time of one run in milliseconds by CUDA events: with the copies, or the engine alone."""
        self._check_open()

        def work() -> float:
            self._prepare(len(frames))
            np.copyto(self._host_in[: len(frames)], frames)
            return self._gpu().timed(self._queue if copies else self._enqueue)

        return self._owner.ask(work)

    def layer_ms(self, frames: Frames, runs: int = 50) -> list[tuple[str, float]]:
        """Layers in order with their mean time in milliseconds, as the library's profiler reports them."""
        self._check_open()
        trt = self._library.module
        total: dict[str, float] = {}

        class Profiler(trt.IProfiler):  # type: ignore[misc,name-defined]
            def __init__(self) -> None:
                trt.IProfiler.__init__(self)

            def report_layer_time(self, name: str, milliseconds: float) -> None:
                total[name] = total.get(name, 0.0) + milliseconds

        def work() -> list[tuple[str, float]]:
            self._prepare(len(frames))
            np.copyto(self._host_in[: len(frames)], frames)
            self._context.profiler = profiler = Profiler()
            for _ in range(runs):
                self._whole()
                self._gpu().synchronize()
            self._context.profiler = None
            del profiler
            return [(name, value / runs) for name, value in total.items()]

        return self._owner.ask(work)

    def close(self) -> None:
        """Frees engine and memory in the owner thread and ends it; a second call does nothing."""
        if self._closed:
            return
        self._closed = True
        self._owner.ask(self._release)
        self._owner.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        if not getattr(self, "_closed", True):
            self.close()

    def _check_open(self) -> None:
        if self._closed:
            raise BackendError("tensorrt failed: the engine is closed; load the model again")
