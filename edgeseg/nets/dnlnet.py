"""DNL-Net, the deformed non-local network for vessels: U-shaped, context after the encoder, DNL in the skips."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn
from torch.nn import functional as F

from edgeseg.nets.attention import MFF
from edgeseg.nets.blocks import ASPP, RSEP, ConvBlock

Context = Literal["rsep", "aspp", "none"]
Attention = Literal["dnl", "nl", "none"]


class DNLNet(nn.Module):
    """Deformed non-local network: pixels in, one logit map per foreground class out.

    Encoder: four stages of two 3×3 convolutions with batch norm and ReLU, widths w, 2w, 4w, 8w, halved in
    between. Then the context block at 1/8 size. Decoder: three times MFF (which holds DNL) with the
    encoder's map of that size, then two 3×3 convolutions. A 1×1 convolution gives the logits.

    The rows of the paper's ablation are Baseline (``none``, ``none``), +RSEP (``rsep``, ``none``), +ASPP
    (``aspp``, ``none``), +DNL+MFF (``none``, ``dnl``), +DNL+MFF+ASPP (``aspp``, ``dnl``), full (``rsep``, ``dnl``).

    Where the paper is silent: w = 16 (0.70 M parameters); halving is 2×2 max pooling, odd sizes rounded down,
    and the decoder interpolates to the encoder's size, so that every H, W ≥ 8 works without padding; no
    pretrained weights.

    Args:
        in_channels: of the input.
        out_channels: foreground classes.
        width: w, a multiple of 4.
        fine: channels at full size, in the encoder's first stage and the decoder's last; 0 for w. Vessels a pixel
            wide live there alone, and its weights are few (the deepest stage holds most of them).
        context: "rsep", "aspp" or "none".
        attention: "dnl", "nl" (standard non-local, for comparison) or "none".
    """

    least = 8  # pixels a side: halved three times, they leave one

    def __init__(
        self,
        in_channels: int = 3,
        out_channels: int = 1,
        width: int = 16,
        fine: int = 0,
        context: Context = "rsep",
        attention: Attention = "dnl",
    ) -> None:
        super().__init__()
        widths = [fine or width, 2 * width, 4 * width, 8 * width]
        self.encoder = nn.ModuleList(
            nn.Sequential(ConvBlock(before, after), ConvBlock(after, after))
            for before, after in zip([in_channels, *widths], widths, strict=False)
        )
        self.context: nn.Module = {"rsep": RSEP, "aspp": ASPP, "none": _Same}[context](widths[-1])
        self.fusions = nn.ModuleList(
            MFF(high, low, attention) for high, low in zip(widths[:0:-1], widths[-2::-1], strict=True)
        )
        self.decoder = nn.ModuleList(nn.Sequential(ConvBlock(w, w), ConvBlock(w, w)) for w in widths[-2::-1])
        self.head = nn.Conv2d(widths[0], out_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Normalised float [B, in_channels, H, W], H, W ≥ 8 → logits [B, out_channels, H, W]."""
        skips: list[Tensor] = []
        for stage in self.encoder:
            x = stage(F.max_pool2d(x, 2) if skips else x)
            skips.append(x)
        x = self.context(skips.pop())
        for fuse, stage in zip(self.fusions, self.decoder, strict=True):
            x = stage(fuse(x, skips.pop()))
        logits: Tensor = self.head(x)
        return logits


class _Same(nn.Identity):
    """No context block; takes the width that the others take."""
