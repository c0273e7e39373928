"""Training by the clock: as many epochs as fit into the time given."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from lightning.pytorch.callbacks import Callback

from edgeseg.train.module import Segmenter

if TYPE_CHECKING:
    import lightning


class Budget(Callback):
    """Sets the number of epochs anew after each, from how long they took; the learning rate's schedule follows.

    Args:
        seconds: from the first training step to the end of the last epoch.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self._start = self._first = 0.0
        self._before = 0

    def on_train_start(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self._start = time.monotonic()
        self._before = trainer.current_epoch

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if not isinstance(pl_module, Segmenter):
            raise TypeError(type(pl_module))
        now, done = time.monotonic(), trainer.current_epoch + 1 - self._before
        # The first epoch also loads and tunes kernels; it counts towards the time but not towards the pace.
        pace = (now - self._first) / (done - 1) if done > 1 else now - self._start
        if done == 1:
            self._first = now
        left = int(max(0.0, self._start + self.seconds - now) / pace)
        epochs = trainer.current_epoch + 1 + left
        pl_module.steps = max(1, pl_module.steps * epochs // max(1, trainer.max_epochs or 1))
        trainer.fit_loop.max_epochs = epochs
