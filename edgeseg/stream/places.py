"""Where outputs go, checked before any work: nothing is written over that is read, nothing is found unwritable late."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgeseg import console
from edgeseg.atomic import check_writable, disk_errors, written_through
from edgeseg.commands.options import Codec
from edgeseg.data.dataset import IMAGE_SUFFIXES
from edgeseg.errors import OutputError, UsageError
from edgeseg.outputs import check_outside
from edgeseg.stream.sinks.encoder import SUFFIXES, growing_name
from edgeseg.stream.sinks.masks import written_here
from edgeseg.stream.sources.stills import find, names_of

if TYPE_CHECKING:
    from edgeseg.stream.sources.base import FrameSource

# Not written: mp4 plays everywhere, mkv survives a kill; a folder would hardly be called so.
OTHER_VIDEOS = (".avi", ".mov", ".webm", ".m4v", ".ts", ".mpg", ".wmv", ".gif")


@dataclass(frozen=True)
class Outputs:
    """What is written.

    ``out`` is a video file or a folder for everything, ``masks`` a folder, ``events`` a file, ``record`` (live
    streams) a file, or a folder for several streams. ``json`` is written by the command itself.
    """

    out: Path | None = None
    masks: Path | None = None
    events: Path | None = None
    record: Path | None = None
    show: bool = False
    codec: Codec = Codec.h264
    web: str | None = None
    json: Path | None = None

    def given(self) -> dict[str, Path]:
        """Those that were, by option."""
        every = {"--out": self.out, "--masks": self.masks, "--events": self.events, "--record": self.record}
        return {option: path for option, path in every.items() if path is not None}

    def is_file(self, path: Path) -> bool:
        """Whether this output is a file, not a folder."""
        return path == self.events or (path in (self.out, self.record) and path.suffix.lower() in SUFFIXES)


@dataclass(frozen=True)
class Places:
    """The files and folders that will be written."""

    video: Path | None
    stills: Path | None
    masks: Path | None
    events: Path | None
    record: Path | None = None

    @classmethod
    def of(cls, outputs: Outputs, *, stills: bool) -> Places:
        """``--out`` as a folder gets a video, or for ``stills`` pictures, with masks and events."""
        out, record = outputs.out, outputs.record
        if record is not None and record.suffix.lower() not in SUFFIXES:
            record = record / "frames.mkv"
        if out is None or out.suffix.lower() in SUFFIXES:
            return cls(out, None, outputs.masks, outputs.events, record)
        video, overlay = (None, out / "overlay") if stills else (out / "overlay.mp4", None)
        return cls(video, overlay, outputs.masks or out / "masks", outputs.events or out / "events.jsonl", record)

    @classmethod
    def of_streams(cls, outputs: Outputs, streams: int) -> list[Places]:
        """For each of several live streams: a folder of its own in every folder; one file of events for all.

        Raises:
            UsageError: a single file was given for several videos.
        """
        if streams == 1:
            return [cls.of(outputs, stills=False)]
        for option, path in (("--out", outputs.out), ("--record", outputs.record)):
            if path is not None and path.suffix.lower() in SUFFIXES:
                raise UsageError(f"{option} {path}: {streams} streams need a folder")
        out = outputs.out
        events = outputs.events or (out / "events.jsonl" if out is not None else None)
        places = []
        for number in range(1, streams + 1):
            name = f"stream-{number}"
            own = replace(
                outputs,
                out=out / name if out is not None else None,
                masks=outputs.masks / name if outputs.masks is not None else None,
                record=outputs.record / name if outputs.record is not None else None,
            )
            places.append(replace(cls.of(own, stills=False), events=events))
        return places

    def written(self) -> list[Path]:
        """Those that there are."""
        every = (self.video, self.stills, self.masks, self.events, self.record)
        return [path for path in every if path is not None]


def check_places(outputs: Outputs) -> None:
    """Says before any work what cannot be written.

    Raises:
        UsageError: a video of a kind that is not written, or a viewer's address that is none.
        BackendError: the viewer's extra is not installed.
        OutputError: a file stands where a folder should be, the other way round, or the disk refuses.
    """
    if outputs.web is not None:
        console.require("web", "starlette", "uvicorn", "websockets", "prometheus_client")
        from edgeseg.stream.web.address import Address

        Address.parse(outputs.web)
    for option, path in (("--out", outputs.out), ("--record", outputs.record)):
        if path is not None and path.suffix.lower() in OTHER_VIDEOS:
            raise UsageError(f"{option} {path}: write the video as {' or '.join(SUFFIXES)}, or give a folder")
    for option, path in outputs.given().items():
        if path == Path("-"):
            raise UsageError(
                f"{option} -: only --json goes to standard output by that name; give a file or /dev/stdout"
            )
        check_outside(option, path, folder=not outputs.is_file(path))
        if path.suffix.lower() in SUFFIXES and written_through(path):
            raise OutputError(f"{path} is a device or a pipe, and a video needs a file; choose another name")
        with disk_errors(path):
            there, folder = path.exists(), path.is_dir()
        if outputs.is_file(path) and folder:
            raise OutputError(f"{path} is a folder, not a file; choose another name")
        if not outputs.is_file(path) and there and not folder:
            raise OutputError(f"{path} is a file, not a folder; choose another name")
        above = next((folder for folder in path.absolute().parents if folder.exists()), None)
        if above is not None and not above.is_dir():
            raise OutputError(f"{path}: {above} is a file, so nothing can be written below it; choose another name")
        check_writable(path)


def check_apart(stream: str, source: FrameSource, places: Places, more: Iterable[Path] = ()) -> None:
    """Nothing that is read is written over, and no two outputs share a file.

    Raises:
        UsageError: the source would be replaced, pictures land among those that are read, or masks among a data set's.
    """
    more = list(more)
    check_distinct(places, more)
    check_not_read([*places.written(), *more], read_by(stream, source))
    if source.stills and places.masks is not None:
        _check_labels(places.masks, find(stream))


def _check_labels(masks: Path, pictures: list[Path]) -> None:
    """Masks of these pictures replace none that somebody drew, nor are taken for such."""
    for folder in sorted({one for file in pictures for one in (file.absolute().parent, file.resolve().parent)}):
        labels = folder.parent / "masks"
        if folder.name in ("images", "negatives") and labels.resolve() == masks.resolve():
            raise UsageError(f"{masks} is where a data set has its labels, beside {folder.name}/; write somewhere else")
    others = {one.stem: one for one in masks.glob("*") if one.suffix.lower() in IMAGE_SUFFIXES[1:]}  # but .png
    for name in names_of(pictures):
        file = masks / f"{name}.png"
        if name in others:
            raise UsageError(f"{others[name]} would have a mask of its name beside it; write somewhere else")
        if file.exists() and not written_here(file):
            raise UsageError(
                f"{file} was not written by this version of edgeseg infer, or was saved again since; move the masks in "
                f"{masks} away or write somewhere else"
            )


def read_by(stream: str, source: FrameSource) -> set[Path]:
    """What a recording or pictures are read from, resolved; of pictures their folders too."""
    if not source.stills:
        return {Path(stream).resolve()}
    files = {file.resolve() for file in find(stream)}
    return files | {file.parent for file in files}


def check_not_read(written: Iterable[Path], read: set[Path]) -> None:
    """Raises: UsageError where an output would replace one of these resolved paths."""
    for path in written:
        if path.resolve() in read:
            raise UsageError(f"{path} is what --stream reads; write somewhere else")


def check_distinct(places: Places, more: Iterable[Path] = ()) -> None:
    """No two outputs share a file, nor does one have the name under which a live video grows.

    Raises:
        UsageError: they do.
    """
    growing = [growing_name(path) for path in (places.video, places.record) if path is not None]
    every = [path.resolve() for path in (*places.written(), *growing, *more) if not written_through(path)]
    if len(set(every)) != len(every):
        raise UsageError("two outputs have the same path; give each its own")


def locked(outputs: Outputs, places: Iterable[Places]) -> list[Path]:
    """What no other run may write meanwhile, by whichever of its options."""
    every = {*outputs.given().values(), *(path for place in places for path in place.written())}
    return sorted({path.absolute() for path in every if not written_through(path)})
