"""Which epoch's weights a training hands over."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from edgeseg.metrics import histograms
from edgeseg.nets.dnlnet import DNLNet
from edgeseg.nets.frame import FrameNet
from edgeseg.train.module import Segmenter
from edgeseg.train.recipe import Optimise
from edgeseg.train.recorder import Recorder

# Dice and the share of target pixels that stand above the others, by epoch.
EPOCHS = ((0.9, 0.6), (0.5, 0.8), (0.6, 0.7))


@pytest.mark.parametrize(("keep", "epoch"), [("best", 0), ("best auc", 1), ("last", 2)])
def test_the_kept_epoch(keep: str, epoch: int, tmp_path: Path) -> None:
    module = Segmenter(FrameNet(DNLNet(width=4), [0.5] * 3, [0.2] * 3), Optimise(epochs=3, batch=1, lr=1e-3), 3)
    recorder = Recorder(tmp_path, {}, keep, ("0" * 12, False))
    truth = np.arange(100) < 50
    for number, (dice, above) in enumerate(EPOCHS):
        for metric in (module.val_dice, module.val_loss, module.val_iou):
            metric.reset()
        module.on_validation_epoch_start()
        module.val_dice.update(dice)
        module.val_loss.update(0.3)
        module.val_iou.update(torch.tensor([1, 0]), torch.tensor([1, 0]))
        probability = np.where(truth, np.where(np.arange(100) < 50 * above, 0.9, 0.1), 0.5).astype(np.float32)
        module.val_levels.append(np.stack(histograms(probability, truth)))
        trainer: Any = SimpleNamespace(current_epoch=number)
        recorder.on_validation_epoch_end(trainer, module)
        assert recorder.rows[-1]["val_auc"] == pytest.approx(above)
    assert recorder.epoch == epoch
    assert recorder.table().splitlines()[0] == "epoch,train_loss,val_loss,val_dice,val_iou,val_auc"
