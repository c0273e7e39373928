"""OpenVINO on the CPU: the fast one.

``INFERENCE_PRECISION_HINT`` is always set: left alone, OpenVINO computes an fp32 model in bf16 on
machines that can, and figures would depend on the machine.
"""

from __future__ import annotations

import io
import queue
from typing import TYPE_CHECKING

import numpy as np

from edgeseg.backends.onnxruntime import first_line
from edgeseg.errors import BackendError
from edgeseg.machine import cpus

if TYPE_CHECKING:
    import openvino as ov
    from numpy.typing import NDArray

    from edgeseg.backends.base import EngineOptions


def version() -> str:
    """Raises: BackendError where it is not installed."""
    try:
        import openvino
    except ImportError as error:
        raise BackendError("openvino is not installed; run: pip install openvino") from error
    return str(openvino.__version__).split("-")[0]


class _Slot:
    """One infer request with its input buffer, bound once."""

    def __init__(self, request: ov.InferRequest) -> None:
        self.request = request
        self.buffer: NDArray[np.uint8] | None = None


class OpenVinoEngine:
    """A graph in OpenVINO, with an infer request for every stream."""

    def __init__(self, graph: bytes, options: EngineOptions) -> None:
        version()
        import openvino as ov
        from openvino.frontend import FrontEndManager

        settings: dict[str, object] = {
            "INFERENCE_PRECISION_HINT": "bf16" if options.precision == "bf16" else "f32",
            "PERFORMANCE_HINT": "LATENCY" if options.streams == 1 else "THROUGHPUT",
            "NUM_STREAMS": options.streams,
        }
        if options.threads or options.streams > 1:
            settings["INFERENCE_NUM_THREADS"] = options.threads or cpus()
        try:
            # As ONNX, which is what was checked: left to guess, OpenVINO finds its own XML format in bytes that are a
            # sound ONNX file too.
            onnx = FrontEndManager().load_by_framework("onnx")
            compiled = ov.Core().compile_model(onnx.convert(onnx.load(io.BytesIO(graph))), "CPU", settings)
            self._slots: queue.SimpleQueue[_Slot] = queue.SimpleQueue()
            for _ in range(options.streams):
                self._slots.put(_Slot(compiled.create_infer_request()))
            sizes = [axis.get_length() if axis.is_static else 0 for axis in compiled.input(0).get_partial_shape()]
        except Exception as error:  # its exceptions are RuntimeError and a few of its own
            raise BackendError(f"openvino refuses the graph: {first_line(error)}") from error
        self.shape = (sizes[0], sizes[1], sizes[2], sizes[3])
        self._tensor = ov.Tensor
        self._closed = False

    def run(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        """uint8 [B, h, w, 3] → uint8 [B, classes − 1, h, w]; the result is the caller's own.

        Raises:
            BackendError: the runtime failed, or the engine is closed.
        """
        if self._closed:
            raise BackendError("openvino: the engine is closed; load the model again")
        slot = self._slots.get()
        try:
            if slot.buffer is None or slot.buffer.shape != frames.shape:
                slot.buffer = np.empty(frames.shape, np.uint8)
                slot.request.set_input_tensor(self._tensor(slot.buffer, shared_memory=True))
            np.copyto(slot.buffer, frames)
            slot.request.infer()
            out: NDArray[np.uint8] = slot.request.get_output_tensor(0).data.copy()
        except Exception as error:
            raise BackendError(f"openvino failed: {first_line(error)}") from error
        finally:
            self._slots.put(slot)
        return out

    def close(self) -> None:
        """Frees the requests; a second call does nothing."""
        self._closed = True
        self._slots = queue.SimpleQueue()
