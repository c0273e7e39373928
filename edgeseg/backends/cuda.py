"""Memory and stream of one GPU in ten calls, so that another binding than pycuda can stand behind them.

Nothing here knows TensorRT. One thread makes such an object, uses it and closes it.
"""

from __future__ import annotations

import contextlib
import ctypes
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from edgeseg.errors import BackendError

Array = NDArray[np.uint8]
Work = Callable[[], None]
MIB = 1 << 20
OTHER_BACKEND = "or do without it (no --backend tensorrt, no --rebuild): the CPU backends need no GPU"
NO_PYCUDA = (
    "pycuda is not installed; run: pip install pycuda (it compiles: nvcc of the CUDA toolkit, g++ and Python's headers "
    "must be there)"
)
NO_DRIVER = f"no NVIDIA driver is installed (libcuda.so.1 is missing); install the GPU's driver, {OTHER_BACKEND}"


@dataclass(frozen=True)
class Card:
    """A GPU: name, compute capability such as "8.9", driver as cuDriverGetVersion counts, memory in MiB.

    ``bus_id`` says which: its index is CUDA's, which CUDA_VISIBLE_DEVICES renumbers.
    """

    name: str
    capability: str
    driver: int
    memory_mib: int
    bus_id: str = ""


class Cuda(Protocol):
    """What a runner needs of a GPU."""

    stream: int
    """Handle of the one stream; copies and engines are queued on it."""

    def card(self) -> Card: ...

    def pinned(self, shape: tuple[int, ...]) -> Array:
        """Page-locked host memory, zeros; copies from and to it do not block."""
        ...

    def device(self, nbytes: int) -> int:
        """Address of memory on the GPU."""
        ...

    def copy_in(self, address: int, host: Array) -> None:
        """Queues a copy to the GPU; ``host`` is pinned and left alone until :meth:`synchronize`."""
        ...

    def copy_out(self, host: Array, address: int) -> None:
        """Queues a copy from the GPU."""
        ...

    def synchronize(self) -> None:
        """Waits until the stream is empty.

        Raises:
            BackendError: what was queued failed; the GPU's context may be lost.
        """
        ...

    def capture(self, work: Work) -> object | None:
        """Records what ``work`` queues as a CUDA graph; None where that is not possible."""
        ...

    def launch(self, graph: object) -> None:
        """Queues a whole graph in one call."""
        ...

    def timed(self, work: Work) -> float:
        """Milliseconds that what ``work`` queues takes on the GPU, by two events on the stream."""
        ...

    def close(self) -> None:
        """Frees everything; a second call does nothing, and no error comes out of it."""
        ...


class PyCuda:
    """:class:`Cuda` by pycuda, on the *primary* context, which TensorRT, torch and the CUDA runtime share.

    Args:
        index: of the GPU.

    Raises:
        BackendError: no pycuda, no driver, no such GPU.
    """

    def __init__(self, index: int = 0) -> None:
        self._driver = driver = load_pycuda()
        self._context: Any = None
        self._memory: list[Any] = []
        self._hosts: list[Any] = []
        self._graphs: list[tuple[int, int]] = []
        self._library: Any = None
        self._card = find_card(index)
        with _sentences(driver, "open the GPU"):
            self._device = driver.Device(index)
            self._context = self._device.retain_primary_context()
            self._context.push()
            try:
                self._stream = driver.Stream(_NON_BLOCKING)
                self._events = driver.Event(), driver.Event()
            except BaseException:
                self._context.pop()
                raise
        self.stream: int = int(self._stream.handle)

    def card(self) -> Card:
        """The GPU."""
        return self._card

    def pinned(self, shape: tuple[int, ...]) -> Array:
        """Page-locked memory, zeros."""
        with _sentences(self._driver, f"lock {_mib(shape)} of memory"):
            host: Array = self._driver.pagelocked_empty(shape, np.uint8)
        host[...] = 0
        self._hosts.append(host.base)
        return host

    def device(self, nbytes: int) -> int:
        """Memory on the GPU."""
        with _sentences(self._driver, f"allocate {_mib((nbytes,))} of GPU memory"):
            one = self._driver.mem_alloc(nbytes)
        self._memory.append(one)
        return int(one)

    def copy_in(self, address: int, host: Array) -> None:
        """To the GPU."""
        with _sentences(self._driver, "copy to the GPU"):
            self._driver.memcpy_htod_async(address, host, self._stream)

    def copy_out(self, host: Array, address: int) -> None:
        """From the GPU."""
        with _sentences(self._driver, "copy from the GPU"):
            self._driver.memcpy_dtoh_async(host, address, self._stream)

    def synchronize(self) -> None:
        """Waits for the stream."""
        with _sentences(self._driver, "run"):
            self._stream.synchronize()

    def capture(self, work: Work) -> object | None:
        """A CUDA graph by the driver's own calls, which pycuda does not have."""
        library = self._symbols()
        if library is None or library.cuStreamBeginCapture_v2(ctypes.c_void_p(self.stream), _THREAD_LOCAL):
            return None
        graph, executable = ctypes.c_void_p(), ctypes.c_void_p()
        failed = False
        try:
            work()
        except BackendError:
            failed = True
        finally:
            ended = library.cuStreamEndCapture(ctypes.c_void_p(self.stream), ctypes.byref(graph))
        if failed or ended or not graph.value:
            return None
        if library.cuGraphInstantiateWithFlags(ctypes.byref(executable), graph, ctypes.c_ulonglong(0)):
            library.cuGraphDestroy(graph)
            return None
        self._graphs.append((int(executable.value or 0), int(graph.value)))
        return executable

    def launch(self, graph: object) -> None:
        """Queues a graph."""
        number = self._library.cuGraphLaunch(graph, ctypes.c_void_p(self.stream))
        if number:
            raise BackendError(f"the GPU failed to launch a CUDA graph (CUDA error {number}); {_LOST}")

    def timed(self, work: Work) -> float:
        """By events."""
        start, end = self._events
        with _sentences(self._driver, "run"):
            start.record(self._stream)
            work()
            end.record(self._stream)
            end.synchronize()
            return float(start.time_till(end))

    def close(self) -> None:
        """Frees graphs, memory, stream and the hold on the context, in that order."""
        if self._context is None:
            return
        context, self._context = self._context, None
        # On a lost context every call fails; the driver frees all of it when the process ends.
        lost = self._driver.Error
        with contextlib.suppress(lost):
            self._stream.synchronize()
        for executable, graph in self._graphs:
            self._library.cuGraphExecDestroy(ctypes.c_void_p(executable))
            self._library.cuGraphDestroy(ctypes.c_void_p(graph))
        for one in (*self._memory, *self._hosts):
            with contextlib.suppress(lost):
                one.free()
        self._memory, self._hosts, self._graphs = [], [], []
        del self._stream, self._events
        with contextlib.suppress(lost):
            context.pop()
        with contextlib.suppress(lost):
            context.detach()

    def _symbols(self) -> Any:
        """The driver's library, or None where it has no CUDA graphs."""
        if self._library is None:
            library = ctypes.CDLL("libcuda.so.1")
            wanted = ("cuStreamBeginCapture_v2", "cuStreamEndCapture", "cuGraphInstantiateWithFlags", "cuGraphLaunch")
            if not all(hasattr(library, name) for name in wanted):
                return None
            self._library = library
        return self._library


