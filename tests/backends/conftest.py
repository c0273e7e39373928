"""Makes the stand-in for TensorRT importable in importlib mode."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

_SPEC = importlib.util.spec_from_file_location("fake_tensorrt", Path(__file__).with_name("fake_tensorrt.py"))
assert _SPEC is not None
assert _SPEC.loader is not None
sys.modules["fake_tensorrt"] = importlib.util.module_from_spec(_SPEC)
_SPEC.loader.exec_module(sys.modules["fake_tensorrt"])
