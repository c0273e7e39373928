"""`edgeseg infer --stream SOURCE --model BUNDLE`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeseg.commands import options

if TYPE_CHECKING:
    from rich.console import Console

    from edgeseg.model import Model


def command(
    stream: Annotated[str, typer.Option("--stream", metavar="SOURCE", help="Video, folder, glob or camera index.")],
    model: Annotated[str, typer.Option("--model", metavar="BUNDLE", help="A bundle or zoo name.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE|DIR", help="Annotated video, or a folder for everything.")
    ] = None,
    masks: Annotated[Path | None, typer.Option("--masks", metavar="DIR", help="Masks as PNG.")] = None,
    events: Annotated[Path | None, typer.Option("--events", metavar="FILE", help="Events as JSONL.")] = None,
    web: options.Web = None,
    crop: options.Crop = "off",
    _config: options.Config = None,
    show: Annotated[bool, typer.Option("--show", help="A window; needs a display and opencv-python.")] = False,
    frames: Annotated[int | None, typer.Option("--frames", min=1, help="Stop after so many.")] = None,
    threshold: Annotated[float | None, typer.Option("--threshold", min=0.0, max=1.0)] = None,
    smoothing: Annotated[
        float | None,
        typer.Option(
            "--smoothing", metavar="A", min=0.0, max=0.95, help="Weight of the previous probability; 0 is off."
        ),
    ] = None,
    backend: options.BackendOption = options.Backend.auto,
    precision: options.PrecisionOption = options.Precision.auto,
    device: options.Device = 0,
    threads: options.Threads = 0,
    rebuild: options.Rebuild = False,
    tile: Annotated[bool, typer.Option("--tile", help="Sliding window, for large pictures.")] = False,
    video_size: Annotated[str | None, typer.Option("--video-size", metavar="WxH", help="Asked of a camera.")] = None,
    framerate: Annotated[float | None, typer.Option("--framerate", min=0.1, help="Asked of a camera.")] = None,
    json_to: options.Json = None,
    quiet: options.Quiet = False,
) -> None:
    """Segment a video, pictures or a camera."""
    from edgeseg import console
    from edgeseg.bundle import open_model
    from edgeseg.errors import InputError
    from edgeseg.machine import cpus
    from edgeseg.stream.infer import Outputs, infer
    from edgeseg.stream.sources import kind_of
    from edgeseg.stream.sources.base import SourceOptions
    from edgeseg.volume import is_series

    screen = console.console(json_to, quiet=quiet)
    asked = options.parse_size(video_size, "--video-size") if video_size else None
    source_options = SourceOptions(asked, framerate)
    # A camera wants each frame soon, a recording all of them: one frame on all cores, or a frame on each.
    streams = 1 if kind_of(stream).live else threads or cpus()
    loaded = open_model(model).load(
        backend.value, precision.value, device=device, threads=threads, streams=streams, threshold=threshold,
        rebuild=rebuild, camera=(asked[1], asked[0]) if asked else None,
    )  # fmt: skip
    with loaded:
        screen.print(f"engine: {loaded.engine}")
        if is_series(Path(stream)):
            console.write_json(_series(loaded, Path(stream), out, screen), json_to)
            return
        outputs = Outputs(out, masks, events, show, web)
        summary, written = infer(
            loaded,
            stream,
            outputs,
            source_options,
            frames=frames,
            tile=tile,
            streams=streams,
            smoothing=smoothing,
            quiet=quiet,
            crop=crop,
        )
    screen.print(summary.table())
    for path in written:
        screen.print(f"written: {path}")
    console.write_json(summary.json(), json_to)
    if summary.warning:
        raise InputError(f"{summary.warning}; what could be decoded was segmented")


def _series(model: Model, folder: Path, out: Path | None, screen: Console) -> dict[str, object]:
    """A DICOM series: slice by slice, with the mask and its surface as files."""
    from edgeseg import console
    from edgeseg.atomic import check_writable
    from edgeseg.errors import UsageError

    if out is None:
        raise UsageError(f"{folder} is a DICOM series; say with --out where mask and surface go")
    console.require("cta", "pydicom", "nibabel", "skimage", "trimesh", "pyvista")
    from edgeseg.volume.segment import infer_series

    check_writable(out)
    mask = infer_series(model, folder, out)
    written = sorted(str(file) for file in out.iterdir() if file.stem in ("mask.nii", "surface"))
    for path in written:
        screen.print(f"written: {path}")
    return {"slices": len(mask), "voxels": int(mask.sum()), "files": written}
