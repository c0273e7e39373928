"""U-Net (Ronneberger, Fischer and Brox, MICCAI 2015) with batch norm, padding and upsampling followed by a 3×3."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgeseg.nets.blocks import ConvBlock

FACTORS = (1, 2, 4, 8, 16)


def double(inputs: int, outputs: int, *, bias: bool) -> nn.Sequential:
    """Two 3×3 convolutions with batch norm and ReLU."""
    return nn.Sequential(ConvBlock(inputs, outputs, bias=bias), ConvBlock(outputs, outputs, bias=bias))


class UNet(nn.Module):
    """Four halvings, four doublings, features joined at each size.

    34.53 M parameters: upsampling and a 3×3 instead of a transposed convolution (31.04 M). The two figures need
    different choices of bias for the double convolutions (34.52 M without, 34.53 M with) and for the upward 3×3
    (110.48 GMAC with, 110.46 without); taken is biases in the former and none in the latter, which meets both.

    Args:
        in_channels: of the input.
        out_channels: classes without the background.
        width: channels at full size.

    Shapes: float [B, in_channels, H, W] with H and W multiples of 16 → float [B, out_channels, H, W].
    """

    stride = 16
    bias = True

    def __init__(self, in_channels: int = 3, out_channels: int = 1, width: int = 64) -> None:
        super().__init__()
        widths = [width * factor for factor in FACTORS]
        pairs = list(zip(widths[:0:-1], widths[-2::-1], strict=True))
        self.encoder = nn.ModuleList(
            self.stage(before, after) for before, after in zip([in_channels, *widths[:-1]], widths, strict=True)
        )
        self.up = nn.ModuleList(ConvBlock(below, here) for below, here in pairs)
        self.decoder = nn.ModuleList(self.stage(below, here) for below, here in pairs)
        self.head = nn.Conv2d(width, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        kept = []
        for level, stage in enumerate(self.encoder):
            x = stage(F.max_pool2d(x, 2) if level else x)
            kept.append(x)
        kept.pop()
        for level, (up, stage) in enumerate(zip(self.up, self.decoder, strict=True)):
            x = up(F.interpolate(x, scale_factor=2.0))
            x = stage(torch.cat([self.skip(level, kept.pop(), x), x], 1))
        out: Tensor = self.head(x)
        return out

    def stage(self, inputs: int, outputs: int) -> nn.Module:
        """The block of one size, in the encoder and in the decoder."""
        return double(inputs, outputs, bias=self.bias)

    def skip(self, level: int, shallow: Tensor, deep: Tensor) -> Tensor:  # noqa: ARG002 - the attention needs them
        """What of the encoder's features the decoder sees; level 0 is the deepest joint."""
        return shallow
