"""`edgeseg infer --stream SOURCE --model BUNDLE`."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edgeseg.commands import options
from edgeseg.commands.options import Codec

if TYPE_CHECKING:
    from rich.console import Console

    from edgeseg.model import Model
    from edgeseg.stream.live.pipeline import Policy
    from edgeseg.stream.places import Outputs, Places
    from edgeseg.stream.sources.base import SourceOptions
    from edgeseg.stream.summary import Summary


def command(
    stream: Annotated[
        list[str],
        typer.Option(
            "--stream", metavar="SOURCE", help="Camera, address, video, folder; several times. Here or in --config."
        ),
    ],
    model: Annotated[str, typer.Option("--model", metavar="BUNDLE", help="A bundle or zoo name. Here or in --config.")],
    out: Annotated[
        Path | None, typer.Option("--out", metavar="FILE|DIR", help="Annotated video, or a folder for everything.")
    ] = None,
    masks: Annotated[Path | None, typer.Option("--masks", metavar="DIR", help="Masks as PNG.")] = None,
    events: Annotated[Path | None, typer.Option("--events", metavar="FILE", help="Events as JSONL.")] = None,
    web: options.Web = None,
    crop: options.Crop = "off",
    _config: options.Config = None,
    record: Annotated[
        Path | None, typer.Option("--record", metavar="FILE|DIR", help="Keep a camera's own frames, to replay.")
    ] = None,
    codec: Annotated[Codec, typer.Option("--codec", help="Of videos: h264 (GPL x264), or mpeg4 (LGPL).")] = Codec.h264,
    show: Annotated[bool, typer.Option("--show", help="A window; needs a display and opencv-python.")] = False,
    frames: Annotated[int | None, typer.Option("--frames", min=1, help="Stop after so many.")] = None,
    duration: Annotated[float | None, typer.Option("--duration", min=0.1, help="Live: stop after seconds.")] = None,
    stream_buffer: Annotated[
        bool, typer.Option("--stream-buffer", help="Live: keep every frame while memory lasts, not the newest.")
    ] = False,
    max_latency_ms: Annotated[
        float | None, typer.Option("--max-latency-ms", min=1, help="Live: count masks that come later.")
    ] = None,
    max_violations: Annotated[
        int | None, typer.Option("--max-violations", min=0, help="Live: more of them end the run (exit 7).")
    ] = None,
    no_retry: Annotated[bool, typer.Option("--no-retry", help="Live: a source that fails ends the run.")] = False,
    threshold: options.Threshold = None,
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
    video_size: Annotated[
        str | None, typer.Option("--video-size", metavar="WxH", help="Of a camera, or of raw frames.")
    ] = None,
    framerate: Annotated[
        float | None, typer.Option("--framerate", min=0.1, help="Of a camera, or of raw frames.")
    ] = None,
    pixel_format: Annotated[
        str | None, typer.Option("--pixel-format", help="Of a camera (MJPG, YUYV) or of raw frames (bgr24).")
    ] = None,
    json_to: options.Json = None,
    quiet: options.Quiet = False,
) -> None:
    """Segment a video, pictures, or one or more live streams."""
    from edgeseg import console
    from edgeseg.bundle import open_model
    from edgeseg.errors import InputError, UsageError
    from edgeseg.machine import cpus
    from edgeseg.redact import remember
    from edgeseg.stream.places import Outputs
    from edgeseg.stream.sources import expand, kind_of
    from edgeseg.stream.sources.base import SourceOptions
    from edgeseg.volume import is_series

    screen = console.console(json_to, quiet=quiet)
    size = options.parse_size(video_size, "--video-size") if video_size else None
    options.check_finite({"--duration": duration, "--framerate": framerate, "--max-latency-ms": max_latency_ms})
    source_options = SourceOptions(size, framerate, pixel_format)
    if max_violations is not None and max_latency_ms is None:
        raise UsageError("--max-violations counts masks later than --max-latency-ms; give that too")
    for one in stream:
        remember(one)
    streams = expand(stream)
    for one in streams:
        remember(one)
    to = Path(json_to) if json_to not in (None, "-") else None
    outputs = Outputs(out, masks, events, record, show, codec, web, to)
    source = open_model(model)
    load = partial(
        source.load, backend.value, precision.value, device=device, threads=threads, threshold=threshold,
        rebuild=rebuild, camera=(size[1], size[0]) if size else None,
    )  # fmt: skip
    if len(streams) > 1 or kind_of(streams[0]).live:
        from edgeseg.stream.live.infer import check
        from edgeseg.stream.live.pipeline import Policy

        if tile:
            raise UsageError("--tile is for pictures; a live stream has no time for it")
        policy = Policy(
            frames, duration, stream_buffer, max_latency_ms, max_violations,
            retry=not no_retry, crop=crop, smoothing=smoothing,
        )  # fmt: skip
        lists = [one for one in stream if one not in streams]
        places = check(streams, outputs, source_options, policy, lists)
        _live(load, streams, places, outputs, source_options, policy, screen, json_to, threads, quiet=quiet)
        return
    only = streams[0]
    given = {
        "--duration": duration,
        "--max-latency-ms": max_latency_ms,
        "--stream-buffer": stream_buffer,
        "--no-retry": no_retry,
    }
    idle = [name for name, value in given.items() if value not in (None, False)]
    if idle:
        screen.print(f"{', '.join(idle)}: of live streams alone; of a recording every frame is segmented, to its end")
    if is_series(Path(only)):
        unknown = {
            "--masks": masks,
            "--events": events,
            "--record": record,
            "--show": show,
            "--web": web,
            "--crop": crop != "off",
            "--tile": tile,
            "--smoothing": smoothing,
            "--frames": frames,
        }
        wrong = [name for name, value in unknown.items() if value not in (None, False)]
        if wrong:
            raise UsageError(f"{', '.join(wrong)}: not for a DICOM series, which gives a mask and its surface")
        console.write_json(_series(load, Path(only), outputs, screen), json_to)
        return
    from edgeseg.stream.infer import infer, open_viewer, opened

    recording = opened(only, outputs, source_options, tile=tile, smoothing=smoothing, crop=crop)
    # A camera wants each frame soon, a recording all of them: one frame on all cores, or a frame on each.
    at_once = threads or cpus()
    with contextlib.ExitStack() as stack:
        try:
            viewer = stack.enter_context(open_viewer(web))
            loaded = stack.enter_context(load(streams=at_once))
        except BaseException:
            recording.close()
            raise
        screen.print(f"engine: {loaded.engine}")
        summary, written = infer(
            loaded,
            recording,
            outputs,
            frames=frames,
            tile=tile,
            streams=at_once,
            smoothing=smoothing,
            crop=crop,
            quiet=quiet,
            viewer=viewer,
        )
    screen.print(summary.table())
    for path in written:
        screen.print(f"written: {path}")
    console.write_json(summary.json(), json_to)
    if summary.warning:
        raise InputError(f"{summary.warning}; what could be decoded was segmented")


def _live(
    load: Callable[..., Model],
    streams: list[str],
    places: list[Places],
    outputs: Outputs,
    source_options: SourceOptions,
    policy: Policy,
    screen: Console,
    json_to: str | None,
    threads: int,
    *,
    quiet: bool,
) -> None:
    """Streams that never end by themselves, until something else ends them."""
    from edgeseg import console
    from edgeseg.machine import cpus
    from edgeseg.stream.infer import open_viewer
    from edgeseg.stream.live.infer import infer_live

    at_once = min(len(streams), threads or cpus())
    with open_viewer(outputs.web) as viewer, load(streams=at_once) as loaded:
        screen.print(f"engine: {loaded.engine}")

        def told(summaries: list[Summary]) -> None:
            for summary in summaries:
                screen.print(summary.table())
            said = [summary.json() for summary in summaries]
            console.write_json(said[0] if len(said) == 1 else {"streams": said}, json_to)

        written = infer_live(
            loaded, streams, places, outputs, source_options, policy,
            viewer=viewer, threads=at_once, quiet=quiet, told=told,
        )  # fmt: skip
    for path in written:
        screen.print(f"written: {path}")


def _series(load: Callable[..., Model], folder: Path, outputs: Outputs, screen: Console) -> dict[str, object]:
    """A DICOM series: slice by slice, with the mask and its surface as files."""
    from edgeseg import console
    from edgeseg.atomic import writer_lock
    from edgeseg.volume import places

    out = places.check(folder, outputs)
    console.require("cta", "pydicom", "nibabel", "skimage", "trimesh", "pyvista")
    from edgeseg.volume.segment import infer_series

    with writer_lock(out), load() as loaded:
        screen.print(f"engine: {loaded.engine}")
        mask = infer_series(loaded, folder, out)
    written = [str(file) for file in places.written(out, surface=bool(mask.any()))]
    for path in written:
        screen.print(f"written: {path}")
    return {"slices": len(mask), "voxels": int(mask.sum()), "files": written}
