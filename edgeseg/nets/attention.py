"""Non-local blocks: the deformed one of DNL-Net, the fusion that holds it, and the standard one to compare.

Notation: ``x`` is float [B, C, H, W], N = H·W, ``X`` the same map as a C × N matrix. A 1×1 convolution
is a matrix product on every pixel, W·X. Nothing in DNL depends on N but through means, so what is
trained on patches holds on whole images, and nothing overflows in FP16 when an image is large.
"""

from __future__ import annotations

from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class NonLocal(nn.Module):
    """The standard non-local block, embedded Gaussian (Wang et al. 2018): for comparison only.

    y = x + W_z softmax(θ(x)ᵀ φ(x)) g(x) with an N × N map, written out (no fused attention), as the
    paper's Table 4 times it. The embeddings have C/2 channels.

    Args:
        channels: C.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        inner = max(1, channels // 2)
        self.theta = nn.Conv2d(channels, inner, 1)
        self.phi = nn.Conv2d(channels, inner, 1)
        self.g = nn.Conv2d(channels, inner, 1)
        self.out = nn.Conv2d(inner, channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        """[B, C, H, W] → [B, C, H, W]; time and memory grow with (H·W)²."""
        height, width = x.shape[2:]
        theta = self.theta(x).flatten(2).transpose(1, 2)
        weights = torch.softmax(theta @ self.phi(x).flatten(2), dim=-1)
        y = (weights @ self.g(x).flatten(2).transpose(1, 2)).transpose(1, 2)
        z: Tensor = self.out(y.unflatten(2, (height, width)))
        return x + z

    def pooled(self, x: Tensor) -> Tensor:
        """GAP of the block's output, [B, C, H, W] → [B, C, 1, 1]; what MFF takes."""
        return F.adaptive_avg_pool2d(self(x), 1)


