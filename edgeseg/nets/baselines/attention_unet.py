"""Attention U-Net (Oktay et al., MIDL 2018): gates weigh what the skips carry."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgeseg.nets.baselines.unet import FACTORS, UNet


class Gate(nn.Module):
    """Additive attention of two maps of one size: shallow · sigmoid(ψ(relu(a(deep) + b(shallow))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = channels // 2
        self.deep, self.shallow, self.weight = (
            nn.Sequential(nn.Conv2d(inputs, outputs, 1), nn.BatchNorm2d(outputs))
            for inputs, outputs in ((channels, inner), (channels, inner), (inner, 1))
        )

    def forward(self, shallow: Tensor, deep: Tensor) -> Tensor:
        out: Tensor = shallow * torch.sigmoid(self.weight(F.relu(self.deep(deep) + self.shallow(shallow))))
        return out


class AttentionUNet(UNet):
    """U-Net with a gate at each joint; shapes and arguments are U-Net's.

    34.87 M parameters and 112.27 GMAC are met with biases in the gates only (34.88 M and 112.33 with biases
    everywhere), where the paper's U-Net needs them in the double convolutions.
    """

    bias = False

    def __init__(self, in_channels: int = 3, out_channels: int = 1, width: int = 64) -> None:
        super().__init__(in_channels, out_channels, width)
        self.gates = nn.ModuleList(Gate(width * factor) for factor in FACTORS[-2::-1])

    def skip(self, level: int, shallow: Tensor, deep: Tensor) -> Tensor:
        gated: Tensor = self.gates[level](shallow, deep)
        return gated
