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
    int8: Annotated[bool, typer.Option("--int8", help="Add the INT8 graphs.")] = False,
    fp16: Annotated[bool, typer.Option("--fp16", help="Add the FP16 graph for TensorRT.")] = False,
    quantize: Annotated[
        int | None, typer.Option("--quantize", metavar="8|16|32", help="8 is --int8, 16 is --fp16, 32 neither.")
    ] = None,
    target: Annotated[
        list[str] | None, typer.Option("--target", metavar="NAME", help="Only the graphs of this device profile.")
    ] = None,
    imgsz: options.ImageSize = None,
    opset: Annotated[int, typer.Option("--opset", min=17, max=20, help="Of the float graph.")] = 17,
    calibration: Annotated[
        str | None, typer.Option("--calibration", metavar="RECIPE|TABLE", help="Frames to calibrate on, or a table.")
    ] = None,
    method: Annotated[str | None, typer.Option("--method", metavar="minmax|percentile|entropy|mse")] = None,
    exclude: Annotated[
        str | None, typer.Option("--exclude", metavar="REGEX", help="Layers that stay in float.")
    ] = None,
    max_dice_drop: Annotated[
        float, typer.Option("--max-dice-drop", min=0.0, metavar="POINTS", help="What INT8 may cost.")
    ] = 0.5,
    json_to: options.Json = None,
    quiet: options.Quiet = False,
) -> None:
    """Export a run to a checked bundle."""
    from edgeseg import console

    console.require("train", "torch", "onnx", "onnxscript")
    from edgeseg.bundle import open_model
    from edgeseg.export.request import wanted
    from edgeseg.export.run import export_run

    ask = wanted(
        int8=int8, fp16=fp16, quantize=quantize, targets=target or [], calibration=calibration, method=method,
        exclude=exclude, max_dice_drop=max_dice_drop,
    )  # fmt: skip
    size = options.parse_size(imgsz) if imgsz else None
    screen = console.console(json_to, quiet=quiet)
    with screen.status("") as status:
        done = export_run(
            open_model(model), data or [], split, out, opset=opset, wanted=ask, imgsz=size, step=status.update
        )
    for one in done.agreements:
        screen.print(f"{one.backend}: within {one.largest * 255:.2f}/255 of the network on {one.frames} frames")
    for same in done.made.agreements:
        screen.print(f"{same.subject} on {same.backend}: {same.snr_db:.1f} dB to its meaning")
    for row in done.manifest.evaluations:
        drop = "" if row.dice_drop is None else f", {100 * row.dice_drop:.2f} points below float"
        screen.print(f"{row.subject} on {row.backend}: Dice {row.per_image.dice:.4f} ({row.data} {row.split}){drop}")
    if done.made.float_layers:
        screen.print(f"kept in float: {', '.join(done.made.float_layers)}")
    screen.print(f"bundle: {done.path}")
    value = done.manifest.model_dump(by_alias=True, exclude_none=True)
    result = {"bundle": str(done.path)} | {key: value.get(key, []) for key in ("graphs", "engines", "evaluations")}
    console.write_json(result, json_to)
