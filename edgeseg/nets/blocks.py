"""Blocks that more than one network uses, and the context blocks of DNL-Net."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ConvBlock(nn.Sequential):
    """Convolution, batch norm, ReLU; [B, i, H, W] → [B, o, H/stride, W/stride].

    ``bias`` of the convolution does nothing before a batch norm; some published networks have and count it.
    """

    def __init__(
        self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1, dilation: int = 1, *, bias: bool = False
    ) -> None:
        padding = dilation * (kernel // 2)
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation, bias=bias),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class ChannelAttention(nn.Module):
    """x · sigmoid(W2 relu(W1 GAP(x))): one weight per channel from the whole image.

    ``reduction`` 2 and no biases is the paper's module; 16 with biases is plain squeeze and
    excitation (Hu et al., CVPR 2018), its Table 2's comparison.
    """

    def __init__(self, channels: int, reduction: int = 2, *, bias: bool = False) -> None:
        super().__init__()
        hidden = max(1, channels // reduction)
        self.squeeze = nn.Conv2d(channels, hidden, 1, bias=bias)
        self.excite = nn.Conv2d(hidden, channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        weights = F.adaptive_avg_pool2d(x, 1)
        return x * torch.sigmoid(self.excite(F.relu(self.squeeze(weights))))


class RSEP(nn.Module):
    """The context block after the encoder: four dilated branches with SE, concatenated with the input.

    A branch is a dilated 3×3 convolution (1, 6, 12, 12), SE (Hu et al. 2018), a 1×1 convolution and ReLU.

    Where the paper is silent: its "cascade branches" are read as parallel; a branch has C/4 channels;
    batch norm and ReLU follow the 3×3; SE reduces by 4 and has biases; a 1×1 convolution with batch norm and
    ReLU brings the concatenated 2·C channels back to C, so that the block can be switched without other
    widths changing.

    Args:
        channels: C.
        dilations: one for each branch.
    """

    def __init__(self, channels: int, dilations: tuple[int, ...] = (1, 6, 12, 12)) -> None:
        super().__init__()
        inner = channels // 4
        self.branches = nn.ModuleList(
            nn.Sequential(
                ConvBlock(channels, inner, dilation=dilation),
                ChannelAttention(inner, reduction=4, bias=True),
                nn.Conv2d(inner, inner, 1),
                nn.ReLU(inplace=True),
            )
            for dilation in dilations
        )
        self.fuse = ConvBlock(channels + inner * len(dilations), channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] → [B, C, H, W]."""
        y: Tensor = self.fuse(torch.cat([x, *(branch(x) for branch in self.branches)], dim=1))
        return y


def spread(pooled: Tensor, like: Tensor) -> Tensor:
    """One value a channel at every pixel: [B, C, 1, 1] → [B, C, H, W], H and W those of ``like``.

    A resize and no ``expand()``, whose shape arithmetic no graph of a bundle may hold (edgeseg/onnx_metadata.py).
    """
    return F.interpolate(pooled, like.shape[2:], mode="nearest")


class ASPP(nn.Module):
    """Atrous spatial pyramid pooling (Chen et al. 2017), for the ablation: 1×1, dilations 6, 12, 18, image pooling.

    Every branch has C/4 channels, as in ``RSEP``. The pooled branch has no batch norm: its 1×1 map would
    leave nothing to normalise over with one image per batch.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 4
        self.branches = nn.ModuleList(
            [
                ConvBlock(channels, inner, 1),
                *(ConvBlock(channels, inner, dilation=dilation) for dilation in (6, 12, 18)),
            ]
        )
        self.pool = nn.Conv2d(channels, inner, 1)
        self.fuse = ConvBlock(5 * inner, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] → [B, C, H, W]."""
        pooled = spread(F.relu(self.pool(F.adaptive_avg_pool2d(x, 1))), x)
        y: Tensor = self.fuse(torch.cat([*(branch(x) for branch in self.branches), pooled], dim=1))
        return y
