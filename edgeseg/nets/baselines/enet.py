"""ENet (Paszke et al., arXiv 1606.02147, 2016): early halving, thin bottlenecks, a short decoder."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgeseg.nets.baselines.segnet import unpool

# Stages 2 and 3 of the paper's Table 1: plain, dilated and 5×1 with 1×5 convolutions, in turn.
CONTEXT: tuple[tuple[int, bool], ...] = (
    (1, False), (2, False), (1, True), (4, False), (1, False), (8, False), (1, True), (16, False),
)  # fmt: skip


def conv(inputs: int, outputs: int, kernel: int | tuple[int, int], stride: int = 1, dilation: int = 1) -> nn.Module:
    """A convolution that keeps the size (2×2 with stride 2 halves it), without a bias as in the paper's section 3."""
    sides = (kernel, kernel) if isinstance(kernel, int) else kernel
    padding = tuple(dilation * ((side - 1) // 2) for side in sides)
    return nn.Conv2d(inputs, outputs, sides, stride, (padding[0], padding[1]), dilation, bias=False)


def active(channels: int) -> nn.Sequential:
    """Batch norm and PReLU, one slope a channel."""
    return nn.Sequential(nn.BatchNorm2d(channels), nn.PReLU(channels))


class Bottleneck(nn.Module):
    """Figure 2b: what a 1×1, a convolution and a 1×1 add to the input.

    Args:
        inputs: channels.
        outputs: channels.
        dropout: share of whole maps that training drops.
        dilation: of the 3×3.
        asymmetric: a 5×1 and a 1×5 instead of the 3×3.
        change: "down" halves the size, "up" doubles it, "" keeps it.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        dropout: float,
        dilation: int = 1,
        *,
        asymmetric: bool = False,
        change: str = "",
    ) -> None:
        super().__init__()
        self.change = change
        inner = max(1, outputs // 4)
        first = conv(inputs, inner, 2, 2) if change == "down" else conv(inputs, inner, 1)
        if change == "up":
            middle: list[nn.Module] = [nn.ConvTranspose2d(inner, inner, 3, 2, 1, 1, bias=False)]
        elif asymmetric:
            middle = [conv(inner, inner, (5, 1)), conv(inner, inner, (1, 5))]
        else:
            middle = [conv(inner, inner, 3, 1, dilation)]
        last = nn.Sequential(conv(inner, outputs, 1), nn.BatchNorm2d(outputs), nn.Dropout2d(dropout))
        self.body = nn.Sequential(first, active(inner), *middle, active(inner), last)
        self.reduce = nn.Sequential()
        if change == "up":
            self.reduce = nn.Sequential(conv(inputs, outputs, 1), nn.BatchNorm2d(outputs))
        self.out = nn.PReLU(outputs)

    def forward(self, x: Tensor, place: Tensor | None = None) -> Tensor:
        """``place``, where "up" puts each value: the pixels that were the maxima on the way down."""
        body: Tensor = self.body(x)
        main = F.max_pool2d(x, 2) if self.change == "down" else self.reduce(x)
        if place is not None:
            main = unpool(main, place)
        had = main.shape[1]
        # The paper fills missing channels of the main branch with zeros; here what is missing is not added to.
        both = torch.cat([main + body[:, :had], body[:, had:]], 1) if had < body.shape[1] else main + body
        out: Tensor = self.out(both)
        return out


class ENet(nn.Module):
    """Table 1 of the paper: an initial block, stages 1 to 3 down to 1/8, stages 4 and 5 back to 1/2.

    Unpooling is by the places of the maxima, as SegNet's here: where several pixels share a maximum all get the
    value, for not every runtime unpools by index. Where the paper is silent: PReLU in the decoder too (its section 4
    speaks of the decoder's slopes), a bottleneck is a quarter of its outputs wide, transposed convolutions are 3×3, the
    last one 2×2.

    Args:
        in_channels: of the input.
        out_channels: classes without the background.
        width: channels of stage 1; the initial block has a quarter of it, stages 2 and 3 twice as many.

    Shapes: float [B, in_channels, H, W] with H and W multiples of 8 → float [B, out_channels, H, W].
    """

    stride = 8

    def __init__(self, in_channels: int = 3, out_channels: int = 1, width: int = 64) -> None:
        super().__init__()
        first = max(width // 4, in_channels + 1)
        self.initial = conv(in_channels, first - in_channels, 3, 2)
        self.initial_out = active(first)
        self.down1 = Bottleneck(first, width, 0.01, change="down")
        self.stage1 = nn.Sequential(*(Bottleneck(width, width, 0.01) for _ in range(4)))
        self.down2 = Bottleneck(width, 2 * width, 0.1, change="down")
        self.stage23 = nn.Sequential(
            *(
                Bottleneck(2 * width, 2 * width, 0.1, dilation, asymmetric=asymmetric)
                for _ in range(2)
                for dilation, asymmetric in CONTEXT
            )
        )
        self.up4 = Bottleneck(2 * width, width, 0.1, change="up")
        self.stage4 = nn.Sequential(*(Bottleneck(width, width, 0.1) for _ in range(2)))
        self.up5 = Bottleneck(width, first, 0.1, change="up")
        self.stage5 = Bottleneck(first, first, 0.1)
        self.head = nn.ConvTranspose2d(first, out_channels, 2, 2)

    def forward(self, x: Tensor) -> Tensor:
        half = self.initial_out(torch.cat([self.initial(x), F.max_pool2d(x, 2)], 1))
        quarter = self.stage1(self.down1(half))
        x = self.stage23(self.down2(quarter))
        x = self.stage4(self.up4(x, maxima(quarter)))
        x = self.stage5(self.up5(x, maxima(half)))
        out: Tensor = self.head(x)
        return out


def maxima(x: Tensor) -> Tensor:
    """Which pixels are the largest of their 2×2."""
    return x == F.interpolate(F.max_pool2d(x, 2), scale_factor=2.0)
