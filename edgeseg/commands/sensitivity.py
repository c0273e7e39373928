"""`edgeseg sensitivity MODEL --data DIR`."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from edgeseg.commands import options


def command(
    model: options.TrainedModel,
    data: options.Data,
    split: options.Choosing = None,
    calibration: Annotated[
        str | None, typer.Option("--calibration", metavar="RECIPE|TABLE", help="Frames to calibrate on, or a table.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="FILE.png", help="Bar chart.")] = None,
    json_to: options.Json = None,
    quiet: options.Quiet = False,
) -> None:
    """Rank the layers by what INT8 in each of them costs."""
    from edgeseg import console

    console.require("train", "torch", "onnx", "onnxscript", "matplotlib")
    from rich.table import Table

    from edgeseg.bundle import open_model, require_manifest
    from edgeseg.calibration import chart, sensitivity
    from edgeseg.data.select import to_choose
    from edgeseg.export import int8
    from edgeseg.export.run import float_graph
    from edgeseg.outputs import check_files, check_suffix

    check_files({"--out": out, "--json": console.json_file(json_to)})
    check_suffix("--out", out, ".png")
    source = open_model(model)
    manifest = require_manifest(source)
    pairs = [pair for selection in to_choose(data, split, manifest) for pair in selection.pairs]
    graph = float_graph(source, manifest, 17, [], lambda _: None).data
    wanted = int8.Wanted(("int8-cpu",), calibration)
    table = int8.find_table(graph, manifest, source, wanted, data, lambda _: None)
    with console.progress(quiet=quiet) as bar:
        task = bar.add_task("layers", total=len(sensitivity.layer_names(graph)), note="")
        costs = sensitivity.rank(graph, table, sensitivity.subset(pairs), manifest, each=lambda: bar.advance(task))
    shown = Table("layer", title=f"{manifest.name}: each layer alone in INT8", title_justify="left")
    for heading in ("mean |Δp|", "SNR dB", "Dice points"):
        shown.add_column(heading, justify="right")
    for one in costs:
        shown.add_row(one.layer, f"{one.difference:.5f}", f"{one.snr_db:.1f}", f"{100 * one.dice_drop:.2f}")
    screen = console.console(json_to, quiet=quiet)
    screen.print(shown)
    if out is not None:
        chart.write(costs, manifest.name, out)
        screen.print(f"chart: {out}")
    console.write_json({"layers": [asdict(one) for one in costs]}, json_to)
