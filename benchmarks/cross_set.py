"""What INT8 costs at home and away: one network, its calibration set, and data sets it has never seen.

    python benchmarks/cross_set.py RUN_BUNDLE --home DIR --away DIR [--away DIR] --out benchmarks/results/FILE.md

For each method (with and without bias correction, and with frames of several sources) the CPU form is emitted
from a fresh table and measured in OpenVINO against the float graph, image by image. Away frames are only measured.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from edgeseg.atomic import atomic_write
from edgeseg.backends import int8_form
from edgeseg.bundle import open_bundle, require_manifest
from edgeseg.calibration import frames as calibration_frames
from edgeseg.calibration import run as calibration
from edgeseg.calibration import table as tables
from edgeseg.calibration.methods import METHODS
from edgeseg.calibration.table import Table
from edgeseg.data.select import Selection, select
from edgeseg.export import forms, gate
from edgeseg.machine import describe


def main() -> None:
    """Prints the table and writes it."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--home", type=Path, required=True)
    parser.add_argument("--away", type=Path, action="append", required=True)
    parser.add_argument("--frames", type=int, default=128)
    parser.add_argument("--out", type=Path)
    words = parser.parse_args()
    source = open_bundle(words.bundle)
    manifest = require_manifest(source)
    entry = next(one for one in manifest.graphs if one.form == "float")
    graph = source.read(entry.file, entry.sha256, entry.size)
    selections = select([words.home], "test", "test", manifest)
    for away in words.away:
        selections += [one for split in ("val", "test") for one in select([away], split, split, manifest)]
    reference = gate.measure("float", "openvino", graph, selections, manifest)
    lines = head(manifest.name, entry.sha256, selections, reference, words)
    print("\n".join(lines), flush=True)
    for label, table in variants(graph, manifest, words):
        data = forms.emit(int8_form(), graph, table).data
        found = gate.against(gate.measure(int8_form(), "openvino", data, selections, manifest), reference)
        row = [label, *(one.points() for one in found)]
        lines.append("| " + " | ".join(row) + " |")
        print(lines[-1], flush=True)
    if words.out:
        atomic_write(words.out, "\n".join(lines) + "\n")


def head(
    name: str, sha256: str, selections: list[Selection], reference: list[gate.Measured], words: argparse.Namespace
) -> list[str]:
    """What was measured and how, and the table's first rows."""
    command = f"python benchmarks/cross_set.py {name}.edgeseg --home {words.home.name} "
    command += " ".join(f"--away {away.name}" for away in words.away)
    titles = [f"{one.dataset.name} {one.split} (n={len(one.pairs)})" for one in selections]
    float_row = [f"{one.tally.per_image()['dice']:.4f}" for one in reference]
    frames = f"Calibrated on {words.frames} frames of {words.home.name}'s training split, unless a row says otherwise."
    return [
        f"# INT8 at home and away: {name}",
        "",
        f"`{command}` on {describe()}; float graph sha256 {sha256[:16]}…",
        f"{frames} First row: Dice in float; the others: change in Dice points (95 % bootstrap interval).",
        "",
        "| calibration | " + " | ".join(titles) + " |",
        "|---" * (len(titles) + 1) + "|",
        "| float | " + " | ".join(float_row) + " |",
    ]


def variants(graph: bytes, manifest: object, words: argparse.Namespace) -> list[tuple[str, Table]]:
    """Every method with and without bias correction; the default also with frames of all sources."""
    home = made(graph, manifest, [words.home], words.frames)
    out = []
    for method in METHODS:
        table = calibration.with_method(home, method)
        plain = [one.model_copy(update={"channel_mean": []}) for one in table.tensors]
        out.append((f"{method}, no bias correction", tables.make(table.calibration, plain)))
        out.append((method, table))
    sources = made(graph, manifest, [words.home, *words.away], words.frames)
    out += [
        (f"{method}, frames of all sources", calibration.with_method(sources, method)) for method in ("minmax", "mse")
    ]
    return out


def made(graph: bytes, manifest: object, data: list[Path], frames: int) -> Table:
    """A table of frames drawn from the training splits."""
    from edgeseg.data.layouts import open_dataset

    names = [open_dataset(root).name for root in data]
    recipe = calibration_frames.default_recipe(names, frames)
    chosen = calibration_frames.choose(recipe, data, manifest)  # type: ignore[arg-type]
    return calibration.calibrate(graph, manifest, chosen, "minmax")  # type: ignore[arg-type]


if __name__ == "__main__":
    np.seterr(all="raise")
    main()
