"""A bundle to begin a training with: its float graph unfolded again computes the same, in training too."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from torch import nn

from edgeseg.errors import ModelError
from edgeseg.train import recipe as recipes
from edgeseg.train.load import open_start
from edgeseg.train.run import make_net
from edgeseg.train.unfold import settle, unfold
from edgeseg.train.unfold_dnl import dnl_weights
from edgeseg.train.write import terms as terms_of

if TYPE_CHECKING:
    from edgeseg.nets.frame import FrameNet
    from tests.conftest import Ran


def frames(count: int = 4, height: int = 216, width: int = 288) -> torch.Tensor:
    """Smooth frames uint8 [N, h, w, 3], of the size of the zoo's polyp graph unless said otherwise."""
    small = np.random.default_rng(0).uniform(20, 235, (count, 3, 9, 12)).astype(np.float32)
    large = nn.functional.interpolate(torch.from_numpy(small), (height, width), mode="bicubic")
    return large.clamp(0, 255).byte().permute(0, 2, 3, 1).contiguous()


def unfolded(model: str = "npnet-polyp", recipe: str = "npnet-polyp-fine") -> tuple[FrameNet, bytes]:
    start = open_start(model)
    net = make_net(recipes.load(recipe)[0]).eval()
    unfold(net, start.data, f"--from {model}")
    return net, start.data


