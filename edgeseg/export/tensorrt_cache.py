"""Timing cache of a machine: what TensorRT measured of kernels in earlier builds, kept per version and card."""

from __future__ import annotations

import re
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from edgeseg import cache
from edgeseg.backends.tensorrt_library import Library


class TimingCache:
    """Gives a builder the cache before a build and keeps it after one that ended well.

    Nothing happens where the library keeps none (TensorRT for RTX) or ``card`` is "".
    """

    def __init__(self, config: Any, library: Library, card: str) -> None:
        self._config = config
        self.file: Path | None = None
        if card and library.can.timing_cache:
            name = re.sub(r"[^A-Za-z0-9.]+", "-", f"{library.flavour}-{library.version}-{card}")
            self.file = cache.cache_home() / "timing" / f"{name}.cache"

    def __enter__(self) -> Self:
        if self.file is not None:
            kept = self._config.create_timing_cache(cache.read(self.file)) or self._config.create_timing_cache(b"")
            self._config.set_timing_cache(kept, ignore_mismatch=False)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        kept = self._config.get_timing_cache() if kind is None and self.file is not None else None
        if self.file is not None and kept is not None:
            cache.write(self.file, bytes(memoryview(kept.serialize())))
