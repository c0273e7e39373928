"""BiSeNet (Yu et al., ECCV 2018): a shallow path for detail, a deep one for context."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgeseg.nets.baselines import resnet
from edgeseg.nets.baselines.fcn8s import enlarge
from edgeseg.nets.blocks import ConvBlock


class Refine(nn.Module):
    """Attention refinement module, figure 2b: a 3×3 to the path's width, then one weight a channel.

    No batch norm between the 1×1 and the sigmoid: on one pooled pixel it has nothing to normalise over with one
    image a batch.
    """

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv = ConvBlock(inputs, outputs)
        self.weight = nn.Conv2d(outputs, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv(x)
        return x * torch.sigmoid(self.weight(F.adaptive_avg_pool2d(x, 1)))


class Fuse(nn.Module):
    """Feature fusion module, figure 2c: y = conv([spatial, context]), then y + y · weights."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = ConvBlock(channels, channels, 1)
        self.squeeze = nn.Conv2d(channels, channels // 4, 1)
        self.excite = nn.Conv2d(channels // 4, channels, 1)

    def forward(self, spatial: Tensor, context: Tensor) -> Tensor:
        y: Tensor = self.conv(torch.cat([spatial, context], 1))
        weights = F.adaptive_avg_pool2d(y, 1)
        return y + y * torch.sigmoid(self.excite(F.relu(self.squeeze(weights))))


class BiSeNet(nn.Module):
    """Figure 2a with ResNet18; the two auxiliary outputs, which are for training only, are left out.

    The paper gives no widths of the paths: taken are 64, 64, 64 and 128 for the spatial one (7×7, 3×3, 3×3, 1×1)
    and 128 for the context one, with a 3×3 after each enlarging. The paper's Table 4 says 49.0 M parameters with
    ResNet18, which has 11.2 M: no reading of the figure that we found comes near, and ours does not.

    Shapes: float [B, in_channels, H, W] with H and W multiples of 32 → float [B, out_channels, H, W].
    """

    stride = 32

    def __init__(self, in_channels: int = 3, out_channels: int = 1, width: int = 64) -> None:
        super().__init__()
        path = 2 * width
        self.spatial = nn.Sequential(
            ConvBlock(in_channels, width, 7, stride=2),
            ConvBlock(width, width, stride=2),
            ConvBlock(width, width, stride=2),
            ConvBlock(width, path, 1),
        )
        self.context = resnet.Encoder(in_channels, width, (2, 2, 2, 2))
        *_, middle, deep = self.context.channels
        self.tail = nn.Conv2d(deep, path, 1)
        self.refine = nn.ModuleList([Refine(deep, path), Refine(middle, path)])
        self.after = nn.ModuleList([ConvBlock(path, path), ConvBlock(path, path)])
        self.fuse = Fuse(2 * path)
        self.head = nn.Sequential(ConvBlock(2 * path, width), nn.Conv2d(width, out_channels, 1))

    def forward(self, x: Tensor) -> Tensor:
        *_, middle, deep = self.context(x)
        context = F.relu(self.tail(F.adaptive_avg_pool2d(deep, 1)))  # the whole image, one pixel
        for features, refine, after in zip((deep, middle), self.refine, self.after, strict=True):
            context = after(F.interpolate(refine(features) + context, scale_factor=2.0))
        return enlarge(self.head(self.fuse(self.spatial(x), context)), 8)
