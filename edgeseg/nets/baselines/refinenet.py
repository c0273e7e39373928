"""RefineNet (Lin et al., CVPR 2017): four blocks that refine from coarse to fine along a ResNet101."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from edgeseg.nets.baselines import resnet
from edgeseg.nets.baselines.fcn8s import enlarge

# The paper draws two; the 118 M parameters that are published for it ask for four (109.7 M with two).
POOLS = 4


def conv(inputs: int, outputs: int) -> nn.Conv2d:
    """3×3 without a bias; the decoder has no batch norm (figure 2)."""
    return nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)


class Unit(nn.Module):
    """Residual convolution unit, figure 3b: x + conv(relu(conv(relu(x))))."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.first, self.second = conv(channels, channels), conv(channels, channels)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.second(F.relu(self.first(F.relu(x))))


class ChainedPool(nn.Module):
    """Chained residual pooling, figure 3d: a 5×5 maximum and a 3×3, several times, each added."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.convs = nn.ModuleList(conv(channels, channels) for _ in range(POOLS))

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(x)
        path = x
        for one in self.convs:
            path = one(F.max_pool2d(path, 5, 1, 2))
            x = x + path
        return x


class Refine(nn.Module):
    """A RefineNet block, figure 3a: two units on each input, fusion, chained pooling, one unit.

    Args:
        features: channels of the encoder's features.
        below: channels of the coarser block, 0 for the coarsest, which has one input.
        channels: inside and out.
    """

    def __init__(self, features: int, below: int, channels: int) -> None:
        super().__init__()
        self.reduce = conv(features, channels)
        self.adapt = nn.Sequential(Unit(channels), Unit(channels))
        if below:
            self.adapt_below = nn.Sequential(Unit(below), Unit(below))
            self.fuse, self.fuse_below = conv(channels, channels), conv(below, channels)
        self.pool = ChainedPool(channels)
        self.out = Unit(channels)

    def forward(self, features: Tensor, below: Tensor | None) -> Tensor:
        x: Tensor = self.adapt(self.reduce(features))
        if below is not None:
            x = self.fuse(x) + enlarge(self.fuse_below(self.adapt_below(below)), 2)
        y: Tensor = self.out(self.pool(x))
        return y


class RefineNet(nn.Module):
    """The cascade of section 3 with 512 channels at 1/32 and 256 from there on.

    Two more units stand before the classes, as section 3.2 has it; the encoder's widths are brought to the blocks' by a
    3×3 each. Light-Weight RefineNet's paper says 118 M for the original.

    Shapes: float [B, in_channels, H, W] with H and W multiples of 32 → float [B, out_channels, H, W].
    """

    stride = 32

    def __init__(self, in_channels: int = 3, out_channels: int = 1, width: int = 64) -> None:
        super().__init__()
        self.encoder = resnet.Encoder(in_channels, width, (3, 4, 23, 3), resnet.Bottleneck)
        deepest, inner = 8 * width, 4 * width
        self.blocks = nn.ModuleList()
        below = 0
        for features in self.encoder.channels[:0:-1]:
            channels = inner if below else deepest
            self.blocks.append(Refine(features, below, channels))
            below = channels
        self.last = nn.Sequential(Unit(inner), Unit(inner))
        self.head = nn.Conv2d(inner, out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        below: Tensor | None = None
        for block, features in zip(self.blocks, self.encoder(x)[:0:-1], strict=True):
            below = block(features, below)
        return enlarge(self.head(self.last(below)), 4)
