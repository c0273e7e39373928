"""The blocks against float64 references written from the paper's equations, not from the module."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from edgeseg.nets.attention import DNL, MFF, NonLocal, unit
from edgeseg.nets.blocks import ASPP, RSEP, ChannelAttention

Array = NDArray[np.float64]


def array(x: Tensor | None) -> Array:
    assert x is not None
    return x.detach().double().numpy()


def conv1x1(conv: nn.Conv2d, x: Array) -> Array:
    """A 1×1 convolution on [C, N]."""
    out = array(conv.weight)[:, :, 0, 0] @ x
    return out if conv.bias is None else out + array(conv.bias)[:, None]


def conv3x3(conv: nn.Conv2d, x: Array, dilation: int) -> Array:
    """A zero-padded dilated 3×3 convolution on [C, H, W], tap by tap."""
    height, width = x.shape[1:]
    padded = np.pad(x, ((0, 0), (dilation, dilation), (dilation, dilation)))
    kernel = array(conv.weight)
    out = np.zeros((kernel.shape[0], height, width))
    for i in range(3):
        for j in range(3):
            part = padded[:, i * dilation : i * dilation + height, j * dilation : j * dilation + width]
            out += np.einsum("oc,chw->ohw", kernel[:, :, i, j], part)
    return out


def batch_norm(bn: nn.BatchNorm2d, x: Array) -> Array:
    """Evaluation mode, on [C, …]."""
    shape = (-1,) + (1,) * (x.ndim - 1)
    scale = array(bn.weight) / np.sqrt(array(bn.running_var) + bn.eps)
    return (x - array(bn.running_mean).reshape(shape)) * scale.reshape(shape) + array(bn.bias).reshape(shape)


def softmax(x: Array) -> Array:
    e = np.exp(x - x.max(axis=-1, keepdims=True))
    return e / e.sum(axis=-1, keepdims=True)


def squeeze_excite(se: ChannelAttention, x: Array) -> Array:
    mean = x.mean(axis=(1, 2))[:, None]
    gate = conv1x1(se.excite, np.maximum(conv1x1(se.squeeze, mean), 0.0))
    return x / (1.0 + np.exp(-gate))[:, :, None]


def dnl_equations(dnl: DNL, x: Array) -> Array:
    """Equations 7 to 12 as they stand, y1 and all maps written out; ``x`` is [C, H, W]."""
    pixels = x.reshape(x.shape[0], -1)
    n = pixels.shape[1]
    logits = conv1x1(dnl.theta, pixels) @ conv1x1(dnl.phi, pixels).T / n
    y1 = softmax(logits) @ conv1x1(dnl.g, pixels)
    y2 = conv1x1(dnl.k, pixels) @ y1.T / n
    y3 = np.maximum(conv1x1(dnl.squeeze, y2.T), 0.0)
    y4 = conv1x1(dnl.excite, y3)
    out = np.empty_like(pixels)
    value = conv1x1(dnl.v, pixels)
    for channel in range(pixels.shape[0]):
        for pixel in range(n):
            out[channel, pixel] = y4[channel, 0] * value[channel, pixel]
    return out.reshape(x.shape)


def randomise(module: nn.Module, seed: int = 0) -> nn.Module:
    """Weights of order 1 and batch norm statistics that are not 0 and 1, so that every term shows; float64."""
    generator = torch.Generator().manual_seed(seed)
    for parameter in module.parameters():
        fan = max(1, parameter[0].numel())
        parameter.data = torch.randn(parameter.shape, generator=generator) * (2.0 / fan) ** 0.5
    for child in module.modules():
        if isinstance(child, nn.BatchNorm2d):
            assert child.running_mean is not None
            assert child.running_var is not None
            child.running_mean.normal_(generator=generator)
            child.running_var.uniform_(0.5, 2.0, generator=generator)
    return module.double().eval()


def random_map(channels: int, height: int, width: int, seed: int = 1) -> Tensor:
    return torch.randn(1, channels, height, width, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_dnl_is_equations_7_to_12() -> None:
    dnl = DNL(12, reduction=4)
    randomise(dnl)
    x = random_map(12, 7, 5) * 3.0
    np.testing.assert_allclose(array(dnl(x))[0], dnl_equations(dnl, array(x)[0]), rtol=1e-10, atol=1e-12)


def test_dnl_of_a_batch_keeps_images_apart() -> None:
    dnl = DNL(8)
    randomise(dnl)
    x = torch.cat([random_map(8, 5, 6, 1), random_map(8, 5, 6, 2) * 4.0])
    for image in range(2):
        np.testing.assert_allclose(array(dnl(x))[image], dnl_equations(dnl, array(x)[image]), rtol=1e-10, atol=1e-12)


def test_dnl_pooled_is_the_mean_of_the_map() -> None:
    dnl = DNL(8)
    randomise(dnl)
    x = random_map(8, 6, 9)
    torch.testing.assert_close(dnl.pooled(x), dnl(x).mean(dim=(2, 3), keepdim=True))


def test_dnl_does_not_depend_on_the_number_of_pixels() -> None:
    """The same picture tiled 5 × 5: with the division by N inside, y4 stays; without, its logits grow 25 times."""
    dnl = DNL(8)
    randomise(dnl)
    x = random_map(8, 6, 6)
    torch.testing.assert_close(dnl.vector(x), dnl.vector(x.repeat(1, 1, 5, 5)))


def test_standard_non_local_is_its_equation() -> None:
    block = NonLocal(6)
    randomise(block)
    x = random_map(6, 4, 5)
    pixels = array(x)[0].reshape(6, -1)
    theta, phi, g = (conv1x1(conv, pixels) for conv in (block.theta, block.phi, block.g))
    y = np.zeros((3, pixels.shape[1]))
    for i in range(pixels.shape[1]):
        weights = softmax(np.array([theta[:, i] @ phi[:, j] for j in range(pixels.shape[1])]))
        y[:, i] = sum(weights[j] * g[:, j] for j in range(pixels.shape[1]))
    expected = pixels + conv1x1(block.out, y)
    np.testing.assert_allclose(array(block(x))[0].reshape(6, -1), expected, rtol=1e-10)


@pytest.mark.parametrize("attention", ["dnl", "none"])
def test_mff_is_equations_13_and_14(attention: str) -> None:
    block = MFF(8, 4, attention)
    randomise(block)
    high, low = random_map(8, 3, 4), random_map(4, 6, 8, 2)
    conv, bn = block.up
    assert isinstance(conv, nn.Conv2d)
    assert isinstance(bn, nn.BatchNorm2d)
    up = batch_norm(bn, conv1x1(conv, array(high)[0].reshape(8, -1)).reshape(4, 3, 4))
    up = np.stack([bilinear_double(channel) for channel in up])
    gate = np.ones((4, 1, 1))
    if isinstance(block.attention, DNL):
        z = dnl_equations(block.attention, array(high)[0]).mean(axis=(1, 2))
        gate = conv1x1(block.av, (z / np.linalg.norm(z))[:, None])[:, :, None]
    # The module's norm has an epsilon of 1e-4 twice, so that zeros divide: hence the tolerance.
    np.testing.assert_allclose(array(block(high, low))[0], gate * array(low)[0] + up, rtol=2e-3, atol=2e-3)


def bilinear_double(image: Array) -> Array:
    """Twice the size with half-pixel centres, pixel by pixel."""
    height, width = image.shape
    out = np.empty((2 * height, 2 * width))
    for row in range(2 * height):
        for column in range(2 * width):
            y = min(max((row + 0.5) / 2 - 0.5, 0.0), height - 1.0)
            x = min(max((column + 0.5) / 2 - 0.5, 0.0), width - 1.0)
            y0, x0 = int(y), int(x)
            y1, x1 = min(y0 + 1, height - 1), min(x0 + 1, width - 1)
            top = image[y0, x0] * (1 - (x - x0)) + image[y0, x1] * (x - x0)
            bottom = image[y1, x0] * (1 - (x - x0)) + image[y1, x1] * (x - x0)
            out[row, column] = top * (1 - (y - y0)) + bottom * (y - y0)
    return out


def test_mff_starts_as_a_plain_skip() -> None:
    block = MFF(8, 4)
    nn.init.zeros_(block.av.weight)
    low = torch.randn(1, 4, 6, 6)
    block.up[0].weight.data.zero_()  # type: ignore[union-attr, operator]
    torch.testing.assert_close(block.eval()(torch.randn(1, 8, 3, 3), low), low)


def test_rsep_is_four_dilated_branches_and_the_input() -> None:
    block = RSEP(8)
    randomise(block)
    x = random_map(8, 13, 11)
    parts = [array(x)[0]]
    for branch, dilation in zip(block.branches, (1, 6, 12, 12), strict=True):
        first, se, point, _ = branch  # type: ignore[misc]
        y = np.maximum(batch_norm(first[1], conv3x3(first[0], parts[0], dilation)), 0.0)
        y = squeeze_excite(se, y)
        parts.append(np.maximum(conv1x1(point, y.reshape(y.shape[0], -1)), 0.0).reshape(y.shape))
    fused = conv1x1(block.fuse[0], np.concatenate(parts).reshape(16, -1)).reshape(8, 13, 11)  # type: ignore[arg-type]
    expected = np.maximum(batch_norm(block.fuse[1], fused), 0.0)  # type: ignore[arg-type]
    np.testing.assert_allclose(array(block(x))[0], expected, rtol=1e-9, atol=1e-12)


def test_aspp_keeps_the_shape_and_sees_far() -> None:
    block = ASPP(32)
    randomise(block)
    x = random_map(32, 40, 40).requires_grad_()
    y = block(x)
    assert y.shape == x.shape
    (gradient,) = torch.autograd.grad(y[0, :, 20, 20].sum(), x)
    assert gradient[0, :, 2, 20].abs().sum() > 0  # dilation 18
    assert gradient[0, :, 0, 0].abs().sum() > 0  # image pooling


@pytest.mark.parametrize("scale", [1e-2, 1.0, 3e4])
def test_unit_has_length_one_and_survives_half(scale: float) -> None:
    vector = torch.randn(2, 32, 1, 1, generator=torch.Generator().manual_seed(0)).clamp(-2, 2) * scale
    lengths = unit(vector).flatten(1).norm(dim=1)
    torch.testing.assert_close(lengths, torch.ones(2), atol=1e-2, rtol=0)
    half = unit(vector.half()).float()
    torch.testing.assert_close(half, unit(vector), atol=4e-3, rtol=0)
    assert not unit(torch.zeros(1, 4, 1, 1, dtype=torch.float16)).isnan().any()
