"""U-Net++ (Zhou et al., DLMIA 2018): every joint of a U-Net is filled with nodes that see all before them."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgeseg.nets.baselines.unet import FACTORS, double


class UNetPlusPlus(nn.Module):
    """Nested U-Net, output of the last node, without deep supervision.

    36.63 M parameters: widths 64 to 1024 (9.16 M with the original's 32 to 512) with biases. 233.88 GMAC counts
    bilinear ``nn.Upsample`` at 11 per element, without which it is 232.92.

    Shapes: float [B, in_channels, H, W] with H and W multiples of 16 → float [B, out_channels, H, W].
    """

    stride = 16

    def __init__(self, in_channels: int = 3, out_channels: int = 1, width: int = 64) -> None:
        super().__init__()
        widths = [width * factor for factor in FACTORS]
        self.depth = len(widths)
        # Named as the paper's X(i, j): level i of the pyramid, j joints from the encoder.
        self.nodes = nn.ModuleDict()
        for level, (before, here) in enumerate(zip([in_channels, *widths[:-1]], widths, strict=True)):
            self.nodes[f"{level}-0"] = double(before, here, bias=True)
        for joint in range(1, self.depth):
            for level in range(self.depth - joint):
                inputs = joint * widths[level] + widths[level + 1]
                self.nodes[f"{level}-{joint}"] = double(inputs, widths[level], bias=True)
        self.up = nn.Upsample(scale_factor=2.0, mode="bilinear", align_corners=False)
        self.head = nn.Conv2d(width, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        rows: list[list[Tensor]] = []  # of each level, its nodes so far
        for level in range(self.depth):
            rows.append([self.nodes[f"{level}-0"](F.max_pool2d(rows[-1][0], 2) if level else x)])
        for joint in range(1, self.depth):
            for level in range(self.depth - joint):
                below = self.up(rows[level + 1][joint - 1])
                rows[level].append(self.nodes[f"{level}-{joint}"](torch.cat([*rows[level], below], 1)))
        out: Tensor = self.head(rows[0][-1])
        return out
