"""How long engines take to build from a bundle, and how large they are; needs no GPU with TensorRT for RTX.

    python benchmarks/engine_build.py [BUNDLE] [--out benchmarks/results/FILE.md]

Each profile and precision in turn, in one process: `edgeseg export BUNDLE --target NAME` without the writing.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path

from edgeseg.backends.tensorrt_library import find
from edgeseg.bundle import open_bundle
from edgeseg.calibration import table
from edgeseg.export import forms, targets
from edgeseg.export.tensorrt import Settings, build
from edgeseg.machine import describe


def main() -> None:
    """The table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("bundle", nargs="?", default="npnet-polyp")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    source, library = open_bundle(given.bundle), find("rtx")
    graph = (source.path / "graphs" / "float.onnx").read_bytes()
    ranges = table.parse((source.path / "calibration.json").read_bytes(), "calibration.json")
    head = source.manifest
    if head is None:
        raise SystemExit(f"{given.bundle} has no manifest")
    shape = (1, head.frame.height, head.frame.width, 3)
    lines = [
        f"# Engine builds, input {shape[1]}x{shape[2]}",
        "",
        f"`python benchmarks/engine_build.py {given.bundle}`; {library.title}, no GPU; {describe()}.",
        "",
        "| target | precision | emit s | build s | engine MB |",
        "|---|---|---|---|---|",
    ]
    for name in targets.recipes.names(targets.KIND):
        profile = targets.load(name)
        if profile.engine is None or profile.engine.flavour != "rtx":
            continue
        for precision in profile.precisions:
            form = profile.graph(precision)
            start = time.perf_counter()
            data = graph if form == "float" else forms.emit(form, graph, ranges).data
            middle = time.perf_counter()
            cards = tuple(profile.engine.compute_capabilities)
            plan = build(data, library, Settings(form, typed=True, precision=precision, shapes=(shape,) * 3,
                                                 compute_capabilities=cards)).plan  # fmt: skip
            end = time.perf_counter()
            lines.append(
                f"| {name} | {precision} | {middle - start:.2f} | {end - middle:.2f} | {len(plan) / 1e6:.2f} |"
            )
    text = "\n".join(lines) + "\n"
    print(text)
    if given.out:
        given.out.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
