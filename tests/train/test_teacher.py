"""Learning from a teacher: the loss against plain arithmetic, what is trained, and what the command refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import safetensors.numpy
import torch
from torch.nn import functional as F

from edgeseg.nets.effunet import EffUNet
from edgeseg.nets.frame import FrameNet
from edgeseg.nets.npnet import NPNet
from edgeseg.train import recipe as recipes
from edgeseg.train.module import Segmenter
from edgeseg.train.teacher import Lessons, watched

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.conftest import Ran


def frame_net(net: torch.nn.Module) -> FrameNet:
    return FrameNet(net, [0.5] * 3, [0.25] * 3)


def frames(seed: int = 0) -> torch.Tensor:
    return torch.randint(0, 256, (2, 64, 96, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(seed))


def test_the_loss_is_the_cross_entropy_and_the_error_of_normalised_features() -> None:
    torch.manual_seed(1)
    student, teacher = frame_net(NPNet()).eval(), frame_net(EffUNet())
    lessons = Lessons(student, teacher, 0.25, 2.0)
    seen = frames()
    logits, added = lessons(student, seen)
    assert torch.equal(logits, student.logits(seen))
    with torch.no_grad():
        said = torch.sigmoid(teacher.logits(seen))
        with watched(teacher.net, ("decoder.0", "decoder.1")) as there:
            teacher.logits(seen)
        with watched(student.net, ("enhance",)) as here:
            student.logits(seen)
        p = torch.sigmoid(logits)
        cross = -(said * p.log() + (1 - said) * (1 - p).log()).mean()
        coarse = F.interpolate(there["decoder.0"], (8, 12), mode="bilinear")
        both = torch.cat([coarse, there["decoder.1"]], 1)
        mean, variance = both.mean((0, 2, 3), keepdim=True), both.var((0, 2, 3), keepdim=True, unbiased=False)
        wanted = (both - mean) / (variance + 1e-5).sqrt()
        weight, bias = lessons.translate.weight[:, :, 0, 0], lessons.translate.bias
        given = torch.einsum("oc,bchw->bohw", weight, here["enhance"]) + bias[:, None, None]
        error = ((given - wanted) ** 2).mean()
    assert float(added.detach()) == pytest.approx(float(0.25 * cross + 2.0 * error), rel=1e-4)


def test_the_student_and_the_translation_learn_and_the_teacher_does_not() -> None:
    torch.manual_seed(2)
    student, teacher = frame_net(NPNet()), frame_net(EffUNet())
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    lessons = Lessons(student, teacher, 0.5, 1.0)
    settings = recipes.Optimise(epochs=1, batch=2, lr=1e-3, loss="dice_ce", distil=0.5, hint=1.0)
    module = Segmenter(student, settings, 10, lessons)
    assert not any("decoder" in name for name in module.state_dict())  # nothing of the teacher in a checkpoint
    optimizer = module.configure_optimizers()["optimizer"]
    trained = sum(value.numel() for group in optimizer.param_groups for value in group["params"])
    assert trained == 708_896 + 256 * 224 + 224
    errors = []
    for _ in range(12):
        optimizer.zero_grad()
        _, added = lessons(student, frames())
        added.backward()
        optimizer.step()
        errors.append(float(added.detach()))
    assert errors[-1] < 0.8 * errors[0]
    assert all(torch.equal(before[name], value) for name, value in teacher.state_dict().items())


def test_no_hint_without_layers_to_compare() -> None:
    student, teacher = frame_net(NPNet()), frame_net(torch.nn.Conv2d(3, 1, 1))
    with pytest.raises(ValueError, match="Conv2d has no `hint`"):
        Lessons(student, teacher, 0.5, 1.0)
    logits, added = Lessons(student, teacher, 0.5, 0.0)(student, frames())
    assert logits.shape == (2, 1, 64, 96)
    assert torch.isfinite(added)


def taught(tmp_path: Path, keys: str) -> Path:
    text = (recipes.FOLDER / "npnet-phantom.toml").read_text().replace("[train]", f"[train]\n{keys}", 1)
    file = tmp_path / "taught.toml"
    file.write_text(text)
    return file


def test_a_run_teaches_another(
    tmp_path: Path, tiny_data: Path, tiny_run: Path, edgeseg_cli: Callable[..., Ran]
) -> None:
    recipe = taught(tmp_path, "distil = 0.5\nhint = 1.0")
    call = ["train", str(recipe), "--data", str(tiny_data), "--imgsz", "64x96", "--epochs", "1", "--quiet", "--out"]
    first, again = tmp_path / "first", tmp_path / "again"
    assert edgeseg_cli(*call, first, "--teacher", tiny_run).code == 0
    training = json.loads((first / "manifest.json").read_text())["training"]
    teacher = json.loads((tiny_run / "manifest.json").read_text())["training"]
    assert training["teacher_sha256"] == teacher["weights_sha256"]
    assert training["parameters"] == 708_896
    one = safetensors.numpy.load((first / "weights.safetensors").read_bytes())
    assert one.keys() == safetensors.numpy.load((tiny_run / "weights.safetensors").read_bytes()).keys()
    assert edgeseg_cli(*call, again, "--teacher", tiny_run).code == 0
    assert (first / "weights.safetensors").read_bytes() == (again / "weights.safetensors").read_bytes()


def test_what_is_refused(tmp_path: Path, tiny_data: Path, tiny_run: Path, edgeseg_cli: Callable[..., Ran]) -> None:
    call = ["--data", tiny_data, "--imgsz", "64x96", "--quiet", "--out", tmp_path / "out"]
    recipe = taught(tmp_path, "hint = 1.0")
    assert "give that run with --teacher" in edgeseg_cli("train", recipe, *call).sentence(2)
    assert "learns from no teacher" in edgeseg_cli("train", "npnet-phantom", *call, "--teacher", tiny_run).sentence(2)
    assert "gone" in edgeseg_cli("train", recipe, *call, "--teacher", tmp_path / "gone").sentence(3)
    assert "dnlnet-vessel: is no run" in edgeseg_cli("train", recipe, *call, "--teacher", "dnlnet-vessel").sentence(3)
    other = ("--seed", 7, "--teacher", tiny_run)
    assert f"--teacher {tiny_run}" in edgeseg_cli("train", recipe, *call, *other).sentence(2)
    clahe = recipe.with_name("clahe.toml")
    steps = '[input]\nsteps = [{ op = "clahe", clip_limit = 2.0, tiles = 8 }]'
    clahe.write_text(recipe.read_text().replace("[input]", steps, 1))
    assert "other steps or window" in edgeseg_cli("train", clahe, *call, "--teacher", tiny_run).sentence(2)
    assert not (tmp_path / "out").exists()


def test_published_weights_are_for_the_network_that_has_them(
    tmp_path: Path, tiny_data: Path, edgeseg_cli: Callable[..., Ran]
) -> None:
    call = ["--data", tiny_data, "--imgsz", "64x96", "--quiet", "--out", tmp_path / "out"]
    recipe = taught(tmp_path, "pretrained = true")
    assert "only effunet has published weights" in edgeseg_cli("train", recipe, *call).sentence(2)
    assert not (tmp_path / "out").exists()