@pytest.mark.parametrize(
    ("model", "recipe", "size"),
    [
        ("npnet-polyp", "npnet-polyp-fine", (216, 288)),
        ("dnlnet-vessel", "dnlnet-drive-large-upright", (760, 760)),  # attention is exported as products of matrices
    ],
)
def test_it_computes_what_the_graph_does_before_and_after_settling(
    model: str, recipe: str, size: tuple[int, int]
) -> None:
    net, graph = unfolded(model, recipe)
    shown = frames(4 if size[0] < 400 else 2, *size)
    session = onnxruntime.InferenceSession(graph)
    wanted = np.concatenate([session.run(None, {"frame": one[None].numpy()})[0] for one in shown])
    with torch.no_grad():
        for _ in range(2):
            assert np.abs(net(shown).numpy().astype(int) - wanted).max() <= 1
            settle(net, shown.split(len(shown) // 2))


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
    standard = recipes.load("dnlnet-drive")[0]
    standard.network.options["attention"] = "nl"
    with pytest.raises(ModelError, match=r"here: its float graph has no fusions.*; begin with a run"):
        unfold(make_net(standard), vessel.data, "here")
    with pytest.raises(ModelError, match=r"here: its float graph has no .*; begin with a run"):
        unfold(make_net(standard), start.data, "here")


@pytest.mark.parametrize("kind", ["garbage", "cut", "text", "elsewhere"])
def test_a_graph_that_cannot_be_read(kind: str) -> None:
    graph = open_start("npnet-polyp").data
    model = onnx.load_from_string(graph)
    tensor = model.graph.initializer[-1]
    if kind == "text":
        tensor.ClearField("raw_data")
        tensor.data_type = onnx.TensorProto.STRING
        tensor.string_data.append(b"x")
    if kind == "elsewhere":
        tensor.data_location = onnx.TensorProto.EXTERNAL
        tensor.external_data.add(key="location", value="weights.bin")
    bad = {"garbage": b"no graph at all", "cut": graph[: len(graph) // 2]}.get(kind, model.SerializeToString())
    said = "keeps tensors in other files" if kind == "elsewhere" else "its float graph cannot be read|has no"
    with pytest.raises(ModelError, match=f"^here: .*({said})"):
        unfold(make_net(recipes.load("npnet-polyp-fine")[0]), bad, "here")


def test_a_zoo_name_wins_over_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "npnet-polyp").mkdir()
    (tmp_path / "npnet-polyp" / "weights.safetensors").write_bytes(b"other")
    assert open_start("npnet-polyp").manifest is not None
    assert open_start("./npnet-polyp").manifest is None
    with pytest.raises(ModelError, match="^--from a"):
        open_start("a" * 5000)


def test_a_graph_for_other_frames(tiny_data: Path, tmp_path: Path, edgeseg_cli: Callable[..., Ran]) -> None:
    recipe = (recipes.FOLDER / "npnet-polyp-fine.toml").read_text()
    steps = 'steps = [{ op = "clahe", clip_limit = 2.0, tiles = 8 }]\n\n[train]'
    (tmp_path / "grey.toml").write_text(recipe.replace("[train]", steps, 1))
    done = edgeseg_cli(
        "train", tmp_path / "grey.toml", "--data", tiny_data, "--from", "npnet-polyp", "--out", tmp_path / "run"
    )
    assert done.code == 2
    assert "--from npnet-polyp: its frames have other steps or window than recipe npnet-polyp-fine names" in done.err
    assert not (tmp_path / "run").exists()


def test_training_goes_on_from_a_zoo_name(tiny_data: Path, tmp_path: Path, edgeseg_cli: Callable[..., Ran]) -> None:
    out = tmp_path / "run"
    words = ["train", "npnet-polyp-fine", "--imgsz", "64x96", "--batch", 4, "--epochs", 1, "--quiet"]
    done = edgeseg_cli(*words, "--data", tiny_data, "--from", "npnet-polyp", "--out", out)
    assert done.code == 0, done.err
    manifest = json.loads((out / "manifest.json").read_text())
    start = open_start("npnet-polyp")
    assert start.manifest is not None
    assert manifest["training"]["parent_sha256"] == start.manifest.training.weights_sha256
    ancestor, *before = manifest["training"]["ancestors"]
    older = start.manifest.training.ancestors
    assert older is not None
    assert [one.recipe for one in older] == ["npnet-polyp-each", "npnet-polyp"]
    assert [one["weights_sha256"] for one in before] == [one.weights_sha256 for one in older]
    assert ancestor["weights_sha256"] == start.manifest.training.weights_sha256
    assert [one["name"] for one in ancestor["data"]] == ["cvc_clinicdb", "kvasir_seg"]
    net, _ = unfolded()
    import safetensors.torch

    weights = safetensors.torch.load_file(out / "weights.safetensors")
    resumed = edgeseg_cli(*words, "--data", tiny_data, "--from", "npnet-skin", "--out", out, "--resume")
    assert resumed.code == 2
    assert "--from" in resumed.err
    # One epoch of a warming-up rate away from the zoo's, not a fresh network.
    there = dict(net.state_dict())["net.head.weight"]
    assert float((weights["net.head.weight"] - there).abs().max()) < 0.1 * float(there.abs().max())


def test_terms_of_the_model_bind_what_is_made_from_it(
    tiny_data: Path, tmp_path: Path, edgeseg_cli: Callable[..., Ran]
) -> None:
    """A recipe for frames that anybody may use does not free weights that learnt from others."""
    recipe, _ = recipes.load("npnet-phantom")
    words = ["train", "npnet-phantom", "--imgsz", "64x96", "--epochs", 1, "--data", tiny_data, "--from", "npnet-polyp"]
    done = edgeseg_cli(*words, "--out", tmp_path / "run")
    assert done.code == 0, done.err
    line = "terms of npnet-polyp bind what is made from it: Apache-2.0 AND LicenseRef-research-only, for research only"
    assert line in done.err
    zoo = open_start("npnet-polyp").manifest
    assert zoo is not None
    terms = json.loads((tmp_path / "run" / "manifest.json").read_text())["terms"]
    assert terms == {
        "weights_licence": "Apache-2.0 AND LicenseRef-research-only",
        "research_only": True,
        "notice": f"{recipe.terms.notice} Made from npnet-polyp: {zoo.terms.notice}",
    }
    # They do not grow from one generation to the next.
    child = open_start(str(tmp_path / "run")).manifest
    assert child is not None
    assert terms_of(recipe, [child]) == child.terms
    assert terms_of(recipes.load("npnet-polyp-fine")[0], [zoo]).model_dump() == zoo.terms.model_dump()
    # AND binds closer than OR.
    either = recipe.terms.model_copy(update={"weights_licence": "MIT OR Apache-2.0"})
    both = terms_of(recipe.model_copy(update={"terms": either}), [zoo])
    assert both.weights_licence == "(MIT OR Apache-2.0) AND LicenseRef-research-only"
    again = zoo.model_copy(update={"terms": both})
    assert terms_of(recipe.model_copy(update={"terms": either}), [again]) == both
    long = recipe.terms.model_copy(update={"notice": "x" * 1000})
    file = tmp_path / "long.toml"
    file.write_text((recipes.FOLDER / "npnet-phantom.toml").read_text().replace(recipe.terms.notice, long.notice))
    done = edgeseg_cli("train", file, *words[2:], "--out", tmp_path / "other")
    assert "longer than 1024 bytes together; shorten [terms] notice" in done.sentence(2)
    assert not (tmp_path / "other").exists()


def test_frames_that_a_bundle_may_have_seen(tiny_data: Path, tmp_path: Path, edgeseg_cli: Callable[..., Ran]) -> None:
    same_name = tmp_path / "kvasir_seg"
    shutil.copytree(tiny_data, same_name)
    words = ["train", "npnet-polyp-fine", "--data", same_name, "--from", "npnet-polyp", "--out", tmp_path / "run"]
    done = edgeseg_cli(*words)
    assert done.code == 2
    assert "--from npnet-polyp: was trained on a data set kvasir_seg" in done.err
    assert not (tmp_path / "run").exists()


def test_the_same_frames_under_another_name(
    tiny_data: Path, tiny_bundle: Path, tmp_path: Path, edgeseg_cli: Callable[..., Ran]
) -> None:
    renamed = tmp_path / "renamed"
    shutil.copytree(tiny_data, renamed)
    words = ["train", "npnet-phantom", "--imgsz", "64x96", "--epochs", 1, "--quiet", "--out", tmp_path / "run"]
    done = edgeseg_cli(*words, "--data", renamed, "--from", tiny_bundle, "--seed", 77)
    assert done.code == 2
    assert "split and are in this training's" in done.err


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


@pytest.mark.parametrize("kind", ["kernel of 3x3", "circle", "no input", "three axes"])
def test_a_strange_factor_is_none_of_an_attentions(kind: str) -> None:
    """A graph from anyone: what is not a matrix is not taken for one, and nothing goes round and round."""
    shape = (4, 4, 3, 3) if kind == "kernel of 3x3" else (2, 4, 4)
    weight = onnx.numpy_helper.from_array(np.zeros(shape, np.float32), "weight")
    source = {"circle": ["factor"], "no input": []}.get(kind, ["weight"])
    op = "Transpose" if kind == "three axes" else "Reshape"
    nodes = [
        onnx.helper.make_node(op, source, ["factor"], "block.factor"),
        *(onnx.helper.make_node("MatMul", ["factor", "x"], [f"y{n}"], f"block.matmul-{n}") for n in range(6)),
        *(onnx.helper.make_node("Add", ["factor", "x"], [f"z{n}"], f"block.add-{n}") for n in range(2)),
    ]
    model = onnx.helper.make_model(onnx.helper.make_graph(nodes, "g", [], [], [weight]))
    assert dnl_weights(model, "block") == {}
