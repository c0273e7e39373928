"""CE-Net (Gu et al., IEEE TMI 2019): context blocks between a ResNet34 and a light decoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgeseg.nets.baselines import resnet
from edgeseg.nets.baselines.fcn8s import enlarge

WINDOWS = (2, 3, 5, 6)


class DenseAtrous(nn.Module):
    """DAC, figure 3: chains of dilated 3×3 (1; 3; 1, 3; 1, 3, 5), each but the first closed by a 1×1, added to x.

    Read with one set of weights a dilation, shared by the chains: without sharing the network has 10 M more
    parameters than the 29.0 M that it is known by.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.one, self.three, self.five = (
            nn.Conv2d(channels, channels, 3, padding=dilation, dilation=dilation) for dilation in (1, 3, 5)
        )
        self.close = nn.Conv2d(channels, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        first = self.one(x)
        second = self.three(first)
        chains = (first, self.close(self.three(x)), self.close(second), self.close(self.five(second)))
        for chain in chains:
            x = x + F.relu(chain)
        return x


class MultiPool(nn.Module):
    """RMP, figure 4: maxima over windows of four sizes, each as one more channel.

    Maps are seldom a multiple of 5 or 6, so what is missing is filled with zeros, below any value after a ReLU: the
    last window then sees what there is (the original drops it), and enlarging is by a whole factor.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.score = nn.Conv2d(channels, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        height, width = (int(side) for side in x.shape[2:])
        views = []
        for window in WINDOWS:
            padded = F.pad(x, (0, -width % window, 0, -height % window))
            view = enlarge(self.score(F.max_pool2d(padded, window)), window)
            views.append(view[:, :, :height, :width])
        return torch.cat([*views, x], 1)


class Decode(nn.Sequential):
    """1×1 to a quarter, transposed 3×3 that doubles the size, 1×1; batch norm and ReLU after each."""

    def __init__(self, inputs: int, outputs: int) -> None:
        inner = inputs // 4
        super().__init__(
            nn.Conv2d(inputs, inner, 1),
            nn.BatchNorm2d(inner),
            nn.ReLU(inplace=True),
            nn.ConvTranspose2d(inner, inner, 3, 2, 1, 1),
            nn.BatchNorm2d(inner),
            nn.ReLU(inplace=True),
            nn.Conv2d(inner, outputs, 1),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class CENet(nn.Module):
    """ResNet34, DAC, RMP, four decoder blocks whose outputs are added to the encoder's, two last convolutions.

    Shapes: float [B, in_channels, H, W] with H and W multiples of 32 → float [B, out_channels, H, W].
    """

    stride = 32

    def __init__(self, in_channels: int = 3, out_channels: int = 1, width: int = 64) -> None:
        super().__init__()
        self.encoder = resnet.Encoder(in_channels, width, (3, 4, 6, 3))
        _, first, second, third, deep = self.encoder.channels
        self.context = nn.Sequential(DenseAtrous(deep), MultiPool(deep))
        self.decoder = nn.ModuleList(
            Decode(inputs, outputs)
            for inputs, outputs in ((deep + len(WINDOWS), third), (third, second), (second, first), (first, width))
        )
        self.head = nn.Sequential(
            nn.ConvTranspose2d(width, width // 2, 4, 2, 1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width // 2, width // 2, 3, padding=1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width // 2, out_channels, 3, padding=1),
        )

    def forward(self, x: Tensor) -> Tensor:
        _, *skips, deep = self.encoder(x)
        x = self.context(deep)
        for block in self.decoder:
            x = block(x)
            if skips:
                x = x + skips.pop()
        out: Tensor = self.head(x)
        return out
