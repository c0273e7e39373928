"""Options that several commands share, under the names users know from Ultralytics, trtexec and ffmpeg."""

from __future__ import annotations

import math
from collections.abc import Mapping
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
    tensorrt = "tensorrt"


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
TrainedModel = Annotated[str, typer.Argument(help="A run, a bundle or a zoo name.")]
BuiltModel = Annotated[str, typer.Argument(help="A bundle, a bare graph (.onnx) or a zoo name.")]
Data = Annotated[list[Path], typer.Option("--data", help="Folder of a data set; may be given several times.")]
SPLIT = "FILE|train|val|test"
Split = Annotated[
    str | None, typer.Option("--split", metavar=SPLIT, help="Which frames; default test, which choose nothing.")
]
Choosing = Annotated[
    str | None, typer.Option("--split", metavar=SPLIT, help="Which frames choose; default val, never test.")
]
Threshold = Annotated[
    float | None,
    typer.Option("--threshold", min=0.0, max=1.0, help="Probability that counts, instead of the model's own."),
]
Method = Annotated[
    str | None,
    typer.Option("--method", metavar="minmax|percentile|entropy|mse", help="How ranges are found; default mse."),
]
MaxDiceDrop = Annotated[
    float,
    typer.Option("--max-dice-drop", min=0.0, metavar="POINTS", help="Mean Dice that INT8 may lose, in points of 0.01."),
]
BackendOption = Annotated[Backend, typer.Option("--backend", help="Which runtime.")]
PrecisionOption = Annotated[Precision, typer.Option("--precision", help="Which precision.")]
Device = Annotated[int, typer.Option("--device", min=0, help="Which GPU, from 0.")]
Threads = Annotated[int, typer.Option("--threads", min=0, max=1024, help="CPU threads; 0 is all.")]
Rebuild = Annotated[bool, typer.Option("--rebuild", help="Rebuild engines that do not fit this machine first.")]
Web = Annotated[str | None, typer.Option("--web", metavar="[HOST:]PORT", help="A page with the live picture.")]
Crop = Annotated[str, typer.Option("--crop", metavar="off|auto|W:H:X:Y", help="Blank what is not the picture.")]
ImageSize = Annotated[str | None, typer.Option("--imgsz", metavar="HxW", help="Network input, height x width.")]


LARGEST = 16384
LARGEST_SEED = 2**32 - 1  # NumPy's
MOST = 10**6  # epochs or frames a step, as recipes have it


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


def from_config(context: typer.Context, path: Path | None) -> Path | None:
    """``--config``: what a file says stands where the command line says nothing.

    Raises:
        UsageError: the file, or something in it.
    """
    if path is not None:
        from edgeseg.stream.config import read

        names = {option.removeprefix("--"): one for one in context.command.params for option in one.opts}
        said = {}
        for key, value in read(path, names).items():
            one = names[key]
            values = value if isinstance(value, list) else [value]
            # As on the command line: several for an option that may be given several times.
            said[str(one.name)] = values if one.multiple else value if isinstance(value, bool) else str(values[-1])
            if len(values) > 1 and not one.multiple:
                raise UsageError(f"--config {path}: {key} takes one value")
        context.default_map = {**(context.default_map or {}), **said}
    return path


Config = Annotated[
    Path | None,
    typer.Option("--config", metavar="FILE.toml", help="Options of a device.", is_eager=True, callback=from_config),
]


def check_finite(given: Mapping[str, float | None]) -> None:
    """Options by name: the command line takes "inf" and "nan" for numbers.

    Raises:
        UsageError: one of them was given.
    """
    for name, value in given.items():
        if value is not None and not math.isfinite(value):
            raise UsageError(f"{name} {value}: give a finite number")
