"""The encoder of FCN and SegNet: VGG16's thirteen convolutions, with batch norm."""

from __future__ import annotations

from torch import nn

from edgeseg.nets.blocks import ConvBlock

# Convolutions of each stage; the widths are 1, 2, 4, 8 and 8 times the first.
CONVOLUTIONS = (2, 2, 3, 3, 3)
FACTORS = (1, 2, 4, 8, 8)


def stages(in_channels: int, width: int, *, bias: bool) -> nn.ModuleList:
    """Five stages, each to be halved after; stage i gives ``width`` · FACTORS[i] channels."""
    out = nn.ModuleList()
    for number, factor in zip(CONVOLUTIONS, FACTORS, strict=True):
        out.append(chain(in_channels, [width * factor] * number, bias=bias))
        in_channels = width * factor
    return out


def chain(inputs: int, outputs: list[int], *, bias: bool) -> nn.Sequential:
    """3×3 convolutions one after the other."""
    blocks = []
    for width in outputs:
        blocks.append(ConvBlock(inputs, width, bias=bias))
        inputs = width
    return nn.Sequential(*blocks)
