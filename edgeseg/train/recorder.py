"""What a training keeps of itself: the history of its figures and the weights it will hand over.

Both travel in ``last.ckpt``, one file written at once, so no moment of a kill leaves them apart.
"""

from __future__ import annotations

import csv
import io
from pathlib import Path
from typing import Any

import lightning
import torch
from lightning.pytorch.callbacks import Callback
from torch import Tensor

from edgeseg.atomic import atomic_write
from edgeseg.errors import InputError, UsageError
from edgeseg.train.module import Segmenter


class Recorder(Callback):
    """Writes ``metrics.csv`` after each epoch and holds the kept epoch's weights.

    Must stand before a weight-averaging callback: it then sees the averaged weights that were validated.

    Args:
        folder: the run.
        identity: what must be equal for a resume: recipe, seed, frames, …
        keep: "last", "best" (Dice) or "best auc".
        commit: of the checkout that trains, and whether it was changed; a resume keeps what the training began at.
    """

    def __init__(self, folder: Path, identity: dict[str, str], keep: str, commit: tuple[str, bool]) -> None:
        self.folder, self.identity, self.keep, self.commit = folder, identity, keep, commit
        self.rows: list[dict[str, float]] = []
        self.epoch = -1
        self.best = -1.0
        self.weights: dict[str, Tensor] = {}

    def on_validation_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        if not isinstance(pl_module, Segmenter):
            raise TypeError(type(pl_module))
        dice = float(pl_module.val_dice.compute())
        row = {"val_loss": pl_module.val_loss, "val_dice": pl_module.val_dice, "val_iou": pl_module.val_iou}
        figures = {name: round(float(metric.compute()), 6) for name, metric in row.items()}
        figures["val_auc"] = round(pl_module.val_auc(), 6)
        self.rows.append({"epoch": trainer.current_epoch, **figures})
        if not torch.isfinite(torch.tensor(figures["val_loss"])):
            raise InputError(
                f"the loss became {figures['val_loss']} in epoch {trainer.current_epoch}; lower lr in the recipe"
            )
        merit = figures["val_auc"] if self.keep == "best auc" else dice
        if self.keep == "last" or merit > self.best:
            self.best, self.epoch = merit, trainer.current_epoch
            self.weights = {name: value.detach().cpu().clone() for name, value in pl_module.net.state_dict().items()}

    def on_train_epoch_end(self, trainer: lightning.Trainer, pl_module: lightning.LightningModule) -> None:
        self.rows[-1]["train_loss"] = round(float(trainer.callback_metrics["train_loss"]), 6)
        if trainer.is_global_zero:
            atomic_write(self.folder / "metrics.csv", self.table())

    def table(self) -> str:
        """The history as CSV."""
        text = io.StringIO()
        writer = csv.DictWriter(text, ["epoch", "train_loss", "val_loss", "val_dice", "val_iou", "val_auc"])
        writer.writeheader()
        writer.writerows(self.rows)
        return text.getvalue()

    def state_dict(self) -> dict[str, Any]:
        return {
            "identity": self.identity,
            "commit": self.commit,
            "rows": self.rows,
            "epoch": self.epoch,
            "best": self.best,
            "weights": self.weights,
        }

    def check(self, identity: dict[str, str]) -> None:
        """Whether a checkpoint of ``identity`` can be gone on with.

        Raises:
            UsageError: it is of a training with other settings.
        """
        for key, value in self.identity.items():
            # Older checkpoints do not name what they could not have, nor the validation frames that they had.
            was = identity.get(key, value if key == "validation frames" else "none")
            if was != value:
                raise UsageError(
                    f"{self.folder}: cannot resume, its {key} was {was} and is now {value}; "
                    "give the same command as before, or another --out"
                )

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        self.rows, self.epoch = state_dict["rows"], state_dict["epoch"]
        self.best, self.weights = state_dict["best"], state_dict["weights"]
        self.commit = state_dict.get("commit", self.commit)  # older checkpoints do not tell theirs
