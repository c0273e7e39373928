"""Training by the clock: the learning rate's schedule follows it, and the step at its end is the last."""

from __future__ import annotations

from time import monotonic
from typing import TYPE_CHECKING, Any

from lightning.pytorch.callbacks import Callback

from edgeseg.train.module import Segmenter

if TYPE_CHECKING:
    import lightning


class Budget(Callback):
    """Ends a training after a time, in the middle of an epoch if need be; that epoch is validated as any other.

    An estimate from whole epochs would not do: on a GPU the first ones also load and tune kernels.

    Args:
        seconds: from the first training step to the end of the last.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._start = 0.0

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._start = monotonic()
        trainer.fit_loop.max_epochs = -1

    def on_train_batch_end(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, outputs: Any, batch: Any, batch_idx: int
    ) -> None:
        if not isinstance(pl_module, Segmenter):
            raise TypeError(type(pl_module))
        share = (monotonic() - self._start) / self.seconds
        # So many steps would be taken in all at this pace: the schedule's place is then the clock's.
        pl_module.steps = max(trainer.global_step, int(trainer.global_step / max(share, 1e-6)))
        if share >= 1:
            trainer.should_stop = True

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        # The time may run out while an epoch is validated.
        if monotonic() - self._start >= self.seconds:
            trainer.should_stop = True
