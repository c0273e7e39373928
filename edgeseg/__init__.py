"""edgeseg: medical segmentation networks, from labelled frames to a verified real-time engine.

import edgeseg
bundle = edgeseg.open("npnet-polyp")
with bundle.load() as model:
    result = model(frame)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeseg.errors import EdgesegError

if TYPE_CHECKING:
    from pathlib import Path

    from edgeseg.bundle import Source

__version__ = "0.1.0"
__all__ = ["EdgesegError", "__version__", "open"]


def open(name: str | Path) -> Source:  # noqa: A001 - edgeseg.open reads as it should
    """Opens a bundle by zoo name or folder; its hashes are checked.

    Raises:
        EdgesegError: nothing there, or it is rejected (see :mod:`edgeseg.errors`).
    """
    from edgeseg.bundle import open_bundle

    return open_bundle(name)
