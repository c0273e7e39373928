"""A network's frame graph as bundles have it, at a small size."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from edgeseg import manifest as mf
from edgeseg.export import frame_graph
from edgeseg.nets.frame import FrameNet


@pytest.fixture
def exported() -> Callable[[FrameNet, str], bytes]:
    """Exports a network under its name, for frames of 64×96."""

    def export(net: FrameNet, name: str) -> bytes:
        example = Path(__file__).parents[1] / "data" / "contract_manifest.json"
        manifest = mf.parse(example.read_bytes())
        small = {"height": 64, "width": 96}
        changed = {
            "frame": manifest.frame.model_copy(update=small),
            "output": manifest.output.model_copy(update=small),
            "task": manifest.task.model_copy(update={"network": name}),
        }
        return frame_graph.export(net, manifest.model_copy(update=changed))

    return export
