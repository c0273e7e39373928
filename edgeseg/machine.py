"""What machine this is, in words, for evaluations and benchmarks."""

from __future__ import annotations

import os
import platform
from functools import cache
from pathlib import Path


@cache
def _cpu_says(*keys: str) -> str:
    """What /proc/cpuinfo says of the first CPU under one of these keys; empty without it (not Linux)."""
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="ascii", errors="replace")
    except OSError:
        return ""
    said = (line.partition(":")[2].strip() for line in text.splitlines() if line.startswith(keys))
    return next(said, "")


def cpu_flags() -> frozenset[str]:
    """CPU features as Linux names them; empty elsewhere."""
    return frozenset(_cpu_says("flags", "Features").split())


def cpu_vendor() -> str:
    """Such as "AuthenticAMD" or "GenuineIntel"; empty where Linux does not say."""
    return _cpu_says("vendor_id")


def cpus() -> int:
    """CPUs this process may use."""
    return len(os.sched_getaffinity(0))


def describe(threads: int = 0) -> str:
    """Such as "x86_64 AVX512-VNNI BF16, 2 threads"."""
    flags = cpu_flags()
    names = (("avx512_vnni", "AVX512-VNNI"), ("avx_vnni", "AVX-VNNI"), ("avx512_bf16", "BF16"), ("amx_int8", "AMX"))
    features = [name for flag, name in names if flag in flags] or [
        name for name in ("avx2", "asimddp") if name in flags
    ]
    return f"{' '.join([platform.machine(), *features])}, {threads or cpus()} threads"
