"""Where and how a network is trained: the processor's own precision, the memory of a step."""

from __future__ import annotations

import ctypes
import subprocess
import sys

import pytest
import torch

from edgeseg.train import device
from edgeseg.train.device import precision


@pytest.mark.parametrize(
    ("vendor", "can", "expected"),
    [
        ("AuthenticAMD", {"avx512_bf16": False, "amx_bf16": False}, "32-true"),  # emulated, three times as slow
        ("AuthenticAMD", {"avx512_bf16": True, "amx_bf16": False}, "bf16-mixed"),
        ("GenuineIntel", {"avx512_bf16": True, "amx_bf16": False}, "32-true"),  # 1.3 times the time of fp32
        ("GenuineIntel", {"avx512_bf16": True, "amx_bf16": True}, "bf16-mixed"),
        ("", {"architecture": "aarch64"}, "32-true"),
    ],
)
def test_bf16_only_where_the_processor_gains_by_it(
    monkeypatch: pytest.MonkeyPatch, vendor: str, can: dict[str, object], expected: str
) -> None:
    monkeypatch.setattr(device, "cpu_vendor", lambda: vendor)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: can)
    assert precision() == expected


def test_this_processor_says_whether_it_can() -> None:
    """The keys that precision() asks for are PyTorch's."""
    can = torch.cpu.get_capabilities()
    if can["architecture"] != "x86_64":
        pytest.skip("the keys are of x86 processors")
    assert {"avx512_bf16", "amx_bf16"} <= can.keys()


_FREED = """
import sys
from pathlib import Path
import numpy as np
if sys.argv[1] == "kept":
    from edgeseg.train.device import keep_blocks
    keep_blocks()
resident = lambda: int(Path("/proc/self/statm").read_text().split()[1])
np.ones(8 << 20)
block = np.ones(8 << 20)
whole = resident()
del block
print((whole - resident()) * 4096 >> 20)
"""


@pytest.mark.skipif(sys.platform != "linux" or not hasattr(ctypes.CDLL(None), "mallopt"), reason="not glibc")
@pytest.mark.parametrize(("memory", "given_back"), [("kept", 0), ("given back", 64)])
def test_freed_memory_is_kept_for_the_next_step(memory: str, given_back: int) -> None:
    command = [sys.executable, "-c", _FREED, memory]
    said = subprocess.run(command, check=True, capture_output=True, text=True).stdout
    assert int(said) == pytest.approx(given_back, abs=4)
