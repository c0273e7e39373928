"""PSPNet (Zhao et al., CVPR 2017): pooled views of the whole image beside the features."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgeseg.nets.baselines.resnet import Basic
from edgeseg.nets.blocks import ConvBlock

BINS = (1, 2, 3, 6)


class PSPNet(nn.Module):
    """Dilated ResNet18, pyramid pooling, three 3×3 convolutions.

    The paper names no backbone. A search over VGG16, ResNet18, 34 and 50, their strides and the usual heads for
    17.5 M parameters with 133.23 GMAC gave this one as the closest of four: ResNet18 without its max pool, its first
    two stages at half size and its last two at a quarter (dilations 2 and 4), and 512, 256 and 64 channels after the
    pyramid, with biases. The public ResNet18 version (17.46 M) takes 49 GMAC at this size, so which one the authors
    ran is open.

    Shapes: float [B, in_channels, H, W] with H and W multiples of 4 → float [B, out_channels, H, W].
    """

    stride = 4

    def __init__(self, in_channels: int = 3, out_channels: int = 1, width: int = 64) -> None:
        super().__init__()
        blocks: list[nn.Module] = [ConvBlock(in_channels, width, 7, stride=2)]
        channels = width
        for factor, stride, dilation in ((1, 1, 1), (2, 1, 1), (4, 2, 2), (8, 1, 4)):
            blocks += [
                Basic(channels, factor * width, stride, dilation),
                Basic(factor * width, factor * width, 1, dilation),
            ]
            channels = factor * width
        self.backbone = nn.Sequential(*blocks)
        self.pyramid = nn.ModuleList(nn.Conv2d(channels, channels // 4, 1, bias=False) for _ in BINS)
        self.fuse = nn.Sequential(
            ConvBlock(2 * channels, 8 * width, bias=True),
            ConvBlock(8 * width, 4 * width, bias=True),
            ConvBlock(4 * width, width, bias=True),
        )
        self.head = nn.Conv2d(width, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.backbone(x)
        size = [int(side) for side in x.shape[2:]]
        views = [
            F.interpolate(conv(pool(x, bins)), size=size, mode="bilinear", align_corners=False)
            for bins, conv in zip(BINS, self.pyramid, strict=True)
        ]
        logits = self.head(self.fuse(torch.cat([x, *views], 1)))
        return F.interpolate(logits, scale_factor=4.0, mode="bilinear", align_corners=False)


def pool(x: Tensor, bins: int) -> Tensor:
    """Adaptive average pooling to ``bins`` × ``bins``, as two products: ONNX has no pooling of uneven windows."""
    rows, columns = (averages(int(side), bins).to(x) for side in x.shape[2:])
    return rows @ x @ columns.t()


def averages(side: int, bins: int) -> Tensor:
    """The windows of adaptive average pooling, float [bins, side], each row adding up to 1."""
    out = torch.zeros(bins, side)
    for index in range(bins):
        start, end = index * side // bins, -(-(index + 1) * side // bins)
        out[index, start:end] = 1.0 / (end - start)
    return out
