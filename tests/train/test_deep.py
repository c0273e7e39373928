"""Deep supervision: the loss of inner layers against plain arithmetic, who learns, and that nothing of it stays."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
import safetensors.numpy
import torch
from torch.nn import functional as F

from edgeseg.nets.frame import FrameNet
from edgeseg.nets.npnet import NPNet
from edgeseg.train import losses, run
from edgeseg.train import recipe as recipes
from edgeseg.train.deep import Deep
from edgeseg.train.module import Segmenter
from edgeseg.train.teacher import watched

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.conftest import Ran


def scene() -> tuple[FrameNet, torch.Tensor, torch.Tensor]:
    torch.manual_seed(3)
    frames = torch.randint(0, 256, (2, 64, 96, 3), dtype=torch.uint8)
    truth = torch.zeros(2, 64, 96, dtype=torch.uint8)
    truth[:, 20:40, 30:60] = 1
    return FrameNet(NPNet(), [0.5] * 3, [0.25] * 3), frames, truth


def test_the_step_adds_the_loss_of_the_inner_layer(monkeypatch: pytest.MonkeyPatch) -> None:
    net, frames, truth = scene()
    settings = recipes.Optimise(epochs=1, batch=2, lr=1e-3, loss="dice_ce", deep=0.25)
    module = Segmenter(net, settings, 10, deep=Deep(net, 1)).eval()
    monkeypatch.setattr(module, "log", lambda *_args, **_keys: None)  # there is no trainer
    loss = losses.build("dice_ce")
    with torch.no_grad():
        with watched(net.net, ("stages",)) as seen:
            logits = net.logits(frames)
        assert module.deep is not None
        (head,) = module.deep.heads
        inner = F.interpolate(head(seen["stages"]), (64, 96), mode="bilinear")
        wanted = loss(logits, truth) + 0.25 * loss(inner, truth)
        assert seen["stages"].shape == (2, 128, 8, 12)
        assert float(module.training_step((frames, truth), 0)) == pytest.approx(float(wanted), rel=1e-5)
    optimizer = module.configure_optimizers()["optimizer"]
    trained = sum(value.numel() for group in optimizer.param_groups for value in group["params"])
    assert trained == 708_896 + 128 + 1


def test_the_loss_reaches_the_stages_and_the_head_but_nothing_behind_them() -> None:
    net, frames, truth = scene()
    deep = Deep(net, 1)
    with watched(net.net, deep.layers) as seen:
        net.logits(frames)
    deep(seen, truth, losses.build("dice_ce")).backward()
    learn = {name for name, value in net.named_parameters() if value.grad is not None and value.grad.abs().sum() > 0}
    assert {name.split(".")[1] for name in learn} == {"stages"}
    assert all(value.grad is not None for value in deep.parameters())


def test_nothing_of_it_stays(tmp_path: Path, tiny_data: Path, edgeseg_cli: Callable[..., Ran]) -> None:
    text = (recipes.FOLDER / "npnet-phantom.toml").read_text()
    recipe, out = tmp_path / "deep.toml", tmp_path / "out"
    recipe.write_text(text.replace("[train]", "[train]\ndeep = 0.4", 1))
    call = ["--data", str(tiny_data), "--imgsz", "64x96", "--epochs", "1", "--quiet", "--out"]
    assert edgeseg_cli("train", recipe, *call, out).code == 0
    assert json.loads((out / "manifest.json").read_text())["training"]["parameters"] == 708_896
    assert edgeseg_cli("train", "npnet-phantom", *call, tmp_path / "without").code == 0
    one, other = (
        safetensors.numpy.load((run / "weights.safetensors").read_bytes()) for run in (out, tmp_path / "without")
    )
    assert one.keys() == other.keys()
    assert any((one[name] != other[name]).any() for name in one)  # but it was there
    recipe.write_text(recipe.read_text().replace('name = "npnet"', 'name = "unet"'))
    said = edgeseg_cli("train", recipe, *call, tmp_path / "none").sentence(2)
    assert "UNet has no `deep`; set deep = 0 in the recipe" in said
    assert not (tmp_path / "none").exists()


def test_a_key_that_is_left_out_is_no_other_training(tmp_path: Path) -> None:
    """So a checkpoint outlasts an update that adds keys."""
    text = (recipes.FOLDER / "npnet-phantom.toml").read_text()
    said = []
    for number, key in enumerate(("", "deep = 0.0\n", "deep = 0.4\n")):
        file = tmp_path / f"{number}.toml"
        file.write_text(text.replace("[train]\n", f"[train]\n{key}", 1))
        said.append(run._identity(recipes.load(str(file))[0], 0, [], None, None, None, 1)["recipe"])
    assert said[0] == said[1] != said[2]
