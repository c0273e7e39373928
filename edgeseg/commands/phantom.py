"""``edgeseg phantom``: a synthetic clip with exact truth."""

from __future__ import annotations

import re
from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from edgeseg.errors import UsageError


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
    quiet: Annotated[bool, typer.Option("--quiet", help="Nothing but errors.")] = False,
) -> None:
    """Render a synthetic clip with exact masks: a data set and a video for tests and demos."""
    size = parse_size(video_size)
    from edgeseg.data.phantom.write import write_clip

    write_clip(kind.value, out, size, frames, framerate, seed, quiet=quiet)
    if not quiet:
        typer.echo(f"{out}: {frames} frames of {size[0]}x{size[1]}, seed {seed}")


def parse_size(text: str) -> tuple[int, int]:
    """``640x480`` → (640, 480), width first as in ffmpeg.

    Raises:
        UsageError: it is not two numbers.
    """
    match = re.fullmatch(r"(\d{1,5})x(\d{1,5})", text)
    if not match:
        raise UsageError(f"--video-size {text!r} is not WIDTHxHEIGHT; write it like 640x480")
    return int(match[1]), int(match[2])
