"""The network with its preprocessing around it: frame in, probability out.

Training, validation and export all run this module, so normalisation exists once.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class FrameNet(nn.Module):
    """uint8 BGR frames → uint8 probability; what is exported as the frame graph.

    Networks are trained on BGR, as cameras and OpenCV give it: no channel swap exists anywhere.

    Args:
        net: float NCHW → logits NCHW at the same size.
        mean: per channel B, G, R, of values 0 to 1.
        std: per channel B, G, R.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, net: nn.Module, mean: Sequence[float], std: Sequence[float]) -> None:
        super().__init__()
        self.net = net
        self.register_buffer("mean", torch.tensor(mean, dtype=torch.float32).view(1, 3, 1, 1))
        self.register_buffer("std", torch.tensor(std, dtype=torch.float32).view(1, 3, 1, 1))

    def logits(self, frame: Tensor) -> Tensor:
        """uint8 [B, h, w, 3] → float [B, classes − 1, h, w].

        Cast first, then transpose: TensorRT for RTX refuses Transpose on uint8.
        """
        x = frame.float().permute(0, 3, 1, 2) / 255.0
        out: Tensor = self.net((x - self.mean) / self.std)
        return out

    def probability(self, frame: Tensor) -> Tensor:
        """uint8 [B, h, w, 3] → float [B, classes − 1, h, w], 0 to 1."""
        return activate(self.logits(frame).float())

    def forward(self, frame: Tensor) -> Tensor:
        """uint8 [B, h, w, 3] → uint8 [B, classes − 1, h, w], round(255·p)."""
        return torch.round(self.probability(frame) * 255.0).to(torch.uint8)


def activate(logits: Tensor) -> Tensor:
    """Sigmoid for one class beside the background; softmax against an implicit background logit of 0 for more."""
    if logits.shape[1] == 1:
        return torch.sigmoid(logits)
    background = torch.zeros_like(logits[:, :1])
    return torch.softmax(torch.cat([background, logits], 1), 1)[:, 1:]
