"""``edgeseg phantom``: a synthetic clip with exact truth."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from edgeseg.commands import options


class Kind(StrEnum):
    """The phantoms there are; the names of ``edgeseg.data.phantom.PHANTOMS``."""

    COLONOSCOPY = "colonoscopy"
    FUNDUS = "fundus"


def phantom(
    kind: Annotated[Kind, typer.Argument(help="What to render.", show_default=False)],
    out: Annotated[
        Path,
        typer.Option(
            "--out",
            metavar="DIR",
            help="Gets clip.mp4, images/ and masks/.",
            show_default=False,
        ),
    ],
    video_size: Annotated[str, typer.Option("--video-size", metavar="WxH", help="Width and height.")] = "640x480",
    frames: Annotated[int, typer.Option("--frames", metavar="N", help="Length of the clip.")] = 96,
    framerate: Annotated[float, typer.Option("--framerate", metavar="F", help="Frames per second.")] = 25.0,
    seed: Annotated[int, typer.Option("--seed", metavar="N", help="Another seed is another scene.")] = 0,
    json_to: options.Json = None,
    quiet: options.Quiet = False,
) -> None:
    """Render a synthetic clip with exact masks: a data set and a video for tests and demos."""
    size = options.parse_size(video_size, "--video-size")
    from edgeseg import console
    from edgeseg.data.phantom.write import write_clip
    from edgeseg.outputs import check_outside

    screen = console.console(json_to, quiet=quiet)
    check_outside("--out", out, folder=True)
    write_clip(kind.value, out, size, frames, framerate, seed, quiet=quiet)
    screen.print(f"{out}: {frames} frames of {size[0]}x{size[1]}, seed {seed}")
    said = {"out": str(out), "frames": frames, "width": size[0], "height": size[1], "framerate": framerate}
    console.write_json(said | {"seed": seed}, json_to)
