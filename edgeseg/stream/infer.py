"""`edgeseg infer`: opens the source, makes the sinks that were asked for, shows progress."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeseg import console
from edgeseg.atomic import check_writable
from edgeseg.errors import UsageError
from edgeseg.stream.overlay import Overlay
from edgeseg.stream.pipeline import run
from edgeseg.stream.sinks.events import EventsFile
from edgeseg.stream.sinks.masks import MaskFolder
from edgeseg.stream.sinks.video import SUFFIXES, StillSink, VideoSink
from edgeseg.stream.sources import open_source

if TYPE_CHECKING:
    from edgeseg.model import Model, Result
    from edgeseg.stream.sinks.base import Sink
    from edgeseg.stream.sources.base import FrameSource, SourceOptions
    from edgeseg.stream.summary import Summary


@dataclass(frozen=True)
class Outputs:
    """What is written: ``out`` a video file or a folder for everything, ``masks`` a folder, ``events`` a file."""

    out: Path | None = None
    masks: Path | None = None
    events: Path | None = None
    show: bool = False


def infer(
    model: Model,
    stream: str,
    outputs: Outputs,
    options: SourceOptions,
    *,
    frames: int | None = None,
    tile: bool = False,
    streams: int = 1,
    quiet: bool = False,
) -> tuple[Summary, list[Path]]:
    """Runs a model over SOURCE into the outputs; the summary and what was written.

    Raises:
        EdgesegError: source, engine or output, each with its sentence; finished outputs stay usable.
    """
    paths = [path for path in (outputs.out, outputs.masks, outputs.events) if path is not None]
    for path in paths:
        check_writable(path)
    source = open_source(stream, options)
    if tile and not source.stills:
        source.close()
        raise UsageError(f"--tile is for pictures; {stream} is a stream")
    model.tile = tile
    try:
        sinks, written = make_sinks(model, source, outputs)
    except BaseException:
        source.close()
        raise
    known = [number for number in (source.length, frames) if number is not None]
    total = min(known) if known else None
    with console.progress(quiet=quiet) as bar:
        task = bar.add_task("infer", total=total, note="")

        def on_result(_: Result) -> None:
            speed = bar.tasks[task].speed
            bar.update(task, advance=1, note=f"{speed:.1f} fps" if speed else "")

        summary = run(
            model, source, sinks, on_result=None if bar.disable else on_result, frames=frames, streams=streams
        )
    return summary, written


def make_sinks(model: Model, source: FrameSource, outputs: Outputs) -> tuple[list[Sink], list[Path]]:
    """Sinks for what was asked, and the paths they write."""
    overlay = Overlay(model.spec.classes)
    masks, events, video, stills = outputs.masks, outputs.events, None, None
    if outputs.out is not None and outputs.out.suffix.lower() in SUFFIXES:
        video = outputs.out
    elif outputs.out is not None:
        masks, events = masks or outputs.out / "masks", events or outputs.out / "events.jsonl"
        if source.stills:
            stills = outputs.out / "overlay"
        else:
            video = outputs.out / "overlay.mp4"
    sinks: list[Sink] = []
    if outputs.show:
        from edgeseg.stream.sinks.window import Window

        sinks.append(Window(overlay))
    if video is not None:
        sinks.append(VideoSink(video, overlay, source.framerate))
    if stills is not None:
        sinks.append(StillSink(stills, overlay))
    if masks is not None:
        sinks.append(MaskFolder(masks, len(model.class_names)))
    if events is not None:
        sinks.append(EventsFile(events, source.name))
    return sinks, [path for path in (video, stills, masks, events) if path is not None]
