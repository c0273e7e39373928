"""NPNet, the lightweight Non-pooling Network for polyps, skin lesions and lungs.

The paper gives no widths, but four figures: 0.71 M parameters and 2.17 / 0.99 / 5.15 GMAC at
384×288, 224×224 and 512×512. Of the two solutions in powers of two that meet all of them, this
is the one that widens by stage and fits the usual count of batch norm (2 per element).
"""

from __future__ import annotations

from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgeseg.nets.blocks import ChannelAttention, ConvBlock

Attention = Literal["channel", "se", "none"]
WIDTHS = (32, 64, 128)
DILATIONS = (1, 5, 15, 20)


class FeatureEnhancement(nn.Module):
    """Four dilated 3×3 side by side, joined, and joined again with the input; [B, i, H, W] → [B, 256, H, W].

    Each branch has half of the module's ``outputs`` channels. The last 1×1 widens to 256, though
    the paper's text says reduction: only so do its four figures come out.
    """

    def __init__(self, inputs: int, outputs: int = 64, last: int = 256) -> None:
        super().__init__()
        half = outputs // 2
        self.branches = nn.ModuleList(ConvBlock(inputs, half, dilation=d) for d in DILATIONS)
        self.join = ConvBlock(half * len(DILATIONS), outputs, kernel=1)
        self.last = ConvBlock(outputs + inputs, last, kernel=1)

    def forward(self, x: Tensor) -> Tensor:
        joined = self.join(torch.cat([branch(x) for branch in self.branches], 1))
        out: Tensor = self.last(torch.cat([joined, x], 1))
        return out


class NPNet(nn.Module):
    """Frame → logits at the frame's size, with no pooling but strides.

    Args:
        in_channels: of the input, 3.
        out_channels: classes without the background.
        attention: "channel" (the paper's), "se" or "none" (its Table 2).

    Shapes: float [B, in_channels, H, W] with H and W multiples of 8 → float [B, out_channels, H, W].

    Raises:
        ValueError: no such attention.
    """

    stride = 8
    hint = ("enhance",)  # where a teacher's features are compared, see edgeseg/train/teacher.py
    deep = ("stages",)  # what else learns to say the mask, see edgeseg/train/deep.py

    def __init__(self, in_channels: int = 3, out_channels: int = 1, attention: Attention = "channel") -> None:
        super().__init__()
        if attention not in get_args(Attention):
            raise ValueError(f"attention is {attention!r}, not one of {', '.join(get_args(Attention))}")
        stages: list[nn.Module] = []
        channels = in_channels
        for width in WIDTHS:
            stages += [ConvBlock(channels, width, stride=2), ConvBlock(width, width), ConvBlock(width, width)]
            if attention != "none":
                stages.append(_attention(attention, width))
            channels = width
        self.stages = nn.Sequential(*stages)
        self.enhance = FeatureEnhancement(channels)
        self.head = nn.Conv2d(256, out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        logits = self.head(self.enhance(self.stages(x)))
        # By factor, not by size: the exported graph then has one Resize with constant scales and no shape arithmetic.
        return F.interpolate(logits, scale_factor=float(self.stride), mode="bilinear", align_corners=False)


def _attention(kind: Attention, width: int) -> ChannelAttention:
    return ChannelAttention(width) if kind == "channel" else ChannelAttention(width, reduction=16, bias=True)
