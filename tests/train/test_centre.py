"""The level of the probability after a weighted loss."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch

from edgeseg.errors import DataError, UsageError
from edgeseg.nets.dnlnet import DNLNet
from edgeseg.nets.frame import FrameNet
from edgeseg.nets.npnet import NPNet
from edgeseg.train.centre import centre


def frames() -> list[tuple[torch.Tensor, torch.Tensor]]:
    """Noise with a corner of target: 1/16 of the pixels, and a frame without any."""
    truth = torch.zeros(2, 32, 32, dtype=torch.uint8)
    truth[0, :8, :16] = 1
    noise = torch.randint(0, 256, (2, 32, 32, 3), generator=torch.Generator().manual_seed(1), dtype=torch.uint8)
    return list(zip(noise, truth, strict=True))


@pytest.mark.parametrize("bias", [-6.0, 0.0, 7.0])
def test_the_mean_is_the_share_and_the_order_stays(bias: float) -> None:
    torch.manual_seed(0)
    net = FrameNet(DNLNet(width=4), [0.5] * 3, [0.2] * 3).eval()
    net.net.head.bias.data.fill_(bias)  # type: ignore[operator, union-attr]
    before, labelled = copy.deepcopy(net), frames()
    data: Any = labelled
    moved = centre(net, data)
    stack = torch.stack([frame for frame, _ in labelled])
    with torch.no_grad():
        assert float(net.probability(stack).mean()) == pytest.approx(1 / 16, abs=1e-4)
        assert torch.allclose(net.logits(stack) - before.logits(stack), torch.tensor(moved), atol=1e-4)


@pytest.mark.parametrize("net", [NPNet(), DNLNet(width=4, out_channels=2)], ids=["no bias", "two classes"])
def test_what_cannot_be_centred_is_refused(net: torch.nn.Module) -> None:
    data: Any = frames()
    with pytest.raises(UsageError, match="centre = true needs"):
        centre(FrameNet(net, [0.5] * 3, [0.2] * 3), data)


@pytest.mark.parametrize("value", [0, 1])
def test_a_share_that_no_level_fits_is_refused(value: int) -> None:
    data: Any = [(frame, torch.full_like(truth, value)) for frame, truth in frames()]
    net = FrameNet(DNLNet(width=4), [0.5] * 3, [0.2] * 3).eval()
    before = net.net.head.bias.clone()  # type: ignore[operator, union-attr]
    with pytest.raises(DataError, match="with and without target pixels"):
        centre(net, data)
    assert torch.equal(net.net.head.bias, before)  # type: ignore[arg-type, union-attr]
