"""`edgeseg infer`: opens the source, makes the sinks that were asked for, shows progress."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from edgeseg import console
from edgeseg.atomic import check_writable, writer_lock
from edgeseg.errors import OutputError, UsageError
from edgeseg.stream import journal
from edgeseg.stream.crop import Crop
from edgeseg.stream.overlay import Overlay
from edgeseg.stream.pipeline import run
from edgeseg.stream.service import Progress
from edgeseg.stream.sinks.events import EventsFile
from edgeseg.stream.sinks.masks import MaskFolder
from edgeseg.stream.sinks.video import SUFFIXES, StillSink, VideoSink
from edgeseg.stream.sources import open_source
from edgeseg.stream.sources.stills import find

if TYPE_CHECKING:
    from edgeseg.model import Model, Result
    from edgeseg.stream.sinks.base import Sink
    from edgeseg.stream.sources.base import FrameSource, SourceOptions
    from edgeseg.stream.summary import Summary
    from edgeseg.stream.web.server import Viewer


# Not written: mp4 plays everywhere, mkv survives a kill; a folder would hardly be called so.
OTHER_VIDEOS = (".avi", ".mov", ".webm", ".m4v", ".ts", ".mpg", ".wmv", ".gif")


@dataclass(frozen=True)
class Outputs:
    """What is written: ``out`` a video file or a folder for everything, ``masks`` a folder, ``events`` a file."""

    out: Path | None = None
    masks: Path | None = None
    events: Path | None = None
    show: bool = False
    web: str | None = None

    def paths(self) -> list[Path]:
        """Those that were given."""
        return [path for path in (self.out, self.masks, self.events) if path is not None]


@dataclass(frozen=True)
class Places:
    """The files and folders that will be written."""

    video: Path | None
    stills: Path | None
    masks: Path | None
    events: Path | None

    @classmethod
    def of(cls, outputs: Outputs, *, stills: bool) -> Places:
        """``--out`` as a folder gets a video, or for ``stills`` pictures, with masks and events."""
        out = outputs.out
        if out is None or out.suffix.lower() in SUFFIXES:
            return cls(out, None, outputs.masks, outputs.events)
        video, overlay = (None, out / "overlay") if stills else (out / "overlay.mp4", None)
        return cls(video, overlay, outputs.masks or out / "masks", outputs.events or out / "events.jsonl")

    def written(self) -> list[Path]:
        """Those that there are."""
        return [path for path in (self.video, self.stills, self.masks, self.events) if path is not None]


def infer(
    model: Model,
    stream: str,
    outputs: Outputs,
    options: SourceOptions,
    *,
    frames: int | None = None,
    tile: bool = False,
    streams: int = 1,
    smoothing: float | None = None,
    quiet: bool = False,
    crop: str = "off",
) -> tuple[Summary, list[Path]]:
    """Runs a model over SOURCE into the outputs; the summary and what was written.

    Raises:
        EdgesegError: source, engine or output, each with its sentence; finished outputs stay usable.
    """
    check_places(outputs)
    cut = Crop.parse(crop, journal.say)
    source = open_source(stream, options)
    places = Places.of(outputs, stills=source.stills)
    try:
        check_apart(stream, source, places)
    except BaseException:
        source.close()
        raise
    if tile and not source.stills:
        source.close()
        raise UsageError(f"--tile is for pictures; {stream} is a stream")
    if smoothing and source.stills:
        source.close()
        raise UsageError(f"--smoothing is for streams; {stream} is pictures")
    model.tile = tile
    with contextlib.ExitStack() as locks:
        try:
            for path in sorted({path.absolute() for path in outputs.paths()}):
                locks.enter_context(writer_lock(path))
            viewer = locks.enter_context(open_viewer(outputs.web)) if outputs.web else None
            sinks = make_sinks(model, source, places, show=outputs.show)
            sinks += [viewer.add(source.name, model)] if viewer else []
            sinks += [Progress()] if os.environ.get("NOTIFY_SOCKET") else []
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


def open_viewer(place: str) -> Viewer:
    """The page of ``--web``, in a thread of its own; says where it is.

    Raises:
        EdgesegError: the extra is missing, the address is none, the port is taken.
    """
    console.require("web", "starlette", "uvicorn", "websockets", "prometheus_client")
    from edgeseg.stream.web.server import Viewer

    viewer = Viewer(place)
    journal.say(f"viewer: {viewer.url}")
    return viewer


def check_places(outputs: Outputs) -> None:
    """Says before any work what cannot be written.

    Raises:
        UsageError: a video of a kind that is not written.
        OutputError: a file stands where a folder should be, the other way round, or the disk refuses.
    """
    out = outputs.out
    if out is not None and out.suffix.lower() in OTHER_VIDEOS:
        raise UsageError(f"--out {out}: write the video as {' or '.join(SUFFIXES)}, or give a folder")
    for path in outputs.paths():
        is_file = path == outputs.events or (path == out and path.suffix.lower() in SUFFIXES)
        if is_file and path.is_dir():
            raise OutputError(f"{path} is a folder, not a file; choose another name")
        if not is_file and path.exists() and not path.is_dir():
            raise OutputError(f"{path} is a file, not a folder; choose another name")
        check_writable(path)


def check_apart(stream: str, source: FrameSource, places: Places) -> None:
    """Nothing that is read is written over, and no two outputs share a file.

    Raises:
        UsageError: the source would be replaced, or pictures land among those that are read.
    """
    written = [path.resolve() for path in places.written()]
    if len(set(written)) != len(written):
        raise UsageError("two outputs have the same path; give each its own")
    read = {file.resolve() for file in find(stream)} if source.stills else {Path(stream).resolve()}
    read |= {file.parent for file in read} if source.stills else set()
    for path in written:
        if path in read:
            raise UsageError(f"{path} is what --stream reads; write somewhere else")


def make_sinks(model: Model, source: FrameSource, places: Places, *, show: bool) -> list[Sink]:
    """Sinks for what was asked; those made are closed if a later one cannot be."""
    overlay = Overlay(model.spec.classes)
    sinks: list[Sink] = []
    try:
        if show:
            from edgeseg.stream.sinks.window import Window

            sinks.append(Window(overlay))
        if places.video is not None:
            sinks.append(VideoSink(places.video, overlay, source.framerate))
        if places.stills is not None:
            sinks.append(StillSink(places.stills, overlay))
        if places.masks is not None:
            sinks.append(MaskFolder(places.masks, len(model.class_names)))
        if places.events is not None:
            sinks.append(EventsFile(places.events, source.name))
    except BaseException:
        for sink in sinks:
            sink.close()
        raise
    return sinks
