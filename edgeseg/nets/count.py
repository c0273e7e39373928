"""Parameters and multiply-adds of a network, counted the two ways papers count them."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Cost:
    """What a network costs for one image.

    Attributes:
        parameters: their number.
        gmac: 10⁹ multiply-adds of convolutions and linear layers.
        gmac_with_bn: with batch norm at 2 per element, as most counting tools do.
    """

    parameters: int
    gmac: float
    gmac_with_bn: float


def cost(net: nn.Module, height: int, width: int, in_channels: int = 3) -> Cost:
    """Counts by one forward pass of zeros, float32 [1, in_channels, height, width]."""
    macs = {"conv": 0, "bn": 0}

    def count(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> None:
        if isinstance(module, nn.Conv2d):
            taps = module.kernel_size[0] * module.kernel_size[1] * module.in_channels // module.groups
            macs["conv"] += output.numel() * taps
        elif isinstance(module, nn.ConvTranspose2d):
            taps = module.kernel_size[0] * module.kernel_size[1] * module.out_channels // module.groups
            macs["conv"] += inputs[0].numel() * taps
        elif isinstance(module, nn.Linear):
            macs["conv"] += output.numel() * module.in_features
        elif isinstance(module, nn.BatchNorm2d):
            macs["bn"] += 2 * output.numel()

    handles = [module.register_forward_hook(count) for module in net.modules()]
    training = net.training
    try:
        with torch.no_grad():
            net.eval()(torch.zeros(1, in_channels, height, width))
    finally:
        net.train(training)
        for handle in handles:
            handle.remove()
    parameters = sum(parameter.numel() for parameter in net.parameters())
    return Cost(parameters, macs["conv"] / 1e9, (macs["conv"] + macs["bn"]) / 1e9)
