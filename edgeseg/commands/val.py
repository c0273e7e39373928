"""`edgeseg val MODEL --data DIR`."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from edgeseg.commands import options


class Area(StrEnum):
    """Which pixels count: all, or those inside the field of view."""

    frame = "frame"
    fov = "fov"


def command(
    model: options.Model,
    data: options.Data,
    split: options.Split = None,
    imgsz: Annotated[
        str | None, typer.Option("--imgsz", metavar="HxW", help="Another input than a run was trained with.")
    ] = None,
    backend: options.BackendOption = options.Backend.auto,
    precision: options.PrecisionOption = options.Precision.auto,
    device: options.Device = 0,
    threads: options.Threads = 0,
    rebuild: options.Rebuild = False,
    threshold: options.Threshold = None,
    area: Annotated[Area, typer.Option("--area", help="Whole frames, or inside the field of view.")] = Area.frame,
    tile: Annotated[bool, typer.Option("--tile", help="Sliding window, for large stills.")] = False,
    out: Annotated[Path | None, typer.Option("--out", help="Folder for figures.csv, curves.png and worst.png.")] = None,
    json_to: options.Json = None,
    quiet: options.Quiet = False,
) -> None:
    """Measure a model on labelled frames."""
    from edgeseg import console
    from edgeseg.atomic import check_writable
    from edgeseg.outputs import check_no_run, check_outside
    from edgeseg.val import validate, write_outputs

    screen = console.console(json_to, quiet=quiet)
    if out is not None:
        check_outside("--out", out, folder=True)
        check_no_run("--out", out)
        check_writable(out)
    if rebuild:
        from edgeseg.bundle import open_model
        from edgeseg.export.engines import rebuilt

        rebuilt(open_model(model), device=device)
    report = validate(
        model,
        data,
        split,
        imgsz=options.parse_size(imgsz) if imgsz else None,
        backend=backend.value,
        precision=precision.value,
        device=device,
        threads=threads,
        threshold=threshold,
        area=area.value,
        tile=tile,
        worst=12 if out else 0,
        quiet=quiet,
    )
    screen.print(report.table())  # before anything is written: a disk that is full by now costs no figures
    console.write_json(report.json(), json_to)
    if out is not None:
        screen.print(f"written: {', '.join(map(str, write_outputs(report, out)))}")
