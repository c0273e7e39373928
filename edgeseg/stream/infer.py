"""`edgeseg infer` over a recording: makes the sinks that were asked for, shows progress."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from edgeseg import console
from edgeseg.atomic import writer_lock
from edgeseg.errors import UsageError
from edgeseg.stream import journal
from edgeseg.stream.crop import Crop
from edgeseg.stream.overlay import Overlay
from edgeseg.stream.pipeline import run
from edgeseg.stream.places import Outputs, Places, check_apart, check_places, locked
from edgeseg.stream.service import Progress
from edgeseg.stream.sinks.events import EventsFile, EventsLog
from edgeseg.stream.sinks.masks import MaskFolder
from edgeseg.stream.sinks.video import StillSink, VideoSink
from edgeseg.stream.sources import open_source

if TYPE_CHECKING:
    from edgeseg.model import Model, Result
    from edgeseg.stream.sinks.base import Sink
    from edgeseg.stream.sources.base import FrameSource, SourceOptions
    from edgeseg.stream.summary import Summary
    from edgeseg.stream.web.server import Viewer

__all__ = ["Outputs", "Places", "check_apart", "infer", "opened"]


def opened(
    stream: str,
    outputs: Outputs,
    options: SourceOptions,
    *,
    tile: bool = False,
    smoothing: float | None = None,
    crop: str = "off",
) -> FrameSource:
    """The source, after everything was checked that can be without the model.

    Raises:
        EdgesegError: source or output, each with its sentence.
    """
    Crop.parse(crop)
    check_places(outputs)
    if outputs.record is not None:
        raise UsageError(f"--record keeps the frames of a camera; {stream} is a recording already")
    source = open_source(stream, options)
    try:
        more = [outputs.json] if outputs.json is not None else []
        check_apart(stream, source, Places.of(outputs, stills=source.stills), more)
        _check_kind(stream, source, tile=tile, smoothing=smoothing)
    except BaseException:
        source.close()
        raise
    return source


def _check_kind(stream: str, source: FrameSource, *, tile: bool, smoothing: float | None) -> None:
    if tile and not source.stills:
        raise UsageError(f"--tile is for pictures; {stream} is a stream")
    if smoothing and source.stills:
        raise UsageError(f"--smoothing is for streams; {stream} is pictures")


def infer(
    model: Model,
    source: FrameSource,
    outputs: Outputs,
    *,
    frames: int | None = None,
    tile: bool = False,
    streams: int = 1,
    smoothing: float | None = None,
    quiet: bool = False,
    crop: str = "off",
    viewer: Viewer | None = None,
) -> tuple[Summary, list[Path]]:
    """Runs a model over a source from :func:`opened`, and closes it; the summary and what was written.

    Raises:
        EdgesegError: source, engine or output, each with its sentence; finished outputs stay usable.
    """
    cut = Crop.parse(crop, journal.say)
    places = Places.of(outputs, stills=source.stills)
    model.tile = tile
    with contextlib.ExitStack() as locks:
        try:
            for path in locked(outputs, [places]):
                locks.enter_context(writer_lock(path))
            sinks = make_sinks(model, source, places, outputs)
            sinks += watchers(viewer, source.name, model)
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

            told = None if bar.disable else on_result
            summary = run(
                model, source, sinks, on_result=told, frames=frames, streams=streams, smoothing=smoothing, crop=cut
            )
    return summary, places.written()


@contextlib.contextmanager
def open_viewer(place: str | None) -> Iterator[Viewer | None]:
    """The page of ``--web``, in a thread of its own, which says where it is; None without a place.

    Opened before the model is loaded: a page, and whoever asks /live or /ready, shall not wait for that.

    Raises:
        EdgesegError: no such host, or the port is taken; the rest was said by :func:`check_places`.
    """
    if place is None:
        yield None
        return
    from edgeseg.stream.web.server import Viewer

    with Viewer(place) as viewer:
        journal.say(f"viewer: {viewer.url}")
        yield viewer


def watchers(viewer: Viewer | None, name: str, model: Model) -> list[Sink]:
    """Sinks beside the files: the viewer's, and the word to a service manager that frames come."""
    out: list[Sink] = [viewer.add(name, model)] if viewer else []
    return [*out, Progress()] if os.environ.get("NOTIFY_SOCKET") else out


def make_sinks(model: Model, source: FrameSource, places: Places, outputs: Outputs) -> list[Sink]:
    """Sinks for what was asked; those made are closed if a later one cannot be."""
    overlay = Overlay(model.spec.classes)
    sinks: list[Sink] = []
    try:
        if outputs.show:
            from edgeseg.stream.sinks.window import Window

            sinks.append(Window(overlay))
        if places.video is not None:
            sinks.append(VideoSink(places.video, overlay, source.framerate, outputs.codec))
        if places.stills is not None:
            sinks.append(StillSink(places.stills, overlay))
        if places.masks is not None:
            sinks.append(MaskFolder(places.masks, len(model.class_names), numbered=not source.stills))
        if places.events is not None:
            sinks.append(EventsFile(EventsLog(places.events), source.name))
    except BaseException:
        for sink in sinks:
            sink.close()
        raise
    return sinks
