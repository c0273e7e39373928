"""`edgeseg demo`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgeseg.commands import options


def command(
    out: Annotated[
        Path, typer.Option("--out", help="Folder for everything; an earlier demo in it is replaced.")
    ] = Path("demo"),
    json_to: options.Json = None,
    quiet: options.Quiet = False,
) -> None:
    """Phantom data, a short training, export and stream: the whole path in minutes, without data of your own."""
    from edgeseg import console
    from edgeseg.demo import demo

    screen = console.console(json_to, quiet=quiet)
    done = demo(out, screen, quiet=quiet)
    screen.print(
        f"\nDice {done.dice:.3f} on an unseen phantom, {done.frames_without_polyp} frames without polyp included"
    )
    screen.print(f"({done.false_alarms} of those with a false alarm); {done.fps:.0f} fps; {done.seconds:.0f} s in all")
    screen.print(f"video:   {done.video}\npicture: {done.picture}\nbundle:  {done.bundle}")
    console.write_json(done.json(), json_to)
