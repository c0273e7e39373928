"""SegNet (Badrinarayanan, Kendall and Cipolla, PAMI 2017): the decoder puts maxima back where they came from."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from edgeseg.nets.baselines import vgg


class SegNet(nn.Module):
    """VGG16 and its mirror image, joined by the places of the maxima instead of by features.

    29.44 M parameters and 67.67 GMAC are met with biases everywhere and a last 3×3 that gives the classes.

    Shapes: float [B, in_channels, H, W] with H and W multiples of 32 → float [B, out_channels, H, W].
    """

    stride = 32

    def __init__(self, in_channels: int = 3, out_channels: int = 1, width: int = 64) -> None:
        super().__init__()
        self.encoder = vgg.stages(in_channels, width, bias=True)
        below = [width, *(width * factor for factor in vgg.FACTORS[:-1])]
        self.decoder = nn.ModuleList()
        for number, factor, last in zip(vgg.CONVOLUTIONS, vgg.FACTORS, below, strict=True):
            widths = [width * factor] * (number - 1) + [last]
            # The first stage's last convolution is the head.
            self.decoder.append(vgg.chain(width * factor, widths[: number - (len(self.decoder) == 0)], bias=True))
        self.head = nn.Conv2d(width, out_channels, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        places = []
        for stage in self.encoder:
            whole = stage(x)
            x = F.max_pool2d(whole, 2)
            places.append(whole == F.interpolate(x, scale_factor=2.0))
        for stage, place in zip(reversed(self.decoder), reversed(places), strict=True):
            x = stage(unpool(x, place))
        out: Tensor = self.head(x)
        return out


def unpool(x: Tensor, place: Tensor) -> Tensor:
    """Each value back to where its maximum was, zero elsewhere.

    Where several pixels share the maximum, all of them get the value: unpooling by index would pick one, but not
    every runtime has it.
    """
    return F.interpolate(x, scale_factor=2.0) * place.to(x.dtype)
