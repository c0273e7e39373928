"""How far INT8 is from float on validation frames: a bundle's own graphs, and the same emitted now from its table.

    python -m benchmarks.int8_error BUNDLE --data DIR [--data DIR] [--frames 40] [--own OTHER_BUNDLE]

In ONNX Runtime, which computes full-range weights right on every CPU: the distance of probabilities in grey levels, the
drop in Dice (mean over images, and mean of its magnitude), and the time of a frame, turn about with the others. `--own`
takes the stored graphs from another bundle of the same weights (an older one).
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

import numpy as np

from edgeseg.backends.base import EngineOptions
from edgeseg.bundle import open_bundle, require_manifest
from edgeseg.calibration.run import TABLE_FILE, read
from edgeseg.data.select import select
from edgeseg.export import check, forms, gate, parity

REPEATS = 15


def medians(graphs: dict[str, bytes], shape: tuple[int, int]) -> dict[str, dict[str, float]]:
    """Milliseconds of a frame on one thread by graph and backend, medians over interleaved repeats."""
    frame = np.random.default_rng(0).integers(0, 256, (1, *shape, 3), np.uint8)
    engines = {
        (name, backend): load(graph, EngineOptions(threads=1))
        for name, graph in graphs.items()
        for backend, load in check.ENGINES.items()
    }
    times: dict[tuple[str, str], list[float]] = {key: [] for key in engines}
    for _ in range(REPEATS):
        for key, engine in engines.items():
            start = time.perf_counter()
            engine.run(frame)
            times[key].append(1e3 * (time.perf_counter() - start))
    return {name: {b: float(np.median(times[name, b])) for b in check.ENGINES} for name in graphs}


def main() -> None:
    """Prints the table."""
    from rich.console import Console
    from rich.table import Table

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("bundle")
    parser.add_argument("--data", type=Path, action="append", required=True)
    parser.add_argument("--frames", type=int, default=40, help="for the grey levels")
    parser.add_argument("--own", help="bundle with the stored graphs; BUNDLE by default")
    words = parser.parse_args()
    source = open_bundle(words.bundle)
    manifest = require_manifest(source)
    entry = next(one for one in manifest.graphs if one.form == "float")
    float_graph = source.read(entry.file, entry.sha256, entry.size)
    calibration = read(source.path / TABLE_FILE)
    stored = open_bundle(words.own) if words.own else source
    graphs = {}
    for one in (one for one in require_manifest(stored).graphs if one.form == "cpu" and one.name in forms.GRAPHS):
        graphs[f"{one.name}, stored"] = stored.read(one.file, one.sha256, one.size)
        graphs[f"{one.name}, now"] = forms.emit(one.name, float_graph, calibration, one.float_layers).data
    selections = select(words.data, "val", "val", manifest)
    frames = check.fitted_frames([pair for one in selections for pair in one.pairs], manifest.frame, words.frames)
    wanted = parity.on_onnxruntime(float_graph, frames).astype(np.float64)
    reference = gate.measure("float", "onnxruntime", float_graph, selections, manifest)
    took = medians({"float": float_graph, **graphs}, (manifest.frame.height, manifest.frame.width))
    names = [f"Dice points, {one.dataset.name} {one.split} ({len(one.pairs)})" for one in selections]
    table = Table("graph", "grey levels off, mean", "rms", *names, *(f"ms, {one}" for one in check.ENGINES))
    table.title = f"{manifest.name}, threshold {[one.threshold for one in manifest.classes[1:]]}; one thread"
    table.add_row("float", "", "", *[""] * len(names), *(f"{one:.1f}" for one in took["float"].values()))
    for name, graph in graphs.items():
        off = np.abs(parity.on_onnxruntime(graph, frames) - wanted)
        found = gate.against(gate.measure(name, "onnxruntime", graph, selections, manifest), reference)
        sizes = [100 * np.mean(np.abs(one.drops)) for one in found]
        drops = [
            f"{gate.dice_points(-one.drop)} (image by image {size:.2f})" for one, size in zip(found, sizes, strict=True)
        ]
        times = (f"{one:.1f}" for one in took[name].values())
        table.add_row(name, f"{off.mean():.3f}", f"{np.sqrt((off**2).mean()):.3f}", *drops, *times)
    Console(width=None if Console().is_terminal else 200).print(table)


if __name__ == "__main__":
    main()
