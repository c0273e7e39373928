"""edgeseg: medical segmentation networks, from labelled frames to a verified real-time engine.

import edgeseg
bundle = edgeseg.open("npnet-polyp")
with bundle.load() as model:
    result = model(frame)
"""

from __future__ import annotations

import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, cast

from edgeseg.errors import EdgesegError

if TYPE_CHECKING:
    from pathlib import Path

    from edgeseg.bundle import Source

# Read by OpenCV when it is first imported: damaged files are our errors to report, in one sentence each, and a small
# file that claims to be a huge picture is refused before memory is taken for it (64 million pixels; ISIC has 30).
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(1 << 26))

# OpenVINO's Python package tells Google Analytics that it was imported, from a forked child of this process, unless its
# telemetry package cannot be found; then a stub of its own takes the place. Nothing here calls out.
sys.modules.setdefault("openvino_telemetry", cast("ModuleType", None))
# ONNX Runtime (from 1.29) sends what it runs to Microsoft and keeps a device id at home, unless this is set before it
# is first imported. Nobody's environment turns it on again: that nothing calls out is our word.
os.environ["ORT_DISABLE_TELEMETRY"] = "1"

__version__ = "0.1.0"
__all__ = ["EdgesegError", "__version__", "open"]


def open(name: str | Path) -> Source:  # noqa: A001 - edgeseg.open reads as it should
    """Opens a bundle by zoo name or folder; its hashes are checked.

    Raises:
        EdgesegError: nothing there, or it is rejected (see :mod:`edgeseg.errors`).
    """
    from edgeseg.bundle import open_bundle

    return open_bundle(name)
