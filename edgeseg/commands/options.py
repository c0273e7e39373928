"""Options that several commands share, under the names users know from Ultralytics, trtexec and ffmpeg."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

from edgeseg.errors import UsageError


class Backend(StrEnum):
    """Runtimes, and "auto": the first that works here."""

    auto = "auto"
    onnxruntime = "onnxruntime"
    openvino = "openvino"


class Precision(StrEnum):
    """Precisions, and "auto": the first whose gate passed."""

    auto = "auto"
    fp32 = "fp32"
    bf16 = "bf16"
    fp16 = "fp16"
    int8 = "int8"


class Codec(StrEnum):
    """Of videos that are written.

    ``h264`` is x264 (GPL) or openh264; ``mpeg4`` is FFmpeg's own MPEG-4 part 2 (LGPL), larger at the same quality.
    """

    h264 = "h264"
    mpeg4 = "mpeg4"


Json = Annotated[str | None, typer.Option("--json", metavar="PATH|-", help="Write the result as JSON; - is stdout.")]
Quiet = Annotated[bool, typer.Option("--quiet", help="No progress, no tables.")]
Verbose = Annotated[bool, typer.Option("--verbose", help="Say more, with tracebacks.")]
Model = Annotated[str, typer.Argument(help="A run, a bundle, a bare graph (.onnx) or a zoo name.")]
Data = Annotated[list[Path], typer.Option("--data", help="Folder of a data set; may be given several times.")]
Split = Annotated[str | None, typer.Option("--split", metavar="FILE|train|val|test", help="Which frames.")]
BackendOption = Annotated[Backend, typer.Option("--backend", help="Which runtime.")]
PrecisionOption = Annotated[Precision, typer.Option("--precision", help="Which precision.")]
Device = Annotated[int, typer.Option("--device", min=0, help="Index of the device.")]
Threads = Annotated[int, typer.Option("--threads", min=0, help="CPU threads; 0 is all.")]
ImageSize = Annotated[str | None, typer.Option("--imgsz", metavar="HxW", help="Network input, height x width.")]


LARGEST = 16384


def parse_size(text: str, option: str = "--imgsz") -> tuple[int, int]:
    """Two positive numbers joined by x.

    Raises:
        UsageError: anything else.
    """
    first, separator, second = text.lower().partition("x")
    good = separator and all(part.isascii() and part.isdecimal() and int(part[:6]) for part in (first, second))
    if not good:
        # Height first for networks, width first for videos, as Ultralytics and ffmpeg have it.
        example = "640x480 (width first)" if option == "--video-size" else "288x384 (height first)"
        raise UsageError(f"{option} {text}: give two numbers joined by x, such as {example}")
    if max(int(first[:6]), int(second[:6])) > LARGEST:
        raise UsageError(f"{option} {text}: more than {LARGEST} pixels a side")
    return int(first), int(second)
