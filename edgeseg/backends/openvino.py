"""OpenVINO on the CPU: the fast one.

``INFERENCE_PRECISION_HINT`` is always set: left alone, OpenVINO computes an fp32 model in bf16 on
machines that can, and figures would depend on the machine.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgeseg.backends.onnxruntime import first_line
from edgeseg.errors import BackendError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgeseg.backends.base import EngineOptions


def version() -> str:
    """Raises: BackendError where it is not installed."""
    try:
        import openvino
    except ImportError as error:
        raise BackendError("openvino is not installed; run: pip install openvino") from error
    return str(openvino.__version__).split("-")[0]


class OpenVinoEngine:
    """A graph in OpenVINO; input and output buffers are bound once."""

    def __init__(self, graph: bytes, options: EngineOptions) -> None:
        version()
        import openvino as ov

        settings: dict[str, object] = {
            "INFERENCE_PRECISION_HINT": "bf16" if options.precision == "bf16" else "f32",
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
        }
        if options.threads:
            settings["INFERENCE_NUM_THREADS"] = options.threads
        try:
            core = ov.Core()
            model = core.read_model(model=graph)
            self._request = core.compile_model(model, "CPU", settings).create_infer_request()
            shape = model.input(0).get_partial_shape()
            sizes = [axis.get_length() if axis.is_static else 0 for axis in shape]
        except Exception as error:  # its exceptions are RuntimeError and a few of its own
            raise BackendError(f"openvino refuses the graph: {first_line(error)}") from error
        self.shape = (sizes[0], sizes[1], sizes[2], sizes[3])
        self._tensor = ov.Tensor
        self._buffer: NDArray[np.uint8] | None = None

    def run(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        try:
            if self._buffer is None or self._buffer.shape != frames.shape:
                self._buffer = np.empty(frames.shape, np.uint8)
                self._request.set_input_tensor(self._tensor(self._buffer, shared_memory=True))
            np.copyto(self._buffer, frames)
            self._request.infer()
            out: NDArray[np.uint8] = self._request.get_output_tensor(0).data.copy()
        except Exception as error:
            raise BackendError(f"openvino failed: {first_line(error)}") from error
        return out

    def close(self) -> None:
        self._request = self._buffer = None
