"""`edgeseg export MODEL`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgeseg.commands import options


def command(
    model: options.TrainedModel,
    data: Annotated[
        list[Path] | None, typer.Option("--data", help="Labelled frames for the gate; may be given several times.")
    ] = None,
    split: options.Choosing = None,
    out: Annotated[Path | None, typer.Option("--out", help="The bundle; default RUN/NAME.edgeseg.")] = None,
    int8: Annotated[bool, typer.Option("--int8", help="Add the INT8 graphs.")] = False,
    fp16: Annotated[bool, typer.Option("--fp16", help="Add the FP16 graph for TensorRT.")] = False,
    quantize: Annotated[
        int | None, typer.Option("--quantize", metavar="8|16|32", help="8 is --int8, 16 is --fp16, 32 neither.")
    ] = None,
    target: Annotated[
        list[str] | None,
        typer.Option(
            "--target", metavar="NAME", help="Graphs and engines for a device: x86-openvino, jetson-orin, … or my.toml."
        ),
    ] = None,
    no_engine: Annotated[bool, typer.Option("--no-engine", help="Graphs only; the device builds.")] = False,
    batch: Annotated[int, typer.Option("--batch", min=1, max=256, metavar="N", help="Add graphs for N frames.")] = 1,
    dynamic: Annotated[bool, typer.Option("--dynamic", help="Add graphs for any number of frames.")] = False,
    triton: Annotated[
        Path | None, typer.Option("--triton", metavar="DIR", help="Write a Triton model repository too.")
    ] = None,
    device: options.Device = 0,
    imgsz: options.ImageSize = None,
    opset: Annotated[int, typer.Option("--opset", min=17, max=20, help="Of the float graph.")] = 17,
    calibration: Annotated[
        str | None, typer.Option("--calibration", metavar="RECIPE|TABLE", help="Frames to calibrate on, or a table.")
    ] = None,
    method: options.Method = None,
    exclude: Annotated[
        str | None, typer.Option("--exclude", metavar="REGEX", help="Layers that stay in float.")
    ] = None,
    threshold: Annotated[
        str | None,
        typer.Option(
            "--threshold", metavar="T|max-dice|sensitive", help="Another operating point, measured on --data."
        ),
    ] = None,
    max_dice_drop: options.MaxDiceDrop = 0.5,
    json_to: options.Json = None,
    quiet: options.Quiet = False,
) -> None:
    """Export a run to a checked bundle."""
    from edgeseg import console
    from edgeseg.bundle import open_model
    from edgeseg.export.deliver import deliver
    from edgeseg.export.request import request

    ask = request(
        int8=int8, fp16=fp16, quantize=quantize, targets=target or [], engine=not no_engine, batch=batch,
        dynamic=dynamic, calibration=calibration, method=method, exclude=exclude, max_dice_drop=max_dice_drop,
        triton=triton, threshold=threshold,
    )  # fmt: skip
    size = options.parse_size(imgsz) if imgsz else None
    screen = console.console(json_to, quiet=quiet)
    with screen.status("") as status:
        done = deliver(
            open_model(model), ask, data or [], split, out, opset=opset, imgsz=size, device=device, step=status.update
        )
    for one in done.agreements:
        screen.print(f"{one.backend}: within {one.largest * 255:.2f}/255 of the network on {one.frames} frames")
    for same in done.same:
        runs = same.backend not in ("float", "single frames", "host fit")
        on, to = (f" on {same.backend}", "its meaning") if runs else ("", same.backend)
        screen.print(f"{same.subject}{on}: {same.snr_db:.1f} dB to {to}")
    levels = {one.name: one.threshold or 128 for one in done.manifest.classes}
    for point in done.manifest.operating_points if threshold is not None else ():
        place = point.thresholds.index(levels[point.class_])
        found = f"sensitivity {point.sensitivity[place]:.4f}, precision {point.precision[place]:.4f} of the pixels"
        screen.print(
            f"{point.class_} from {levels[point.class_]} of 255 ({point.rule}): {found} ({point.data} {point.split})"
        )
    for row in done.manifest.evaluations if done.measured else []:
        drop = "" if row.dice_drop is None else f", {round(100 * row.dice_drop, 2) + 0.0:.2f} points below float"
        screen.print(f"{row.subject} on {row.backend}: Dice {row.per_image.dice:.4f} ({row.data} {row.split}){drop}")
    if done.float_layers:
        screen.print(f"kept in float: {', '.join(done.float_layers)}")
    for plan in done.plans:
        screen.print(f"engine {plan.entry.name}: {plan.entry.size / 1e6:.1f} MB, {plan.seconds:.2f} s, gate pending")
    for note in done.notes:
        screen.print(note)
    if triton is not None:
        screen.print(f"Triton model repository: {triton}")
    screen.print(f"bundle: {done.path}")
    value = done.manifest.model_dump(by_alias=True, exclude_none=True)
    result = {"bundle": str(done.path)} | {key: value.get(key, []) for key in ("graphs", "engines", "evaluations")}
    console.write_json(result, json_to)
