"""The Lightning module: one training step, one validation step, the optimiser."""

from __future__ import annotations

import math
from typing import Any, Self, cast

import lightning
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed, nn
from torchmetrics import MeanMetric
from torchmetrics.classification import BinaryJaccardIndex

from edgeseg.metrics import auc, count, histograms
from edgeseg.nets.frame import FrameNet
from edgeseg.train import losses
from edgeseg.train.deep import Deep
from edgeseg.train.recipe import Optimise
from edgeseg.train.teacher import Lessons, watched


class Segmenter(lightning.LightningModule):
    """Trains a :class:`FrameNet` on uint8 frames [B, h, w, 3] and class indexes [B, h, w].

    ``lessons``: what a teacher adds to the loss; ``deep``: what inner layers do.
    """

    def __init__(
        self, net: FrameNet, settings: Optimise, steps: int, lessons: Lessons | None = None, deep: Deep | None = None
    ) -> None:
        super().__init__()
        self.net, self.lessons, self.deep = net, lessons, deep
        self.settings, self.steps = settings, steps
        self.loss = losses.build(settings.loss, settings.positive_weight)
        self.val_loss, self.val_dice = MeanMetric(), MeanMetric()
        self.val_iou = BinaryJaccardIndex()
        # Pixels of the validation frames by level of probability, target and other: their AUC.
        self.val_levels: list[NDArray[np.int64]] = []

    def train(self, mode: bool = True) -> Self:  # noqa: FBT001, FBT002 - torch has it so
        """Training mode; batch norms that the recipe freezes stay as in use."""
        super().train(mode)
        if self.settings.freeze_norms:
            for module in self.net.modules():
                if isinstance(module, nn.BatchNorm2d):
                    module.eval()
        return self

    def training_step(self, batch: tuple[Tensor, Tensor], index: int) -> Tensor:
        frames, truth = batch
        with watched(self.net.net, self.deep.layers if self.deep else ()) as inner:
            if self.lessons is None:
                loss = self.loss(self.net.logits(frames).float(), truth)
            else:
                logits, added = self.lessons(self.net, frames)
                loss = (1 - self.settings.distil) * self.loss(logits, truth) + added
        if self.deep:
            loss = loss + self.settings.deep * self.deep(inner, truth, self.loss)
        self.log("train_loss", loss, on_step=False, on_epoch=True, batch_size=len(frames))
        return loss

    def validation_step(self, batch: tuple[Tensor, Tensor], index: int) -> None:
        frames, truth = batch
        logits = self.net.logits(frames).float()
        self.val_loss.update(self.loss(logits, truth))
        predicted = classes(logits)
        probability = torch.sigmoid(logits.max(1).values).cpu().numpy()
        target, other = histograms(probability, truth.cpu().numpy() > 0)
        self.val_levels.append(np.stack([target, other]))
        self.val_iou.update((predicted > 0).int(), (truth > 0).int())
        for one, target in zip(predicted, truth, strict=True):
            figures = count(_mask(one), _mask(target)).figures()
            self.val_dice.update(figures["dice"] or 0.0)
        self.log_dict({"val_loss": self.val_loss, "val_dice": self.val_dice, "val_iou": self.val_iou}, prog_bar=True)

    def on_validation_epoch_start(self) -> None:
        self.val_levels = []

    def val_auc(self) -> float:
        """Pooled area under the ROC curve of the validation frames; any class against the background.

        Several processes have equal shares, so some frames count twice where they do not divide.
        """
        levels = torch.from_numpy(np.sum(self.val_levels, axis=0))
        if distributed.is_available() and distributed.is_initialized():  # each process saw its share of the frames
            levels = cast("Tensor", self.all_gather(levels)).sum(0).cpu()
        target, other = levels.numpy()
        return auc(target, other) or 0.0

    def configure_optimizers(self) -> Any:
        s = self.settings
        kind = torch.optim.AdamW if s.optimizer == "adamw" else torch.optim.Adam
        # One kernel for all weights instead of hundreds: small networks are bound by launches on a GPU.
        fused = self.device.type == "cuda"
        betas = s.betas[0], s.betas[1]
        optimizer = kind(self.parameters(), lr=s.lr, betas=betas, weight_decay=s.weight_decay, fused=fused)
        schedule = torch.optim.lr_scheduler.LambdaLR(optimizer, self.rate)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}

    def rate(self, step: int) -> float:
        """Share of the learning rate at a step; "poly" is (1 − t)^0.9."""
        warm = min(1.0, (step + 1) / self.settings.warmup_steps) if self.settings.warmup_steps else 1.0
        done = min(1.0, step / max(1, self.steps))
        match self.settings.schedule:
            case "poly":
                return float(warm * (1 - done) ** 0.9)
            case "cosine":
                return warm * (0.01 + 0.99 * (1 + math.cos(math.pi * done)) / 2)
        return warm


def classes(logits: Tensor) -> Tensor:
    """Class index [B, h, w] at threshold one half (one class) or by the largest logit."""
    best = logits.max(1)
    return torch.where(best.values > 0, best.indices + 1, 0)


def _mask(classes: Tensor) -> np.ndarray[Any, np.dtype[np.bool_]]:
    return np.asarray(classes.cpu().numpy() > 0)
