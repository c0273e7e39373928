"""A stand-in for TensorRT and a GPU: plans are JSON, memory is numpy's, an engine inverts its frame's first channel."""

from __future__ import annotations

import ctypes
import json
import threading
from types import SimpleNamespace
from typing import Any

import numpy as np

from edgeseg.backends.cuda import Card
from edgeseg.backends.tensorrt_library import Library, capabilities
from edgeseg.errors import BackendError

UINT8 = "uint8"


def plan(batch: int = 1, height: int = 4, width: int = 6, most: int = 1, **more: Any) -> bytes:
    return json.dumps({"batch": batch, "height": height, "width": width, "most": most} | more).encode()


class FakeCuda:
    """Host memory behind the ten calls; remembers who called, and what is left."""

    made: list[FakeCuda]

    def __init__(self, index: int = 0, *, capturable: bool = True, fail: str = "") -> None:
        self.stream, self.index, self.capturable, self.fail = 7, index, capturable, fail
        self.threads, self.calls, self.memory, self.launches = set(), [], [], 0
        self.closed = False
        self._note("open")

    def _note(self, what: str) -> None:
        self.threads.add(threading.get_ident())
        self.calls.append(what)
        if what == self.fail:
            raise BackendError(f"the GPU is out of memory: it could not {what}")

    def card(self) -> Card:
        return Card("Fake RTX", "8.9", 13000, 1024, f"0000:0{self.index}:00.0")

    def pinned(self, shape: tuple[int, ...]) -> Any:
        self._note("pinned")
        return np.zeros(shape, np.uint8)

    def device(self, nbytes: int) -> int:
        self._note("device")
        self.memory.append(np.zeros(nbytes, np.uint8))
        return int(self.memory[-1].ctypes.data)

    def copy_in(self, address: int, host: Any) -> None:
        self._note("copy_in")
        ctypes.memmove(address, host.ctypes.data, host.nbytes)

    def copy_out(self, host: Any, address: int) -> None:
        self._note("copy_out")
        ctypes.memmove(host.ctypes.data, address, host.nbytes)

    def synchronize(self) -> None:
        self._note("synchronize")

    def capture(self, work: Any) -> Any:
        return work if self.capturable else None

    def launch(self, graph: Any) -> None:
        self.launches += 1
        graph()

    def timed(self, work: Any) -> float:
        work()
        return 0.5

    def close(self) -> None:
        self._note("close")
        self.closed = True


class Context:
    def __init__(self, engine: Engine) -> None:
        self.engine, self.addresses, self.shape = engine, {}, None
        self.profiler: Any = None
        self.fail = engine.say.get("fail", False)

    def set_tensor_address(self, name: str, address: int) -> bool:
        self.addresses[name] = address
        return True

    def set_input_shape(self, name: str, shape: Any) -> bool:
        self.shape = tuple(shape)
        return True

    def execute_async_v3(self, stream: int) -> bool:
        assert stream == 7
        if self.fail:
            return False
        say = self.engine.say
        batch = self.shape[0] if self.shape else say["batch"]
        size = batch * say["height"] * say["width"]
        source = np.ctypeslib.as_array((ctypes.c_uint8 * (size * 3)).from_address(self.addresses["frame"]))
        out = np.ctypeslib.as_array((ctypes.c_uint8 * size).from_address(self.addresses["probability"]))
        out[:] = 255 - source[::3]
        if self.profiler is not None:
            self.profiler.report_layer_time("conv", 0.25)
        return True


class Engine:
    def __init__(self, say: dict[str, Any]) -> None:
        self.say, self.num_io_tensors = say, 2

    def get_tensor_name(self, index: int) -> str:
        return ("frame", "probability")[index]

    def get_tensor_mode(self, name: str) -> str:
        return "in" if name == "frame" else "out"

    def get_tensor_dtype(self, name: str) -> str:
        return self.say.get("dtype", UINT8)

    def get_tensor_shape(self, name: str) -> tuple[int, ...]:
        batch, height, width = self.say["batch"], self.say["height"], self.say["width"]
        return (batch, height, width, 3) if name == "frame" else (batch, 1, height, width)

    def get_tensor_profile_shape(self, name: str, index: int) -> list[tuple[int, ...]]:
        return [(one, self.say["height"], self.say["width"], 3) for one in (1, 1, self.say["most"])]

    def create_execution_context(self) -> Context | None:
        return None if self.say.get("full") else Context(self)


class Runtime:
    def __init__(self, logger: Any) -> None:
        self.logger = logger

    def deserialize_cuda_engine(self, data: bytes) -> Engine | None:
        try:
            return Engine(json.loads(data))
        except ValueError:
            self.logger.log("Severity.ERROR", "magic tag does not match")
            return None


class Logger:
    Severity = SimpleNamespace(WARNING="Severity.WARNING")

    def log(self, level: str, message: str) -> None: ...


class Profiler:
    def report_layer_time(self, name: str, milliseconds: float) -> None: ...


def library(flavour: Any = "tensorrt", version: str = "10.3.0", **more: Any) -> Library:
    module = SimpleNamespace(
        ILogger=Logger, IProfiler=Profiler, Runtime=Runtime, Builder=object, __version__=version,
        TensorIOMode=SimpleNamespace(INPUT="in", OUTPUT="out"), DataType=SimpleNamespace(UINT8=UINT8), **more,
    )  # fmt: skip
    return Library(module, flavour, version, capabilities(module))
