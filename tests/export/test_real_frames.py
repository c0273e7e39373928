"""The float graph against PyTorch on real frames: 1/255 in probability, on both CPU backends."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import torch

from edgeseg.data.layouts import open_dataset
from edgeseg.export import check, frame_graph
from edgeseg.manifest import parse
from edgeseg.nets import build
from edgeseg.nets.frame import FrameNet
from edgeseg.train.load import RunPredictor

MANIFEST = Path(__file__).parents[1] / "data" / "contract_manifest.json"


def test_npnet_on_fifty_real_frames(data_dir: Callable[[str], Path]) -> None:
    manifest = parse(MANIFEST.read_bytes())
    frames = check.fitted_frames(open_dataset(data_dir("cvc_clinicdb")).pairs, manifest.frame, 50)
    torch.manual_seed(0)
    net = FrameNet(build("npnet"), [0.5] * 3, [0.25] * 3)
    with torch.no_grad():  # batch norm learns these frames' statistics, so that no layer is idle
        for index in range(0, 50, 10):
            net.logits(torch.from_numpy(np.stack(frames[index : index + 2])))
        # Fresh weights say 0.5 everywhere, which every graph would repeat; enlarged, they are as sure as trained ones.
        net.eval()
        logits = torch.cat([net.logits(torch.from_numpy(frame)[None]) for frame in frames[:5]])
        net.net.head.weight.mul_(2 / logits.std())
    predictor = RunPredictor(net)
    spread = np.concatenate([predictor(frame).ravel()[::97] for frame in frames[:5]])
    assert spread.std() > 0.2
    agreements = check.agree(frame_graph.export(net, manifest), predictor, frames)
    assert {one.backend for one in agreements} == {"onnxruntime", "openvino"}
    assert all(one.frames == 50 and one.largest <= 1.5 / 255 + 1e-6 for one in agreements)
