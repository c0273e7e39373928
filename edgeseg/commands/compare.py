"""`edgeseg compare A B --stream REC`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgeseg.commands import options


def command(
    a: Annotated[str, typer.Argument(metavar="A", help="A bundle or zoo name: what runs today.")],
    b: Annotated[str, typer.Argument(metavar="B", help="What shall replace it.")],
    stream: Annotated[str, typer.Option("--stream", metavar="REC", help="A recording (--record), video or folder.")],
    min_dice: Annotated[
        float | None, typer.Option("--min-dice", min=0.0, max=1.0, help="Lowest mean Dice of A to B; exit 7 below.")
    ] = None,
    out: Annotated[
        Path | None, typer.Option("--out", metavar="DIR", help="Pictures of where they differ most.")
    ] = None,
    backend: options.BackendOption = options.Backend.auto,
    precision: options.PrecisionOption = options.Precision.auto,
    device: options.Device = 0,
    threads: options.Threads = 0,
    json_to: options.Json = None,
    quiet: options.Quiet = False,
) -> None:
    """Run two bundles over a recording and say how their masks differ."""
    from edgeseg import console
    from edgeseg.atomic import check_writable
    from edgeseg.bundle import open_model
    from edgeseg.compare import compare, is_ours, write_worst
    from edgeseg.errors import GateError, InputError, OutputError
    from edgeseg.outputs import check_outside
    from edgeseg.redact import remember
    from edgeseg.stream.places import check_not_read, read_by
    from edgeseg.stream.sources import open_source

    screen = console.console(json_to, quiet=quiet)
    remember(stream)
    if out is not None:
        if out.exists() and (not out.is_dir() or not all(is_ours(one) for one in out.iterdir())):
            raise OutputError(f"{out} holds something else than pictures of a comparison; choose another --out")
        if out.resolve() in {Path(stream).resolve(), Path(stream).resolve().parent}:
            raise OutputError(f"{out} holds what --stream reads; choose another --out")
        check_outside("--out", out, folder=True)
        check_writable(out)
    to = console.json_file(json_to)
    source = open_source(stream)
    try:
        check_not_read([to] if to is not None else [], read_by(stream, source))
        first, second = open_model(a), open_model(b)
        one = first.load(backend.value, precision.value, device=device, threads=threads)
        other = second.load(backend.value, precision.value, device=device, threads=threads)
    except BaseException:
        source.close()
        raise
    with one, other, console.progress(quiet=quiet) as bar:
        screen.print(f"A: {one.engine}\nB: {other.engine}")
        task = bar.add_task("compare", total=source.length, note="")
        found = compare(one, other, source, lambda: bar.advance(task))
    said = found.json()
    screen.print(f"{said['frames']} frames: Dice of A to B mean {said['dice_mean']:.4f}, lowest {said['dice_min']:.4f}")
    a_flickers, b_flickers = said["flicker"]["a"], said["flicker"]["b"]
    if a_flickers is not None:
        screen.print(f"flicker: A {a_flickers:.4f}, B {b_flickers:.4f} (1 - Dice to the frame before)")
    screen.print(f"latency p50: A {said['latency_ms']['a']['p50']:.2f} ms, B {said['latency_ms']['b']['p50']:.2f} ms")
    for path in write_worst(found, out) if out is not None else ():
        screen.print(f"written: {path}")
    console.write_json(said, json_to)
    if source.warning:
        raise InputError(f"{source.warning}; what could be decoded was compared")
    if min_dice is not None and said["dice_mean"] < min_dice:
        raise GateError(f"mean Dice of A to B is {said['dice_mean']:.4f}, below --min-dice {min_dice:g}")
