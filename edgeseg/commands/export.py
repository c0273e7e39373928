"""`edgeseg export MODEL`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgeseg.commands import options


def command(
    model: options.Model,
    data: Annotated[
        list[Path] | None, typer.Option("--data", help="Labelled frames for the gate; may be given several times.")
    ] = None,
    split: options.Split = None,
    out: Annotated[Path | None, typer.Option("--out", help="The bundle; default RUN/NAME.edgeseg.")] = None,
    opset: Annotated[int, typer.Option("--opset", min=17, max=20, help="Of the float graph.")] = 17,
    json_to: options.Json = None,
    quiet: options.Quiet = False,
) -> None:
    """Export a run to a checked bundle."""
    from edgeseg import console

    console.require("train", "torch", "onnx", "onnxscript")
    from edgeseg.bundle import open_model
    from edgeseg.export.run import export_run

    screen = console.console(json_to, quiet=quiet)
    with screen.status("") as status:
        done = export_run(open_model(model), data or [], split, out, opset=opset, step=status.update)
    for one in done.agreements:
        screen.print(f"{one.backend}: within {one.largest * 255:.2f}/255 of the network on {one.frames} frames")
    for row in done.manifest.evaluations:
        screen.print(f"{row.subject} on {row.backend}: Dice {row.per_image.dice:.4f} ({row.data} {row.split})")
    screen.print(f"bundle: {done.path}")
    value = done.manifest.model_dump(by_alias=True, exclude_none=True)
    result = {"bundle": str(done.path)} | {key: value.get(key, []) for key in ("graphs", "engines", "evaluations")}
    console.write_json(result, json_to)