class DNL(nn.Module):
    """The deformed non-local block, equations 7 to 12, in time and memory linear in N.

        (7, 8)  y1 = softmax(θ(x) φ(x)ᵀ / N) g(x)      a C × C map, softmax over its last axis
        (9)     y2 = k(x) y1ᵀ / N                      k: C → 1, so a 1 × C vector
        (10)    y3 = ReLU(conv C → C/r (y2))
        (11)    y4 = conv C/r → C (y3)
        (12)    y  = y4 ⊙ v(x)                         v: C → C, y4 the same at every pixel

    Computed without ever making θ(x), φ(x), g(x) or y1: with the Gram matrix G = X Xᵀ / N,

        θ(x) φ(x)ᵀ / N = W_θ G W_φᵀ        k(x) g(x)ᵀ / N = w_k G W_gᵀ
        y2 = k(x) (softmax(·) g(x))ᵀ / N = (w_k G W_gᵀ) softmax(·)ᵀ

    which is the same by associativity, reads every pixel once (N·C² multiplications instead of 4·N·C²)
    and leaves one product to keep in float.

    Where the paper is silent:
        - θ, φ, g, k and v have no bias; the two convolutions of (10, 11) have one.
        - r = 4, and a ReLU stands between (10) and (11): without it the two are one matrix.
        - The division by N belongs to the definition. Without it logits grow with the image (12,000 at
          96×96, 445,000 at 584×565) and nothing trained on patches holds on whole images. It is done
          before the product, 1/√N on either factor: 1/N on one would be subnormal in FP16 from 256×256.
        - Everything up to y4 is an island in FP32, also under autocast and in a half model.

    Args:
        channels: C.
        reduction: r.
    """

    def __init__(self, channels: int, reduction: int = 4) -> None:
        super().__init__()
        self.theta = nn.Conv2d(channels, channels, 1, bias=False)
        self.phi = nn.Conv2d(channels, channels, 1, bias=False)
        self.g = nn.Conv2d(channels, channels, 1, bias=False)
        self.k = nn.Conv2d(channels, 1, 1, bias=False)
        self.v = nn.Conv2d(channels, channels, 1, bias=False)
        inner = max(1, channels // reduction)
        self.squeeze = nn.Conv2d(channels, inner, 1)
        self.excite = nn.Conv2d(inner, channels, 1)

    def vector(self, x: Tensor) -> Tensor:
        """y4 of equation 11, float32 (or float64) [B, C, 1, 1], from ``x`` [B, C, H, W]."""
        # Not x.device.type: shapes are counted on the meta device, which knows no autocast.
        with torch.autocast("cuda" if x.is_cuda else "cpu", enabled=False):
            scaled = _wide(x).flatten(2) * (1.0 / (x.shape[2] * x.shape[3])) ** 0.5
            gram = scaled @ scaled.transpose(1, 2)
            theta, phi, g, k = (_matrix(conv) for conv in (self.theta, self.phi, self.g, self.k))
            weights = torch.softmax(theta @ gram @ phi.t(), dim=-1)
            y2 = (k @ gram @ g.t()) @ weights.transpose(1, 2)
            y3 = torch.relu(y2 @ _matrix(self.squeeze).t() + _wide(_bias(self.squeeze)))
            y4 = y3 @ _matrix(self.excite).t() + _wide(_bias(self.excite))
            return y4.transpose(1, 2).unsqueeze(3)

    def forward(self, x: Tensor) -> Tensor:
        """Equation 12: [B, C, H, W] → [B, C, H, W]."""
        y: Tensor = self.v(x)
        return self.vector(x).to(y.dtype) * y

    def pooled(self, x: Tensor) -> Tensor:
        """GAP of equation 12, [B, C, H, W] → [B, C, 1, 1], without making the map.

        GAP(y4 ⊙ v(x)) = y4 ⊙ v(GAP(x)): all of it is linear in the pixels once y4 is known.
        """
        mean: Tensor = self.v(F.adaptive_avg_pool2d(x, 1))
        return self.vector(x).to(mean.dtype) * mean


class MFF(nn.Module):
    """Multi-scale feature fusion, equations 13 and 14.

        (13)  AV(z) = conv 1×1 (z̄ / ‖z̄‖₂),  z̄ = GAP(z)
        (14)  MFF(x_high, x_low) = AV(DNL(x_high)) ⊙ x_low + UP(x_high)

    Where the paper is silent:
        - UP is bilinear (half-pixel centres) to the size of ``x_low``, after a 1×1 convolution with batch
          norm to its channels (they commute but for rounding; first is cheaper).
        - The bias of AV's convolution starts at 1, so that training begins at the plain additive skip.
        - ``attention = "none"`` leaves that plain skip, x_low + UP(x_high): the ablation's baseline.
        - The norm is taken after dividing by the mean magnitude, so that no square overflows in FP16.

    Args:
        high: channels of the deep map.
        low: channels of the shallow map, and of the result.
        attention: "dnl", "nl" (standard non-local in DNL's place) or "none".
    """

    def __init__(self, high: int, low: int, attention: str = "dnl") -> None:
        super().__init__()
        self.attention = {"dnl": DNL, "nl": NonLocal}[attention](high) if attention != "none" else None
        if self.attention is not None:
            self.av = nn.Conv2d(high, low, 1)
            nn.init.ones_(_bias(self.av))
        self.up = nn.Sequential(nn.Conv2d(high, low, 1, bias=False), nn.BatchNorm2d(low))

    def forward(self, high: Tensor, low: Tensor) -> Tensor:
        """[B, C_high, h, w] and [B, C_low, H, W] → [B, C_low, H, W]."""
        up = F.interpolate(self.up(high), size=low.shape[2:], mode="bilinear", align_corners=False)
        if self.attention is None:
            return low + up
        gate: Tensor = self.av(unit(self.attention.pooled(high)))
        return gate * low + up


def unit(vector: Tensor) -> Tensor:
    """``vector`` [B, C, 1, 1] over its L2 norm; all zeros stay (nearly) zeros.

    The mean magnitude is divided out first, so the sum of squares lies in C to C² whatever the precision.
    Only sums are used: ONNX moved the axes of the other reductions in opset 18, and some parsers did not.
    """
    scaled = vector / ((vector.abs() * (1.0 / vector.shape[1])).sum(dim=1, keepdim=True) + 1e-4)
    return scaled / (scaled.square().sum(dim=1, keepdim=True) + 1e-4).sqrt()


def _wide(x: Tensor) -> Tensor:
    """float32 for the half types, as it is otherwise (float64 stays: the tests' reference)."""
    return x.float() if x.dtype in (torch.float16, torch.bfloat16) else x


def _matrix(conv: nn.Conv2d) -> Tensor:
    """A 1×1 convolution's kernel as a matrix [out, in]."""
    return _wide(conv.weight).flatten(1)


def _bias(conv: nn.Conv2d) -> Tensor:
    """The bias of a convolution that has one."""
    return cast("Tensor", conv.bias)
