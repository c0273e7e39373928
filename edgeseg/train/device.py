"""Where a network runs while it is trained and measured as a run: the GPU if there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from edgeseg.nets.frame import FrameNet


def best_device() -> torch.device:
    """The first GPU, else the CPU.

    A run's FP32 is what engines are compared with: TF32, which cuDNN takes by default, has ten bits of mantissa.
    """
    if not torch.cuda.is_available():
        return torch.device("cpu")
    torch.backends.cudnn.allow_tf32 = False
    return torch.device("cuda", 0)


def ask(net: FrameNet, frame: Tensor) -> NDArray[np.uint8]:
    """One fitted frame uint8 [h, w, 3] → uint8 probability [K, h, w], wherever the network is."""
    with torch.no_grad():
        out: NDArray[np.uint8] = net(frame[None].to(net.mean.device))[0].cpu().numpy()
    return out
