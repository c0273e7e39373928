"""DNL-Net as a whole: sizes, ablation rows, the same masks in half precision, ONNX in two runtimes."""

from __future__ import annotations

import warnings
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import openvino
import pytest
import torch
from torch import Tensor, nn

from edgeseg.errors import UsageError
from edgeseg.nets import check_size
from edgeseg.nets.dnlnet import Attention, Context, DNLNet


def trained_like(net: nn.Module, seed: int = 0) -> nn.Module:
    """Random weights with the batch norms' statistics settled on noise, as training leaves them."""
    generator = torch.Generator().manual_seed(seed)
    for child in net.modules():
        if isinstance(child, nn.BatchNorm2d):
            child.momentum = None
            child.weight.data.uniform_(0.5, 1.5, generator=generator)
            child.bias.data.normal_(0.0, 0.3, generator=generator)
    with torch.no_grad():
        for _ in range(3):
            net.train()(torch.randn(2, 3, 64, 64, generator=generator))
    return net.eval()


def extreme(side: int) -> Tensor:
    """Normalised frames as cameras never give them: black and white squares and lines at full contrast, ±8 σ."""
    y, x = np.mgrid[:side, :side]
    squares = ((y // 32 + x // 32) % 2).astype(np.float32)
    lines = (np.abs((y + 2 * x) % 61 - 30) < 2).astype(np.float32)
    plane = np.clip(squares + lines, 0, 1) * 16.0 - 8.0
    return torch.from_numpy(np.stack([plane, plane[::-1].copy(), plane.T.copy()])[None])


@pytest.mark.parametrize(
    ("context", "attention"),
    [("none", "none"), ("rsep", "none"), ("aspp", "none"), ("none", "dnl"), ("aspp", "dnl"), ("rsep", "dnl")],
)
def test_every_row_of_the_ablation_runs_and_learns(context: Context, attention: Attention) -> None:
    torch.manual_seed(0)
    net = DNLNet(width=4, context=context, attention=attention)
    logits = net(torch.randn(2, 3, 32, 32))
    assert logits.shape == (2, 1, 32, 32)
    logits.square().mean().backward()
    idle = [name for name, p in net.named_parameters() if p.grad is None or not p.grad.isfinite().all()]
    assert not idle


@pytest.mark.parametrize(("height", "width"), [(8, 8), (37, 53), (96, 96), (73, 71)])
def test_any_size_works(height: int, width: int) -> None:
    net = DNLNet(width=4, out_channels=2).eval()
    with torch.no_grad():
        assert net(torch.randn(1, 3, height, width)).shape == (1, 2, height, width)
    check_size(net, "dnlnet", height, width)


@pytest.mark.parametrize(("height", "width", "better"), [(4, 4, "8x8"), (7, 9, "8x9"), (64, 1, "64x8")])
def test_the_smallest_size(height: int, width: int, better: str) -> None:
    with pytest.raises(UsageError) as caught:
        check_size(DNLNet(width=4), "dnlnet", height, width)
    assert str(caught.value) == f"--imgsz {height}x{width}: dnlnet needs at least 8 pixels a side; take {better}"
    assert DNLNet(width=4)(torch.randn(2, 3, 8, 8)).shape == (2, 1, 8, 8)  # in training


def test_the_default_has_the_size_the_design_names() -> None:
    assert sum(p.numel() for p in DNLNet().parameters()) == 697_513


def test_more_channels_at_full_size_are_there_alone() -> None:
    net = DNLNet(width=4, fine=12)
    assert [stage[1][0].out_channels for stage in net.encoder] == [12, 8, 16, 32]
    assert [stage[1][0].out_channels for stage in net.decoder] == [16, 8, 12]
    assert net.eval()(torch.zeros(1, 3, 40, 24)).shape == (1, 1, 40, 24)


def test_a_map_for_every_pixel_depends_on_the_whole_image() -> None:
    torch.manual_seed(0)
    net = trained_like(DNLNet(width=4))
    x = torch.randn(1, 3, 200, 200).requires_grad_()
    (gradient,) = torch.autograd.grad(net(x)[0, 0, 0, 0], x)
    assert gradient[0, :, 199, 199].abs().sum() > 0


@pytest.mark.parametrize(
    "side", [96, pytest.param(512, marks=pytest.mark.slow), pytest.param(1024, marks=pytest.mark.slow)]
)
def test_masks_in_half_precision_are_those_of_float(side: int) -> None:
    torch.manual_seed(0)
    net = trained_like(DNLNet(width=8))
    x = extreme(side)
    with torch.no_grad():
        reference = net(x)
        half = net.half()(x.half()).float()
    assert half.isfinite().all()
    agree = ((reference > 0) == (half > 0)).float().mean()
    assert agree > 0.995
    assert reference.gt(0).float().mean().clamp(0.02, 0.98) == reference.gt(0).float().mean()


def export(net: nn.Module, side: int, path: Path, opset: int) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the legacy exporter announces its own deprecation
        torch.onnx.export(
            nn.Sequential(net, nn.Sigmoid()).eval(),
            (torch.zeros(1, 3, side, side),),
            str(path),
            opset_version=opset,
            dynamo=False,
            input_names=["x"],
            output_names=["p"],
        )


@pytest.mark.parametrize(
    ("side", "opset"),
    [
        (96, 17),
        (96, 20),
        pytest.param(96, 18, marks=pytest.mark.slow),
        pytest.param(96, 19, marks=pytest.mark.slow),
        pytest.param(512, 17, marks=pytest.mark.slow),
        pytest.param(1024, 17, marks=pytest.mark.slow),
    ],
)
def test_onnx_in_two_runtimes_says_the_same(side: int, opset: int, tmp_path: Path) -> None:
    torch.manual_seed(0)
    net = trained_like(DNLNet())
    x = extreme(side)
    path = tmp_path / "dnlnet.onnx"
    export(net, side, path, opset)
    with torch.no_grad():
        expected = torch.sigmoid(net(x)).numpy()
    model = onnx.load(path)
    onnx.checker.check_model(model, full_check=True)
    assert {node.domain for node in model.graph.node} <= {"", "ai.onnx"}
    assert all(d.dim_value > 0 for v in [*model.graph.input, *model.graph.output] for d in v.type.tensor_type.shape.dim)
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    np.testing.assert_allclose(session.run(None, {"x": x.numpy()})[0], expected, atol=1 / 255)
    compiled = openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    np.testing.assert_allclose(compiled({"x": x.numpy()})[0], expected, atol=1 / 255)
