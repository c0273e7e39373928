"""DenseASPP (Yang et al., CVPR 2018): dilated convolutions that each see the ones before, behind a DenseNet121."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgeseg.nets.baselines.fcn8s import enlarge
from edgeseg.nets.blocks import ConvBlock

LAYERS = (6, 12, 24, 16)  # DenseNet121 (Huang et al., CVPR 2017)
DILATIONS = (1, 1, 2, 4)  # of its blocks: the last two stay at 1/8, section 4.1
RATES = (3, 6, 12, 18, 24)


def bottleneck(inputs: int, inner: int, outputs: int, dilation: int) -> nn.Sequential:
    """Batch norm and ReLU before a 1×1 and before a dilated 3×3."""
    return nn.Sequential(
        nn.BatchNorm2d(inputs),
        nn.ReLU(),
        nn.Conv2d(inputs, inner, 1, bias=False),
        nn.BatchNorm2d(inner),
        nn.ReLU(),
        nn.Conv2d(inner, outputs, 3, padding=dilation, dilation=dilation, bias=False),
    )


class Chain(nn.Module):
    """Bottlenecks that each see the input and all outputs before; gives everything, joined.

    Args:
        inputs: channels.
        inner: between the two convolutions.
        outputs: of each.
        dilations: one for each.
    """

    def __init__(self, inputs: int, inner: int, outputs: int, dilations: tuple[int, ...]) -> None:
        super().__init__()
        self.layers = nn.ModuleList(
            bottleneck(inputs + number * outputs, inner, outputs, dilation) for number, dilation in enumerate(dilations)
        )

    def forward(self, x: Tensor) -> Tensor:
        for one in self.layers:
            x = torch.cat([x, one(x)], 1)
        return x


def transition(inputs: int) -> nn.Sequential:
    """Half as many channels."""
    return nn.Sequential(nn.BatchNorm2d(inputs), nn.ReLU(), nn.Conv2d(inputs, inputs // 2, 1, bias=False))


class DenseASPP(nn.Module):
    """DenseNet121 at output stride 8, five dilated layers (figure 3), a 1×1 to the classes.

    Where the paper is silent: the features are halved to 512 channels before the dilated layers; each has 128 channels
    inside and adds 64, without dropout; 0.1 of the maps is dropped before the classes. With 19 classes that makes the
    8.28 M parameters that later tables print.

    Args:
        in_channels: of the input.
        out_channels: classes without the background.
        width: of the stem; DenseNet's growth is half of it.

    Shapes: float [B, in_channels, H, W] with H and W multiples of 8 → float [B, out_channels, H, W].
    """

    stride = 8

    def __init__(self, in_channels: int = 3, out_channels: int = 1, width: int = 64) -> None:
        super().__init__()
        growth, channels = width // 2, width
        self.stem = ConvBlock(in_channels, width, 7, stride=2)
        self.blocks = nn.ModuleList()
        self.transitions = nn.ModuleList()
        for number, dilation in zip(LAYERS, DILATIONS, strict=True):
            self.blocks.append(Chain(channels, 4 * growth, growth, (dilation,) * number))
            channels += number * growth
            self.transitions.append(transition(channels))
            channels //= 2
        self.context = Chain(channels, 2 * width, width, RATES)
        self.head = nn.Sequential(nn.Dropout2d(0.1), nn.Conv2d(channels + len(RATES) * width, out_channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        x = F.max_pool2d(self.stem(x), 3, 2, 1)
        for level, (block, shrink) in enumerate(zip(self.blocks, self.transitions, strict=True)):
            x = shrink(block(x))
            if level == 0:
                x = F.avg_pool2d(x, 2)
        return enlarge(self.head(self.context(x)), 8)
