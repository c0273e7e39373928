"""What ``--stream SOURCE`` means: a table from the look of the text to the file that opens it.

Adding a kind of source is a file beside this one and a row in ``TABLE``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from edgeseg.data.dataset import IMAGE_SUFFIXES
from edgeseg.errors import InputError
from edgeseg.stream.sources.base import FrameSource, SourceOptions


def _camera(text: str, options: SourceOptions) -> FrameSource:
    from edgeseg.stream.sources.camera import Camera

    return Camera(int(text), options)


def _stills(text: str, _: SourceOptions) -> FrameSource:
    from edgeseg.stream.sources.stills import Stills

    return Stills(text)


def _video(text: str, _: SourceOptions) -> FrameSource:
    from edgeseg.stream.sources.video import VideoFile

    return VideoFile(Path(text))


def _is_stills(text: str) -> bool:
    path = Path(text)
    if path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES:
        return True
    return any(sign in text for sign in "*?[") and not path.exists()


@dataclass(frozen=True)
class Kind:
    """A row of the table: ``matches`` looks at the text alone (and whether it is a file or folder)."""

    name: str
    matches: Callable[[str], bool]
    open: Callable[[str, SourceOptions], FrameSource]
    live: bool = False


TABLE: tuple[Kind, ...] = (
    Kind("camera index", lambda text: text.isascii() and text.isdecimal(), _camera, live=True),
    Kind("picture, folder or glob", _is_stills, _stills),
    Kind("video file", lambda text: "://" not in text, _video),
)


def open_source(text: str, options: SourceOptions | None = None) -> FrameSource:
    """Opens SOURCE.

    Raises:
        InputError: a file that is not what it should be, or a kind nobody knows.
        SourceError: a camera that cannot be opened.
    """
    return kind_of(text).open(text, options or SourceOptions())


def kind_of(text: str) -> Kind:
    """The row of the table that SOURCE belongs to.

    Raises:
        InputError: none, or a name that no file can have.
    """
    try:
        Path(text).exists()
    except OSError as error:  # such as a name longer than any file's
        raise InputError(f"{text[:60]}: cannot be opened ({error.strerror})") from error
    if not text:
        raise InputError("--stream is empty; give the path of a video, a folder of pictures or a camera index")
    for kind in TABLE:
        if kind.matches(text):
            return kind
    kinds = ", ".join(kind.name for kind in TABLE)
    raise InputError(f"{text.partition('://')[0]}://: no such kind of source; there are: {kinds}")
