"""Train → export → val on a tiny phantom, as a user types it."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

import edgeseg


def test_run_folder(tiny_run: Path) -> None:
    names = {file.name for file in tiny_run.iterdir()}
    wanted = {"manifest.json", "manifest.sha256", "weights.safetensors", "metrics.csv", "curves.png", "predictions.png"}
    assert names == wanted | {"recipe.toml", "last.ckpt", "splits", "tensorboard"}
    assert [file for file in tiny_run.parent.iterdir() if file.name.startswith(".")] == []


def test_bundle_folder(tiny_bundle: Path) -> None:
    files = {file.relative_to(tiny_bundle).as_posix() for file in tiny_bundle.rglob("*") if file.is_file()}
    manifest = edgeseg.open(tiny_bundle).manifest
    assert manifest is not None
    listed = {graph.file for graph in manifest.graphs} | {one.file for one in manifest.golden}
    listed |= {one.fitted_file for one in manifest.golden} | {e.file for g in manifest.golden for e in g.expected}
    listed |= {one.file for one in manifest.documents}
    assert {one.role for one in manifest.documents} == {"report", "sbom", "card"}
    listed |= {one.file for one in manifest.documents}
    assert files == listed | {"manifest.json", "manifest.sha256"}
    assert [file for file in tiny_bundle.parent.iterdir() if file.name.startswith(".")] == []


@pytest.mark.parametrize("backend", ["auto", "onnxruntime", "openvino"])
def test_val(tiny_bundle: Path, tiny_data: Path, edgeseg_cli: Callable, backend: str) -> None:
    done = edgeseg_cli("val", tiny_bundle, "--data", tiny_data, "--backend", backend, "--json", "-")
    assert done.code == 0, done.err
    assert done.json["n_images"] == len(done.json["images"]) == 3
    assert set(done.json["per_image"]) >= {"dice", "iou", "accuracy", "specificity"}
    assert done.json["auc_from"] == "uint8"
