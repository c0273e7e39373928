"""The shipped bundles: whole, small, and as good on real clips as their page says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.clips_with_truth import false_masks, found
from edgeseg.bundle import ZOO, open_bundle, require_manifest, zoo_names
from edgeseg.folder import Folder

# Figures of edgeseg/zoo/README.md, as `python -m benchmarks.clips_with_truth` printed them, with a little room.
FOUND_FRAMES, FALSE_EPISODES = 0.0, 60


@pytest.mark.parametrize("name", zoo_names())
def test_zoo_bundle_is_whole(name: str) -> None:
    source = open_bundle(name)
    manifest = require_manifest(source)
    assert manifest.name == name
    assert manifest.terms.notice
    assert manifest.use is not None
    with Folder(source.path) as folder:
        for graph in manifest.graphs:
            folder.checked(graph.file, graph.sha256, graph.size)
            assert graph.gate == "passed"
            assert graph.form in ("float", "cpu")
    assert f"`{name}`" in (ZOO / "README.md").read_text(encoding="utf-8")


def test_zoo_is_small() -> None:
    assert zoo_names()
    assert sum(file.stat().st_size for file in ZOO.rglob("*") if file.is_file()) < 30_000_000


def test_polyp_model_on_the_real_clip(data_dir: Callable[[str], Path]) -> None:
    with open_bundle("npnet-polyp").load() as model:
        assert found(model, data_dir("video")).frames >= FOUND_FRAMES


@pytest.mark.slow
def test_polyp_model_on_a_clip_without_polyps(data_dir: Callable[[str], Path]) -> None:
    with open_bundle("npnet-polyp").load() as model:
        assert false_masks(model, data_dir("video")).episodes <= FALSE_EPISODES