_NON_BLOCKING = 1  # CU_STREAM_NON_BLOCKING: does not wait for the legacy default stream
_THREAD_LOCAL = 1  # CU_STREAM_CAPTURE_MODE_THREAD_LOCAL: other threads' calls do not spoil a capture
_HELP = f"`nvidia-smi` must list one; {OTHER_BACKEND}"
_LOST = "the GPU's context is lost: start the program again, and look into `dmesg` for the GPU's own message"


def load_pycuda() -> Any:
    """pycuda.driver; importing it needs the driver, so it is done late.

    Raises:
        BackendError: not installed, or no driver.
    """
    try:
        from pycuda import driver
    except ModuleNotFoundError as error:
        raise BackendError(NO_PYCUDA) from error
    except ImportError as error:
        if "libcuda" in str(error):
            raise BackendError(NO_DRIVER) from error
        raise BackendError(
            f"pycuda does not load ({_said(error)}); run: pip install --force-reinstall pycuda"
        ) from error
    return driver


def find_card(index: int = 0) -> Card:
    """What GPU is there, without opening it.

    Raises:
        BackendError: no pycuda, no driver, no GPU, or none of that index.
    """
    driver = load_pycuda()
    try:
        driver.init()
        count = driver.Device.count()
        if index >= count:
            raise BackendError(f"there is no GPU {index}, only {count}; give a --device below {count}")
        device = driver.Device(index)
        major, minor = device.compute_capability()
        return Card(
            device.name(), f"{major}.{minor}", driver.get_driver_version(), device.total_memory() // MIB,
            device.pci_bus_id(),
        )  # fmt: skip
    except driver.Error as error:
        raise BackendError(f"no NVIDIA GPU can be used ({_said(error)}); {_HELP}") from error


@contextlib.contextmanager
def _sentences(driver: Any, what: str) -> Iterator[None]:
    """Turns pycuda's exceptions into one sentence.

    Raises:
        BackendError: memory ran out, the context is lost, or anything else that the driver says.
    """
    try:
        yield
    except driver.MemoryError as error:
        raise BackendError(
            f"the GPU is out of memory: it could not {what}; close what else uses it (`nvidia-smi` lists it), "
            "or take a smaller batch"
        ) from error
    except (driver.LaunchError, driver.RuntimeError) as error:
        raise BackendError(f"the GPU failed to {what} ({_said(error)}); {_LOST}") from error
    except driver.Error as error:
        raise BackendError(
            f"the GPU failed to {what} ({_said(error)}); `edgeseg doctor` shows what is installed"
        ) from error


def _mib(shape: tuple[int, ...]) -> str:
    return f"{np.prod(shape) / MIB:.1f} MiB"


def _said(error: BaseException) -> str:
    return " ".join(str(error).split())[:200]
