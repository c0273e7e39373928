"""MODEL → something that predicts: a run in PyTorch (floats), everything else through a backend (uint8)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from edgeseg.bundle import Source
from edgeseg.console import require

if TYPE_CHECKING:
    from edgeseg.evaluate import Predict


@dataclass(frozen=True)
class Predictor:
    """``auc_from`` says what AUC is computed from: "float" for a run, "uint8" for an engine."""

    predict: Predict
    engine: str
    auc_from: str
    backend: str
    precision: str


@contextmanager
def open_predictor(
    source: Source, backend: str = "auto", precision: str = "auto", *, device: int = 0, threads: int = 0
) -> Iterator[Predictor]:
    """Loads whatever MODEL is; closed at the end of the block.

    Raises:
        BackendError: what was asked for cannot run here.
        ModelError: the model's files are rejected.
    """
    if source.kind == "run" and backend == "auto" and precision in ("auto", "fp32"):
        require("train", "torch")
        from edgeseg.train.load import RunPredictor, load_run

        predictor = RunPredictor(load_run(source), device)
        yield Predictor(predictor, f"the run in PyTorch (fp32{predictor.card})", "float", "torch", "fp32")
        return
    with source.load(backend, precision, device=device, threads=threads) as model:
        run: Callable[..., object] = model.run
        yield Predictor(run, str(model.engine), "uint8", model.engine.backend, model.engine.precision)  # type: ignore[arg-type]
