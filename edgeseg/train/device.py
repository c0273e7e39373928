"""Where a network runs while it is trained and measured as a run: the GPU if there is one."""

from __future__ import annotations

import ctypes
import sys
from typing import TYPE_CHECKING, Literal

import torch

from edgeseg.errors import BackendError
from edgeseg.machine import cpu_vendor

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from torch import Tensor

    from edgeseg.nets.frame import FrameNet

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


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


def precision() -> Literal["bf16-mixed", "32-true"]:
    """bf16 where the processor multiplies in it faster than in fp32 (benchmarks/train_step.py); else fp32."""
    if torch.cuda.is_available():
        return "bf16-mixed" if torch.cuda.is_bf16_supported(including_emulation=False) else "32-true"
    # Not whether oneDNN takes bf16: with AVX-512 alone it emulates it, and a step takes three times as long.
    can = torch.cpu.get_capabilities()
    # Intel's AVX512-BF16 multiplies no faster than fp32 and the casts come on top; its bf16 unit is AMX.
    fast = can.get("amx_bf16") or (can.get("avx512_bf16") and cpu_vendor() != "GenuineIntel")
    return "bf16-mixed" if fast else "32-true"


def keep_blocks() -> None:
    """Lets the C library keep freed memory for the next training step.

    glibc gives blocks of several megabytes back to the system at once, and a training step on the CPU takes and
    frees hundreds of them: it is a tenth slower so, for a tenth less memory (benchmarks/train_step.py).
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None) if sys.platform == "linux" else None
    if mallopt is not None:  # musl has none
        mallopt(_M_MMAP_THRESHOLD, 1 << 30)
        mallopt(_M_TRIM_THRESHOLD, (1 << 31) - 1)


def ask(net: FrameNet, frame: Tensor) -> NDArray[np.uint8]:
    """One fitted frame uint8 [h, w, 3] → uint8 probability [K, h, w], wherever the network is."""
    with torch.no_grad():
        out: NDArray[np.uint8] = net(frame[None].to(net.mean.device))[0].cpu().numpy()
    return out
