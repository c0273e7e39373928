"""FCN-8s (Long, Shelhamer and Darrell, CVPR 2015) without VGG's two large last layers."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from edgeseg.nets.baselines import vgg


class FCN8s(nn.Module):
    """Scores from three depths of VGG16, added from coarse to fine.

    The paper's 14.72 M parameters are VGG16's convolutions and nothing else, so its heads are 1×1 on pool3, pool4
    and pool5, and enlarging is bilinear. 33.89 GMAC needs batch norm and no biases (33.92 with both).

    Shapes: float [B, in_channels, H, W] with H and W multiples of 32 → float [B, out_channels, H, W].
    """

    stride = 32
    depths = 3

    def __init__(self, in_channels: int = 3, out_channels: int = 1, width: int = 64) -> None:
        super().__init__()
        self.stages = vgg.stages(in_channels, width, bias=False)
        self.heads = nn.ModuleList(nn.Conv2d(width * factor, out_channels, 1) for factor in vgg.FACTORS[-self.depths :])

    def forward(self, x: Tensor) -> Tensor:
        pooled = []
        for stage in self.stages:
            x = F.max_pool2d(stage(x), 2)
            pooled.append(x)
        *shallow, deep = (head(one) for head, one in zip(self.heads, pooled[-self.depths :], strict=True))
        for one in reversed(shallow):
            deep = enlarge(deep, 2) + one
        return enlarge(deep, 2 ** (len(pooled) + 1 - self.depths))


def enlarge(x: Tensor, factor: int) -> Tensor:
    """Bilinear, by factor: the exported graph then has one Resize with constant scales."""
    return F.interpolate(x, scale_factor=float(factor), mode="bilinear", align_corners=False)
