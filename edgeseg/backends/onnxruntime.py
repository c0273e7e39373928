"""ONNX Runtime on the CPU: the portable reference."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from edgeseg.errors import BackendError
from edgeseg.machine import cpus

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from edgeseg.backends.base import EngineOptions

# Silently wrong on INT8 graphs with FP16 scales (39.6 → 5.0 dB); the optimiser is off for everybody.
_DISABLED = ["WeightBiasQuantization"]
# Without VNNI an x86 CPU adds 8-bit products in pairs in 16 bits, which weights beyond 7 bits overflow silently. With
# this such weights are computed in 16 bits there; with VNNI and for 7-bit weights it changes nothing.
_EXACT = ("session.x64quantprecision", "1")


def version() -> str:
    """Raises: BackendError where it is not installed."""
    try:
        import onnxruntime
    except ImportError as error:
        raise BackendError("onnxruntime is not installed; run: pip install onnxruntime") from error
    return str(onnxruntime.__version__)


def threads_per_stream(options: EngineOptions) -> int:
    """Threads of one call; 0 lets the runtime take all."""
    if options.streams == 1:
        return options.threads
    return max(1, (options.threads or cpus()) // options.streams)


class OnnxRuntimeEngine:
    """A graph in ONNX Runtime."""

    def __init__(self, graph: bytes, options: EngineOptions) -> None:
        version()
        import onnxruntime as ort

        settings = ort.SessionOptions()
        settings.intra_op_num_threads = threads_per_stream(options)
        settings.inter_op_num_threads = 1
        settings.log_severity_level = 4
        settings.add_session_config_entry(*_EXACT)
        if not options.optimise:
            settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            self._session = ort.InferenceSession(
                graph, settings, providers=["CPUExecutionProvider"], disabled_optimizers=_DISABLED
            )
        except Exception as error:  # its exceptions share no base but Exception
            raise BackendError(f"onnxruntime refuses the graph: {first_line(error)}") from error
        entry = self._session.get_inputs()[0]
        batch, height, width, channels = (size if isinstance(size, int) else 0 for size in entry.shape)
        self.shape = (batch, height, width, channels)
        self._name = entry.name

    def run(self, frames: NDArray[np.uint8]) -> NDArray[np.uint8]:
        if self._session is None:
            raise BackendError("onnxruntime failed: the engine is closed")
        try:
            out: NDArray[np.uint8] = self._session.run(["probability"], {self._name: frames})[0]
        except Exception as error:
            raise BackendError(f"onnxruntime failed: {first_line(error)}") from error
        return out

    def close(self) -> None:
        self._session = None


def first_line(error: BaseException) -> str:
    """What an error says, less the trace that runtimes append."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
