"""`edgeseg bench MODEL`, with trtexec's names."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgeseg.commands import options
from edgeseg.errors import UsageError


def command(
    model: options.BuiltModel,
    backend: options.BackendOption = options.Backend.auto,
    precision: options.PrecisionOption = options.Precision.auto,
    device: options.Device = 0,
    threads: options.Threads = 0,
    warm_up: Annotated[float, typer.Option("--warmUp", metavar="MS", min=0, help="Before measuring.")] = 200.0,
    duration: Annotated[
        float, typer.Option("--duration", metavar="S", min=0, help="Measure this long at least.")
    ] = 3.0,
    iterations: Annotated[int, typer.Option("--iterations", metavar="N", min=1, help="Calls at least.")] = 10,
    percentile: Annotated[str, typer.Option("--percentile", metavar="P,P", help="Which to print.")] = "50,95,99",
    export_times: Annotated[Path | None, typer.Option("--exportTimes", metavar="FILE", help="CSV.")] = None,
    batch: Annotated[int, typer.Option("--batch", metavar="N", min=1, help="Frames a call.")] = 1,
    profile: Annotated[bool, typer.Option("--dumpProfile", help="Layers with their times (GPU).")] = False,
    no_transfers: Annotated[bool, typer.Option("--noDataTransfers", help="GPU time without copies.")] = False,
    cuda_graph: Annotated[bool, typer.Option("--useCudaGraph", help="Insist; else the faster way is taken.")] = False,
    rebuild: options.Rebuild = False,
    json_to: options.Json = None,
    quiet: options.Quiet = False,
) -> None:
    """Measure latency through the same call that infer makes."""
    from edgeseg import console
    from edgeseg.atomic import atomic_write
    from edgeseg.bench import Run, bench
    from edgeseg.bundle import open_model
    from edgeseg.outputs import check_files

    try:
        percentiles = [float(part) for part in percentile.split(",")]
    except ValueError as error:
        raise UsageError(f"--percentile {percentile}: give numbers joined by commas, such as 50,95,99") from error
    if not all(0 < p < 100 for p in percentiles):
        raise UsageError(f"--percentile {percentile}: percentiles lie between 0 and 100")
    options.check_finite({"--warmUp": warm_up, "--duration": duration})
    check_files({"--exportTimes": export_times, "--json": console.json_file(json_to)})
    how = Run(warm_up, duration, iterations, percentiles, batch, not no_transfers, profile)
    loaded = open_model(model).load(
        backend.value, precision.value, device=device, threads=threads, batch=batch, rebuild=rebuild,
        cuda_graph=True if cuda_graph else None,
    )  # fmt: skip
    with loaded:
        result = bench(loaded, how)
    if export_times is not None:
        atomic_write(export_times, result.export_times())
    screen = console.console(json_to, quiet=quiet)
    screen.print(result.table())
    if result.layers:
        screen.print(result.profile())
    console.write_json(result.json(), json_to)
