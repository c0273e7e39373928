"""A bundle to begin a training with: its float graph unfolded again computes the same, in training too."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnxruntime
import pytest
import torch
from torch import nn

from edgeseg.errors import ModelError
from edgeseg.train import recipe as recipes
from edgeseg.train.load import open_start
from edgeseg.train.run import make_net
from edgeseg.train.unfold import settle, unfold

if TYPE_CHECKING:
    from edgeseg.nets.frame import FrameNet
    from tests.conftest import Ran


def frames(count: int = 4) -> torch.Tensor:
    """Smooth frames uint8 [N, 288, 384, 3]."""
    small = np.random.default_rng(0).uniform(20, 235, (count, 3, 9, 12)).astype(np.float32)
    large = nn.functional.interpolate(torch.from_numpy(small), (288, 384), mode="bicubic")
    return large.clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous()


def unfolded() -> tuple[FrameNet, bytes]:
    start = open_start("npnet-polyp")
    net = make_net(recipes.load("npnet-polyp-fine")[0]).eval()
    unfold(net, start.data, "--from npnet-polyp")
    return net, start.data


def test_it_computes_what_the_graph_does_before_and_after_settling() -> None:
    net, graph = unfolded()
    shown = frames()
    session = onnxruntime.InferenceSession(graph)
    wanted = np.concatenate([session.run(None, {"frame": one[None].numpy()})[0] for one in shown])
    with torch.no_grad():
        for _ in range(2):
            assert np.abs(net(shown).numpy().astype(int) - wanted).max() <= 1
            settle(net, [shown[:2], shown[2:]])


def test_settled_it_computes_the_same_in_training() -> None:
    net, _ = unfolded()
    shown = frames()

    def apart() -> float:
        with torch.no_grad():
            used = net.eval().logits(shown)
            trained = net.train().logits(shown)
        return float((used - trained).abs().mean() / used.std())

    before = apart()
    net, _ = unfolded()
    settle(net, [shown])
    assert not net.training
    assert apart() < 1e-3
    assert before > 0.1
    norms = [one for one in net.modules() if isinstance(one, nn.BatchNorm2d)]
    assert all(float(one.running_var.std()) > 0 for one in norms if one.running_var is not None)


def test_a_graph_of_another_network() -> None:
    start = open_start("npnet-polyp")
    wider = recipes.load("npnet-polyp-fine")[0]
    wider.network.options["attention"] = "se"
    with pytest.raises(ModelError, match=r"here: its float graph has no stages\.3\.squeeze\.bias; begin with a run"):
        unfold(make_net(wider), start.data, "here")
    vessel = open_start("dnlnet-vessel")
    with pytest.raises(ModelError, match=r"here: its float graph has no fusions.*; begin with a run"):
        unfold(make_net(recipes.load("dnlnet-drive")[0]), vessel.data, "here")


def test_training_goes_on_from_a_zoo_name(tiny_data: Path, tmp_path: Path, edgeseg_cli: Callable[..., Ran]) -> None:
    out = tmp_path / "run"
    words = ["train", "npnet-polyp-fine", "--imgsz", "64x96", "--batch", 4, "--epochs", 1, "--quiet"]
    done = edgeseg_cli(*words, "--data", tiny_data, "--from", "npnet-polyp", "--out", out)
    assert done.code == 0, done.err
    manifest = json.loads((out / "manifest.json").read_text())
    start = open_start("npnet-polyp")
    assert start.manifest is not None
    assert manifest["training"]["parent_sha256"] == start.manifest.training.weights_sha256
    net, _ = unfolded()
    import safetensors.torch

    weights = safetensors.torch.load_file(out / "weights.safetensors")
    # One epoch of a warming-up rate away from the zoo's, not a fresh network.
    there = dict(net.state_dict())["net.head.weight"]
    assert float((weights["net.head.weight"] - there).abs().max()) < 0.1 * float(there.abs().max())


def test_frames_that_a_bundle_may_have_seen(tiny_data: Path, tmp_path: Path, edgeseg_cli: Callable[..., Ran]) -> None:
    same_name = tmp_path / "kvasir_seg"
    shutil.copytree(tiny_data, same_name)
    words = ["train", "npnet-polyp-fine", "--data", same_name, "--from", "npnet-polyp", "--out", tmp_path / "run"]
    done = edgeseg_cli(*words)
    assert done.code == 2
    assert "--from npnet-polyp: was trained on a data set kvasir_seg" in done.err
    assert not (tmp_path / "run").exists()


def test_research_frames_keep_their_parts(
    data_dir: Callable[[str], Path], tmp_path: Path, edgeseg_cli: Callable[..., Ran]
) -> None:
    words = ["train", "npnet-polyp-fine", "--data", data_dir("kvasir_seg"), "--from", "npnet-polyp"]
    wrong = tmp_path / "list_train.txt"
    # Test frames of the zoo's model as training frames are no matter for it; validation frames as test frames are.
    held = (data_dir("kvasir_seg") / "train.txt").read_text().splitlines()
    wrong.write_text("\n".join(held[:600]) + "\n")
    (tmp_path / "list_test.txt").write_text("\n".join(held[600:]) + "\n")
    done = edgeseg_cli(*words, "--split", wrong, "--out", tmp_path / "run")
    assert done.code == 2
    assert "were in its train split and are in this training's test split" in done.err
