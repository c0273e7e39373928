"""NPNet: the paper's figures, its variants, shapes; the frame net around it."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from edgeseg.errors import UsageError
from edgeseg.nets import NETS, build
from edgeseg.nets.count import cost
from edgeseg.nets.frame import FrameNet, activate
from edgeseg.nets.npnet import ChannelAttention, FeatureEnhancement, NPNet


def by_hand(height: int, width: int) -> tuple[int, int]:
    """Multiply-adds of convolutions, and elements that batch norm touches, from the architecture's description."""
    macs = elements = 0
    for stage, (inputs, outputs) in enumerate(((3, 32), (32, 64), (64, 128)), 1):
        pixels = (height >> stage) * (width >> stage)
        macs += 9 * outputs * (inputs + 2 * outputs) * pixels + outputs * outputs
        elements += 3 * outputs * pixels
    macs += pixels * (4 * 9 * 128 * 32 + 128 * 64 + 192 * 256 + 256)
    return macs, elements + pixels * (128 + 64 + 256)


@pytest.mark.parametrize(
    ("height", "width", "paper", "with_bn"),
    [(288, 384, 2.17, 2.173), (224, 224, 0.99, 0.986), (512, 512, 5.15, 5.150)],
)
def test_figures_of_the_paper(height: int, width: int, paper: float, with_bn: float) -> None:
    counted = cost(NPNet(), height, width)
    assert counted.parameters == 708_896
    assert round(counted.parameters / 1e6, 2) == 0.71
    assert counted.gmac_with_bn == pytest.approx(with_bn, abs=6e-4)
    assert round(counted.gmac_with_bn, 2) == paper
    macs, elements = by_hand(height, width)
    assert counted.gmac == macs / 1e9
    assert counted.gmac_with_bn == (macs + 2 * elements) / 1e9
    if (height, width) == (288, 384):
        assert round(counted.gmac, 2) == 2.16


def test_parameters_come_from_torch_itself() -> None:
    assert sum(p.numel() for p in NPNet().parameters()) == 708_896
    assert sum(p.numel() for p in NPNet(out_channels=3).parameters()) == 708_896 + 2 * 256


def test_count_against_a_net_counted_by_hand() -> None:
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1), nn.BatchNorm2d(8), nn.Conv2d(8, 8, 3, padding=1, groups=4), nn.Flatten()
    )
    net.append(nn.Linear(8 * 4 * 5, 2))
    counted = cost(net, 8, 10)
    convolutions = 8 * 20 * 27 + 8 * 20 * 18 + 2 * 160
    assert counted.gmac * 1e9 == pytest.approx(convolutions)
    biases = 2 * 8 * 20
    assert counted.gmac_with_bn * 1e9 == pytest.approx(convolutions + biases + 2 * 8 * 20)
    up = cost(nn.Sequential(nn.ConvTranspose2d(3, 4, 2, 2, bias=False), nn.Upsample(scale_factor=2)), 6, 6)
    assert up.gmac * 1e9 == up.gmac_with_bn * 1e9 == pytest.approx(36 * 3 * 4 * 4)
    smooth = cost(nn.Sequential(nn.Conv2d(3, 2, 1, bias=False), nn.Upsample(scale_factor=2, mode="bilinear")), 6, 6)
    assert (smooth.gmac_with_bn - smooth.gmac) * 1e9 == pytest.approx(11 * 2 * 144)


def test_counting_changes_nothing() -> None:
    net = NPNet().train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    cost(net, 64, 64)
    assert net.training
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert not any(module._forward_hooks for module in net.modules())


@pytest.mark.parametrize("attention", ["channel", "se", "none"])
def test_attention_variants(attention: str) -> None:
    net = NPNet(attention=attention).eval()
    found = [module for module in net.modules() if isinstance(module, ChannelAttention)]
    assert len(found) == (0 if attention == "none" else 3)
    widths = {"channel": [16, 32, 64], "se": [2, 4, 8], "none": []}[attention]
    assert [module.squeeze.out_channels for module in found] == widths
    assert all((module.squeeze.bias is not None) == (attention == "se") for module in found)
    assert net(torch.zeros(1, 3, 64, 96)).shape == (1, 1, 64, 96)
    expected = {"none": 687_392, "channel": 708_896}
    if attention in expected:
        assert cost(net, 64, 64).parameters == expected[attention]


