"""ResNet (He et al., CVPR 2016): the encoder of PSPNet, BiSeNet, CE-Net, DeepLabV3+ and RefineNet."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from edgeseg.nets.blocks import ConvBlock

FACTORS = (1, 2, 4, 8)


class Basic(nn.Module):
    """Two 3×3 and a shortcut; [B, i, H, W] → [B, o, H/stride, W/stride]."""

    expansion = 1

    def __init__(self, inputs: int, outputs: int, stride: int, dilation: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            ConvBlock(inputs, outputs, stride=stride, dilation=dilation),
            nn.Conv2d(outputs, outputs, 3, padding=dilation, dilation=dilation, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))


class Bottleneck(nn.Module):
    """1×1 to a quarter of the outputs, 3×3, 1×1 and a shortcut; the 3×3 has the stride."""

    expansion = 4

    def __init__(self, inputs: int, outputs: int, stride: int, dilation: int) -> None:
        super().__init__()
        inner = outputs // self.expansion
        self.body = nn.Sequential(
            ConvBlock(inputs, inner, 1),
            ConvBlock(inner, inner, stride=stride, dilation=dilation),
            nn.Conv2d(inner, outputs, 1, bias=False),
            nn.BatchNorm2d(outputs),
        )
        self.shortcut = shortcut(inputs, outputs, stride)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.body(x) + self.shortcut(x))


def shortcut(inputs: int, outputs: int, stride: int) -> nn.Sequential:
    """Nothing, or a 1×1 where the shape changes."""
    if (inputs, stride) == (outputs, 1):
        return nn.Sequential()
    return nn.Sequential(nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs))


class Encoder(nn.Module):
    """The 7×7 stem, the 3×3 max pool and four stages, without the classifier.

    Args:
        in_channels: of the input.
        width: of the stem; stage i has ``width`` · 2^i channels, with ``Bottleneck`` four times as many.
        layers: blocks of each stage; (2, 2, 2, 2) is ResNet18, (3, 4, 6, 3) ResNet34 and 50, (3, 4, 23, 3) ResNet101.
        block: ``Basic`` or ``Bottleneck``.
        dilate_last: keep the last stage at 1/16 and dilate it by 2 instead.
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        layers: tuple[int, ...],
        block: type[Basic | Bottleneck] = Basic,
        *,
        dilate_last: bool = False,
    ) -> None:
        super().__init__()
        self.channels = [width, *(width * factor * block.expansion for factor in FACTORS)]
        self.stem = ConvBlock(in_channels, width, 7, stride=2)
        self.stages = nn.ModuleList()
        for level, number in enumerate(layers):
            dilated = dilate_last and level == len(layers) - 1
            stride, dilation = (2 if level and not dilated else 1), (2 if dilated else 1)
            before, here = self.channels[level], self.channels[level + 1]
            self.stages.append(
                nn.Sequential(
                    block(before, here, stride, dilation), *(block(here, here, 1, dilation) for _ in range(number - 1))
                )
            )

    def forward(self, x: Tensor) -> list[Tensor]:
        """[B, in_channels, H, W] → the stem's features at 1/2, then each stage's at 1/4, 1/8, 1/16 and 1/32."""
        features = [self.stem(x)]
        x = F.max_pool2d(features[0], 3, 2, 1)
        for stage in self.stages:
            x = stage(x)
            features.append(x)
        return features
