"""R2U-Net (Alom et al., arXiv 1802.06955, 2018): a U-Net whose blocks are recurrent and residual."""

from __future__ import annotations

from torch import Tensor, nn

from edgeseg.nets.baselines.unet import UNet
from edgeseg.nets.blocks import ConvBlock

STEPS = 2  # the paper's t, with which its results are


class Recurrent(nn.Module):
    """Recurrent convolutional layer, equations 1 and 2: one convolution, then t more times on input and output."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.step = ConvBlock(channels, channels, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.step(x)
        for _ in range(STEPS):
            y = self.step(x + y)
        return y


class Block(nn.Module):
    """Recurrent residual unit, equation 3 and figure 4d: a 1×1 to the width, then two recurrent layers added to it."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.match = nn.Conv2d(inputs, outputs, 1)
        self.body = nn.Sequential(Recurrent(outputs), Recurrent(outputs))

    def forward(self, x: Tensor) -> Tensor:
        x = self.match(x)
        y: Tensor = x + self.body(x)
        return y


class R2UNet(UNet):
    """U-Net with recurrent residual units; shapes and arguments are U-Net's.

    Where the paper is silent: the forward and the recurrent weights of a layer are one convolution, and its batch
    norm is one for all steps. Widths are U-Net's 64 to 1024; the paper's retina network is narrower.
    """

    def stage(self, inputs: int, outputs: int) -> nn.Module:
        return Block(inputs, outputs)
