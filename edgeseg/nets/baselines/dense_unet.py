"""Dense U-Net: FC-DenseNet67 (Jégou et al., CVPR Workshops 2017), which Wang et al. (Entropy 2019) took to vessels."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

LEVELS = 5
LAYERS = 5
DROPOUT = 0.2


def layer(inputs: int, outputs: int, kernel: int) -> nn.Sequential:
    """Batch norm, ReLU, convolution, dropout: the paper's Table 1."""
    return nn.Sequential(
        nn.BatchNorm2d(inputs),
        nn.ReLU(),
        nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2),
        nn.Dropout2d(DROPOUT),
    )


class Dense(nn.Module):
    """A dense block: every layer sees all before it; [B, i, H, W] → the new maps alone, [B, LAYERS · growth, H, W]."""

    def __init__(self, inputs: int, growth: int) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layer(inputs + number * growth, growth, 3) for number in range(LAYERS))

    def forward(self, x: Tensor) -> Tensor:
        new: list[Tensor] = []
        for one in self.layers:
            new.append(one(torch.cat([x, *new], 1)))
        return torch.cat(new, 1)


class DenseUNet(nn.Module):
    """Dense blocks of five layers at six sizes; the way up carries the new maps of a block only.

    The paper's Table 2 says 3.5 M parameters for FC-DenseNet67 (growth 16, first convolution 48). Which Dense U-Net the
    comparison in DNL-Net's paper ran is not in our sources.

    Args:
        in_channels: of the input.
        out_channels: classes without the background.
        width: channels of the first convolution; a layer adds a third of it.

    Shapes: float [B, in_channels, H, W] with H and W multiples of 32 → float [B, out_channels, H, W].
    """

    stride = 2**LEVELS

    def __init__(self, in_channels: int = 3, out_channels: int = 1, width: int = 48) -> None:
        super().__init__()
        growth = max(1, width // 3)
        new = LAYERS * growth
        self.first = nn.Conv2d(in_channels, width, 3, padding=1)
        kept = [width + (level + 1) * new for level in range(LEVELS)]  # what the skips carry
        self.down = nn.ModuleList(Dense(channels - new, growth) for channels in kept)
        self.shrink = nn.ModuleList(layer(channels, channels, 1) for channels in kept)
        self.bottom = Dense(kept[-1], growth)
        # Padding 1 on both sides and 1 more below and right: just twice the size, where the paper crops.
        self.enlarge = nn.ModuleList(nn.ConvTranspose2d(new, new, 3, 2, 1, 1) for _ in kept)
        self.up = nn.ModuleList(Dense(channels + new, growth) for channels in reversed(kept))
        self.head = nn.Conv2d(kept[0] + 2 * new, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.first(x)
        skips = []
        for dense, shrink in zip(self.down, self.shrink, strict=True):
            x = torch.cat([x, dense(x)], 1)
            skips.append(x)
            x = F.max_pool2d(shrink(x), 2)
        x = self.bottom(x)
        for enlarge, dense in zip(self.enlarge, self.up, strict=True):
            joined = torch.cat([enlarge(x), skips.pop()], 1)
            x = dense(joined)
        # The last block's input goes to the classes too.
        out: Tensor = self.head(torch.cat([joined, x], 1))
        return out
