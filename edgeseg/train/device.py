"""Where a network runs while it is trained and measured as a run: the GPU if there is one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from edgeseg.errors import BackendError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from edgeseg.nets.frame import FrameNet


def best_device(number: int = 0) -> torch.device:
    """The GPU of this number, else the CPU.

    A run's FP32 is what engines are compared with: TF32, which cuDNN takes by default, has ten bits of mantissa.

    Raises:
        BackendError: there are GPUs, but none of this number.
    """
    if not torch.cuda.is_available():
        return torch.device("cpu")
    if number >= torch.cuda.device_count():
        raise BackendError(f"--device {number}: there is no such GPU; this machine has {torch.cuda.device_count()}")
    torch.backends.cudnn.allow_tf32 = False
    return torch.device("cuda", number)


def ask(net: FrameNet, frame: Tensor) -> NDArray[np.uint8]:
    """One fitted frame uint8 [h, w, 3] → uint8 probability [K, h, w], wherever the network is."""
    with torch.no_grad():
        out: NDArray[np.uint8] = net(frame[None].to(net.mean.device))[0].cpu().numpy()
    return out
