"""`edgeseg infer` over live streams: sinks for each of them, one engine for all."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from edgeseg.atomic import writer_lock
from edgeseg.errors import InputError, UsageError
from edgeseg.redact import names_of, redact
from edgeseg.stream.crop import Crop
from edgeseg.stream.infer import watchers
from edgeseg.stream.live.pipeline import LiveRun, Policy, log_line, warn_line
from edgeseg.stream.overlay import Overlay
from edgeseg.stream.places import Outputs, Places, check_distinct, check_not_read, check_places, locked
from edgeseg.stream.sinks.events import EventsFile, EventsLog
from edgeseg.stream.sinks.masks import MaskFolder
from edgeseg.stream.sinks.record import Recorder
from edgeseg.stream.sinks.video import VideoSink
from edgeseg.stream.sources import kind_of
from edgeseg.stream.sources.camera import check as check_camera
from edgeseg.stream.sources.camera import has_gstreamer
from edgeseg.stream.sources.piped import RAW

if TYPE_CHECKING:
    from edgeseg.model import Model, Result
    from edgeseg.stream.sinks.base import Sink
    from edgeseg.stream.sources.base import SourceOptions
    from edgeseg.stream.summary import Summary
    from edgeseg.stream.web.server import Viewer


def check(
    streams: list[str], outputs: Outputs, options: SourceOptions, policy: Policy, lists: Iterable[str] = ()
) -> list[Places]:
    """Everything that can be said before the model is loaded.

    Args:
        streams: SOURCEs.
        outputs: what is written.
        options: what cameras are asked for.
        policy: of which the crop is checked.
        lists: files that ``streams`` came from.

    Raises:
        EdgesegError: a source that no live run has, or an output that cannot be.
    """
    for stream in streams:
        kind = kind_of(stream)
        if kind.camera is None:
            raise UsageError(f"{redact(stream)}: pictures are no live stream; segment them in a run of their own")
        if kind.open is not None and not Path(stream).is_file():
            raise InputError(f"{stream}: no such file")
        if stream.startswith("gst:") and not has_gstreamer():
            raise InputError("gst: this OpenCV was built without GStreamer; use rtsp://, /dev/videoN, or pipe y4m to -")
        if kind.name == "camera":
            check_camera(stream)
        if stream.startswith("phantom:"):
            from edgeseg.stream.sources.synthetic import check as check_phantom

            check_phantom(stream, options)
    if streams.count("-") > 1:
        raise UsageError("standard input is one stream; give - once")
    if streams == ["-"] and options.pixel_format not in (None, *RAW):  # beside a camera it may be the camera's
        raise UsageError(f"--pixel-format {options.pixel_format}: raw frames on standard input are {', '.join(RAW)}")
    Crop.parse(policy.crop)
    check_places(outputs)
    places = Places.of_streams(outputs, len(streams))
    files = {Path(one).resolve() for one in (*streams, *lists) if "://" not in one and Path(one).is_file()}
    for place in places:
        more = [outputs.json] if outputs.json is not None else []
        check_distinct(place, more)
        check_not_read([*place.written(), *more], files)
    return places


def infer_live(
    model: Model,
    streams: list[str],
    places: list[Places],
    outputs: Outputs,
    options: SourceOptions,
    policy: Policy,
    *,
    viewer: Viewer | None = None,
    threads: int = 1,
    on_result: Callable[[Result], None] | None = None,
    quiet: bool = False,
    more: Callable[[str], list[Sink]] | None = None,
    told: Callable[[list[Summary]], None] = lambda _: None,
) -> list[Path]:
    """Runs until the policy's end; what was written.

    Args:
        model: loaded for ``threads`` threads.
        streams: SOURCEs that :func:`check` passed.
        places: what it gave, one a stream.
        outputs: what is written.
        options: what cameras are asked for.
        policy: when frames are dropped and when the run ends.
        viewer: gets every stream.
        threads: how many frames may be in the engine at once.
        on_result: called with every result, in the calling thread.
        quiet: without the log's line for every change of state, and one a minute.
        more: further sinks of a stream, by its name without secrets.
        told: given the summaries at the end, also of a run that fails after it had frames.

    Raises:
        EdgesegError: see :meth:`LiveRun.run`.
    """
    with contextlib.ExitStack() as locks:
        for path in locked(outputs, places):
            locks.enter_context(writer_lock(path))

        def beside(name: str) -> list[Sink]:
            return [*watchers(viewer, name, model), *(more(name) if more is not None else [])]

        sinks = _sinks(model, streams, places, outputs, beside)
        log, warn = (None, None) if quiet else (log_line, warn_line)
        run = LiveRun(model, model.again, policy, threads=threads, on_result=on_result, log=log, warn=warn)
        try:
            run.run(streams, options, sinks)
        finally:
            if any(one.frames for one in run.summaries):
                told(run.summaries)
    return sorted({path for place in places for path in place.written()})


def _sinks(
    model: Model,
    streams: list[str],
    places: list[Places],
    outputs: Outputs,
    more: Callable[[str], list[Sink]] | None,
) -> list[list[Sink]]:
    overlay = Overlay(model.spec.classes)
    made: list[list[Sink]] = []
    names = names_of(streams)
    log: EventsLog | None = None
    try:
        for name, place in zip(names, places, strict=True):
            own: list[Sink] = []
            made.append(own)
            if outputs.show:
                from edgeseg.stream.sinks.window import Window

                own.append(Window(overlay, name))
            if place.video is not None:
                own.append(VideoSink(place.video, overlay, None, outputs.codec, live=True))
            if place.record is not None:
                own.append(Recorder(place.record, outputs.codec))
            if place.masks is not None:
                own.append(MaskFolder(place.masks, len(model.class_names)))
            if place.events is not None:
                log = log or EventsLog(place.events, live=True)  # one for all: Places has it so
                own.append(EventsFile(log, name))
            own += more(name) if more is not None else []
    except BaseException:
        for sink in (sink for own in made for sink in own):
            with contextlib.suppress(Exception):
                sink.close()
        raise
    return made