def test_attention_is_one_weight_a_channel() -> None:
    module = ChannelAttention(6)
    x = torch.randn(2, 6, 5, 7)
    weights = module(x) / x
    assert torch.allclose(weights, weights[..., :1, :1].expand_as(weights), rtol=1e-4)
    assert (weights > 0).all()
    assert (weights < 1).all()


def test_enhancement_has_the_papers_dilations_and_sees_that_far() -> None:
    module = FeatureEnhancement(8, outputs=64).eval()
    assert [branch[0].dilation for branch in module.branches] == [(1, 1), (5, 5), (15, 15), (20, 20)]
    assert [branch[0].out_channels for branch in module.branches] == [32] * 4
    x = torch.zeros(1, 8, 61, 61)
    x[..., 30, 30] = 1
    reach = (module(x) - module(torch.zeros_like(x))).abs().sum(1)[0] > 0
    assert set(torch.nonzero(reach)[:, 0].tolist()) >= {10, 15, 25, 29, 30, 31, 35, 45, 50}


@pytest.mark.parametrize("shape", [(1, 3, 288, 384), (2, 3, 64, 96), (1, 3, 8, 8), (1, 3, 584, 568)])
def test_logits_have_the_frames_size(shape: tuple[int, ...]) -> None:
    with torch.no_grad():
        assert NPNet(out_channels=2).eval()(torch.zeros(shape)).shape == (shape[0], 2, *shape[2:])


def test_every_parameter_learns() -> None:
    net = NPNet()
    net(torch.randn(2, 3, 64, 64)).square().mean().backward()
    assert all(p.grad is not None and p.grad.abs().sum() > 0 for p in net.parameters())


def test_build() -> None:
    assert set(NETS) >= {"npnet"}
    assert build("npnet", 4).head.out_channels == 4
    with pytest.raises(UsageError, match="no network named 'vnet'; there are .*npnet"):
        build("vnet")
    with pytest.raises(UsageError, match="network npnet: .*'depth'"):
        build("npnet", 1, {"depth": 3})
    with pytest.raises(UsageError, match="network npnet: .*chanel.*channel, se, none"):
        build("npnet", 1, {"attention": "chanel"})


def test_frame_net_normalises_bgr_by_channel() -> None:
    mean, std = [0.1, 0.2, 0.3], [0.5, 0.6, 0.7]
    net = FrameNet(nn.Identity(), mean, std)
    frame = torch.randint(0, 256, (2, 5, 7, 3), dtype=torch.uint8)
    wanted = (frame.numpy().astype(np.float64) / 255 - mean) / std
    assert net.logits(frame).shape == (2, 3, 5, 7)
    assert np.allclose(net.logits(frame).permute(0, 2, 3, 1).numpy(), wanted, atol=1e-6)
    assert set(net.state_dict()) == {"mean", "std"}


class Constant(nn.Module):
    """Logits of a given value per class."""

    def __init__(self, *values: float) -> None:
        super().__init__()
        self.values = torch.tensor(values).view(1, -1, 1, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.values.expand(x.shape[0], -1, *x.shape[2:]).clone()


@pytest.mark.parametrize("logit", [-100.0, -2.0, 0.0, 0.003, 1.7, 100.0])
def test_one_class_is_a_sigmoid_rounded(logit: float) -> None:
    out = FrameNet(Constant(logit), [0] * 3, [1] * 3)(torch.zeros(1, 2, 2, 3, dtype=torch.uint8))
    assert out.dtype == torch.uint8
    assert out.shape == (1, 1, 2, 2)
    assert (out == round(255 / (1 + np.exp(-logit)))).all()


def test_more_classes_are_a_softmax_with_a_background() -> None:
    logits = torch.randn(2, 3, 4, 5)
    got = activate(logits)
    whole = torch.softmax(torch.cat([torch.zeros(2, 1, 4, 5), logits], 1), 1)
    assert torch.allclose(got, whole[:, 1:])
    assert (got.sum(1) <= 1).all()
    out = FrameNet(Constant(3.0, 3.0), [0] * 3, [1] * 3)(torch.zeros(1, 2, 2, 3, dtype=torch.uint8))
    assert out.shape == (1, 2, 2, 2)
    assert out.max() == round(255 * float(np.exp(3) / (1 + 2 * np.exp(3))))
