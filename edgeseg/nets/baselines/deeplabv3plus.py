"""DeepLabV3+ (Chen et al., ECCV 2018): atrous spatial pyramid pooling and a decoder that sees shallow features."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgeseg.nets.baselines import resnet
from edgeseg.nets.baselines.fcn8s import enlarge
from edgeseg.nets.blocks import ConvBlock, spread

RATES = (6, 12, 18)


class Pyramid(nn.Module):
    """ASPP of section 3.1: 1×1, three dilated 3×3, the pooled image, and a 1×1 over all.

    The pooled branch has no batch norm, as it would have nothing to normalise over with one image a batch.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.branches = nn.ModuleList(
            [ConvBlock(inputs, outputs, 1), *(ConvBlock(inputs, outputs, dilation=rate) for rate in RATES)]
        )
        self.pool = nn.Conv2d(inputs, outputs, 1)
        self.fuse = ConvBlock((2 + len(RATES)) * outputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        pooled = spread(F.relu(self.pool(F.adaptive_avg_pool2d(x, 1))), x)
        y: Tensor = self.fuse(torch.cat([*(branch(x) for branch in self.branches), pooled], 1))
        return y


class DeepLabV3Plus(nn.Module):
    """ResNet101 at output stride 16, ASPP with 256 channels, the decoder of section 4.1.

    The paper has ResNet101 and Xception as backbones; here it is ResNet101 as published by He et al., so without
    the paper's three 3×3 in place of the 7×7 and without separable convolutions. Decoder: 48 channels of the first
    stage at 1/4 joined to the enlarged pyramid, two 3×3 with 256, classes, enlarged by 4.

    Shapes: float [B, in_channels, H, W] with H and W multiples of 16 → float [B, out_channels, H, W].
    """

    stride = 16

    def __init__(self, in_channels: int = 3, out_channels: int = 1, width: int = 64) -> None:
        super().__init__()
        inner, low = 4 * width, 3 * width // 4
        self.encoder = resnet.Encoder(in_channels, width, (3, 4, 23, 3), resnet.Bottleneck, dilate_last=True)
        self.pyramid = Pyramid(self.encoder.channels[-1], inner)
        self.reduce = ConvBlock(self.encoder.channels[1], low, 1)
        self.decoder = nn.Sequential(ConvBlock(inner + low, inner), ConvBlock(inner, inner))
        self.head = nn.Conv2d(inner, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        _, shallow, *_, deep = self.encoder(x)
        joined = torch.cat([enlarge(self.pyramid(deep), 4), self.reduce(shallow)], 1)
        return enlarge(self.head(self.decoder(joined)), 4)
