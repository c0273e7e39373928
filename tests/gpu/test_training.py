"""Training and measuring a run on a card: frames, draws and network are there, and the run is one like any other."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from tests.conftest import Ran

pytestmark = pytest.mark.gpu


def test_a_run_of_a_card(tiny_data: Path, tmp_path: Path, edgeseg_cli: Callable[..., Ran]) -> None:
    import torch

    from edgeseg.train.run import frames_device

    device = frames_device(1)
    assert device is not None
    assert device.type == "cuda"
    out = tmp_path / "run"
    words = ["train", "npnet-phantom", "--imgsz", "64x96", "--epochs", 3, "--quiet", "--data", tiny_data, "--out", out]
    assert edgeseg_cli(*words).code == 0
    losses = [float(row.split(",")[1]) for row in (out / "metrics.csv").read_text().splitlines()[1:]]
    assert losses[-1] < losses[0]
    done = edgeseg_cli("val", out, "--data", tiny_data, "--json", "-")
    assert done.code == 0
    assert torch.cuda.get_device_name(0) in json.loads(done.out)["engine"]
    # The same weights on the CPU say the same, to float32's rounding: no TF32.
    card = json.loads(done.out)["pooled"]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(torch.cuda, "is_available", lambda: False)
        cpu = json.loads(edgeseg_cli("val", out, "--data", tiny_data, "--json", "-").out)["pooled"]
    assert card["auc"] == pytest.approx(cpu["auc"], abs=1e-5)
    assert card["dice"] == pytest.approx(cpu["dice"], abs=1e-4)


def test_the_same_draws_on_a_card() -> None:
    import torch

    from edgeseg.data.batch.augment import augment
    from edgeseg.data.batch.draw import Draw
    from edgeseg.train.recipe import load

    device = torch.device("cuda", 0)
    settings = load("npnet-polyp")[0].augmentation
    frames = torch.randint(0, 256, (4, 96, 128, 3), dtype=torch.uint8, device=device)
    masks = torch.zeros(4, 96, 128, dtype=torch.uint8, device=device)
    masks[:, 30:60, 40:90] = 1
    index = torch.arange(4, device=device)
    one, again, other = (augment(frames, masks, index, settings, 0, 20, Draw(device, seed)) for seed in (1, 1, 2))
    assert one[0].device.type == "cuda"
    assert torch.equal(one[0], again[0])
    assert not torch.equal(one[0], other[0])
