"""Parameters and multiply-adds of a network, counted the two ways papers count them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

# Of an output element of ``nn.Upsample``: the rate at which the papers' figures come out (not looked up in their tool).
BILINEAR = 11


@dataclass(frozen=True)
class Cost:
    """What a network costs for one image.

    Attributes:
        parameters: their number.
        gmac: 10⁹ multiply-adds of convolutions and linear layers.
        gmac_with_bn: as counting tools do, and so the papers' figures: batch norm at 2 per element, the bias of a
            convolution at 1 per output element, bilinear ``nn.Upsample`` at 11 (``F.interpolate`` is seen by none).
    """

    parameters: int
    gmac: float
    gmac_with_bn: float


def cost(net: nn.Module, height: int, width: int, in_channels: int = 3) -> Cost:
    """Counts by one forward pass of zeros, float32 [1, in_channels, height, width], on the network's own device.

    A network built under ``torch.device("meta")`` is counted without computing anything.
    """
    macs = {"conv": 0, "rest": 0}

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            # A transposed convolution spreads each input over its outputs, the other gathers each output.
            seen, far = (inputs[0], module.out_channels) if module.transposed else (output, module.in_channels)
            macs["conv"] += seen.numel() * module.kernel_size[0] * module.kernel_size[1] * far // module.groups
            macs["rest"] += output.numel() if module.bias is not None else 0
        elif isinstance(module, nn.Linear):
            macs["conv"] += output.numel() * module.in_features
        elif isinstance(module, nn.BatchNorm2d):
            macs["rest"] += 2 * output.numel()
        elif isinstance(module, nn.Upsample) and module.mode == "bilinear":
            macs["rest"] += BILINEAR * output.numel()

    handles = [module.register_forward_hook(count) for module in net.modules()]
    training = net.training
    device = next((parameter.device for parameter in net.parameters()), None)
    try:
        with torch.no_grad():
            net.eval()(torch.zeros(1, in_channels, height, width, device=device))
    finally:
        net.train(training)
        for handle in handles:
            handle.remove()
    parameters = sum(parameter.numel() for parameter in net.parameters())
    return Cost(parameters, macs["conv"] / 1e9, (macs["conv"] + macs["rest"]) / 1e9)
