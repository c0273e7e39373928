"""Weights from file to network: the same ones, a narrower network's, or none."""

from __future__ import annotations

import pytest
import torch

from edgeseg.errors import ModelError
from edgeseg.nets.dnlnet import DNLNet
from edgeseg.train.checkpoint import load_weights, weights_bytes


def test_a_grown_network_computes_what_the_narrow_one_did_and_learns_in_its_new_channels() -> None:
    torch.manual_seed(0)
    narrow = DNLNet(width=4)
    narrow.train()(torch.randn(4, 3, 32, 32))  # batch norms with statistics of their own
    x = torch.randn(2, 3, 40, 24)
    fine = DNLNet(width=4, fine=12)
    load_weights(fine, weights_bytes(narrow, {}), "here", grow=True)
    assert torch.allclose(fine.eval()(x), narrow.eval()(x), atol=1e-5)
    fine.train()(x).square().mean().backward()
    new = fine.head.weight.grad
    assert new is not None
    assert (new[:, 4:].abs() > 0).all()


def test_every_stage_may_grow() -> None:
    torch.manual_seed(0)
    narrow, wide = (DNLNet(width=width, context="none", attention="none") for width in (4, 8))
    x = torch.randn(2, 3, 40, 24)
    narrow.train()(x)
    load_weights(wide, weights_bytes(narrow, {}), "here", grow=True)
    assert torch.allclose(wide.eval()(x), narrow.eval()(x), atol=1e-5)


def test_weights_of_another_network_are_refused() -> None:
    data = weights_bytes(DNLNet(width=8), {})
    for grow in (False, True):
        with pytest.raises(ModelError, match="another network"):
            load_weights(DNLNet(width=4), data, "here", grow=grow)
    with pytest.raises(ModelError, match="another network"):
        load_weights(DNLNet(width=12), data, "here")
    with pytest.raises(ModelError, match="no safetensors"):
        load_weights(DNLNet(width=4), b"not at all", "here", grow=True)
