"""The shipped bundles: whole, small, and as good on real clips as their page says."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks.clips_with_truth import false_masks, found
from edgeseg.bundle import ZOO, open_bundle, require_manifest, zoo_names
from edgeseg.folder import Folder

# Figures of edgeseg/zoo/README.md, as `python -m benchmarks.clips_with_truth` printed them, with a little room.
FOUND_FRAMES, FALSE_EPISODES = 0.2, 60


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


@pytest.mark.parametrize("name", zoo_names())
def test_int8_costs_little_on_the_test_split(name: str) -> None:
    """Within 0.3 Dice points of float, every INT8 graph on every set, as `export` measured the built engines."""
    manifest = require_manifest(open_bundle(name))
    found = [one for one in manifest.evaluations if one.split == "test" and one.subject != "float"]
    int8 = {one.name for one in manifest.graphs if one.precision == "int8"}
    sets = [one.name for one in manifest.training.data]
    assert {(one.subject, one.data) for one in found} == {(graph, data) for graph in int8 for data in sets}
    assert [one for one in found if one.dice_drop is None or one.dice_drop > 0.003] == []


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


def test_list_says_how_much_each_holds(edgeseg_cli: Callable) -> None:
    sizes = {
        name: sum(f.stat().st_size for f in (ZOO / f"{name}.edgeseg").rglob("*") if f.is_file()) for name in zoo_names()
    }
    rows = edgeseg_cli("zoo", "--json", "-").json["zoo"]
    assert {row["name"]: row["bytes"] for row in rows} == sizes
    said = edgeseg_cli("zoo").out
    assert all(name in said for name in sizes)
    assert f"{sum(sizes.values()) / 1e6:.1f} MB in all" in said
    assert all(f"{size / 1e6:.1f}" in said for size in sizes.values())


@pytest.mark.parametrize("name", zoo_names())
def test_one_bundle_with_its_graphs(name: str, edgeseg_cli: Callable) -> None:
    manifest = require_manifest(open_bundle(name))
    said = edgeseg_cli("zoo", name).out
    assert manifest.terms.notice in " ".join(said.split())
    for row in manifest.evaluations:
        if row.purpose == "report":
            line = next(one for one in said.splitlines() if row.backend in one and f"{row.per_image.dice:.4f}" in one)
            assert row.data in line
    assert all(f" {graph.name} " in said for graph in manifest.graphs)


@pytest.mark.parametrize("name", zoo_names())
def test_card_of_a_zoo_bundle(name: str) -> None:
    """Data, terms, use and non-use, figures by set and split."""
    source = open_bundle(name)
    manifest = require_manifest(source)
    document = next(one for one in manifest.documents if one.role == "card")
    text = source.read(document.file, document.sha256, document.size).decode()
    assert manifest.terms.notice in text
    assert "Intended: " in text
    assert "Not intended: " in text
    for one in manifest.training.splits:
        assert one.data in text
    for figure in manifest.evaluations:
        assert f"| {figure.subject} | {figure.backend} | {figure.data} {figure.split} | {figure.images} |" in text
    assert any(figure.split == "test" and figure.purpose == "report" for figure in manifest.evaluations)
