"""What ``--stream SOURCE`` means: a table from the look of the text to the file that opens it.

Adding a kind of source is a file beside this one and a row in ``TABLE``. Importing this is light: the capture process
does it.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING

from edgeseg.errors import InputError
from edgeseg.redact import redact
from edgeseg.stream.sources.base import FrameSource, SourceOptions

if TYPE_CHECKING:
    from edgeseg.stream.sources.live import Camera


def _stills(text: str, _: SourceOptions) -> FrameSource:
    from edgeseg.stream.sources.stills import Stills

    return Stills(text)


def _video(text: str, _: SourceOptions) -> FrameSource:
    from edgeseg.stream.sources.video import VideoFile

    return VideoFile(Path(text))


def _is_stills(text: str) -> bool:
    from edgeseg.data.dataset import IMAGE_SUFFIXES, count_pages

    path = Path(text)
    if path.suffix.lower() == ".gif" and path.is_file() and count_pages(path) > 1:  # a video
        return False
    if path.is_dir() or path.suffix.lower() in IMAGE_SUFFIXES:
        return True
    return any(sign in text for sign in "*?[") and not path.exists()


def _scheme(*names: str) -> Callable[[str], bool]:
    """With a colon alone too: a mistyped URL may hold a password and must not be taken for a file's name."""
    return lambda text: text.lower().startswith(tuple(f"{name}:" for name in names))


def _live(module: str, function: str = "camera") -> Callable[[str, SourceOptions], Camera]:
    def make(text: str, options: SourceOptions) -> Camera:
        return getattr(import_module(f"edgeseg.stream.sources.{module}"), function)(text, options)

    return make


def _index(text: str) -> bool:
    digits = text.removeprefix("/dev/video")
    return digits.isascii() and digits.isdecimal()


@dataclass(frozen=True)
class Kind:
    """A row of the table.

    ``matches`` looks at the text alone (and whether it is a file or folder). ``open`` is a recorded source's,
    ``camera`` a live one's, called in the capture process; a video file has both, for when it runs beside cameras.
    """

    name: str
    example: str
    matches: Callable[[str], bool]
    open: Callable[[str, SourceOptions], FrameSource] | None = None
    camera: Callable[[str, SourceOptions], Camera] | None = None

    @property
    def live(self) -> bool:
        return self.open is None


TABLE: tuple[Kind, ...] = (
    Kind("RTSP camera", "rtsp://camera/live", _scheme("rtsp", "rtsps"), camera=_live("rtsp")),
    Kind("HTTP: MJPEG, HLS", "http://camera/video.mjpg", _scheme("http", "https"), camera=_live("http")),
    Kind("SRT", "srt://sender:9000", _scheme("srt"), camera=_live("srt")),
    Kind("UDP, RTP", "udp://0.0.0.0:5000", _scheme("udp", "rtp"), camera=_live("udp")),
    Kind("RTP by description", "session.sdp", lambda text: text.lower().endswith(".sdp"), camera=_live("udp")),
    Kind("GStreamer pipeline", "gst:videotestsrc is-live=true", _scheme("gst"), camera=_live("camera", "gst")),
    Kind("synthetic camera", "phantom:colonoscopy", _scheme("phantom"), camera=_live("synthetic")),
    Kind("standard input", "-", lambda text: text == "-", camera=_live("piped")),
    Kind("camera", "0 or /dev/video0", _index, camera=_live("camera")),
    Kind("picture, folder or glob", "'frames/*.png'", _is_stills, open=_stills),
    Kind("video file", "clip.mp4", lambda text: "://" not in text, _video, _live("replay")),
)
LIST_SUFFIX = ".streams"


def open_source(text: str, options: SourceOptions | None = None) -> FrameSource:
    """Opens a recorded SOURCE.

    Raises:
        InputError: a file that is not what it should be, a live source, or a kind nobody knows.
    """
    kind = kind_of(text)
    if kind.open is None:
        raise InputError(f"{redact(text)} is a live source; this needs a recording")
    return kind.open(text, options or SourceOptions())


def kind_of(text: str) -> Kind:
    """The row of the table that SOURCE belongs to.

    Raises:
        InputError: none, or a name that no file can have.
    """
    try:
        there = Path(text).stat().st_mode
    except OSError as error:
        if error.strerror and "too long" in error.strerror and "://" not in text:
            raise InputError(f"{redact(text[:60])}: cannot be opened ({error.strerror})") from error
        there = 0
    except ValueError as error:
        raise InputError(f"{redact(text[:60])!r}: is no name that a file can have") from error
    if not text:
        raise InputError("--stream is empty; give a camera's address, the path of a video, or a folder of pictures")
    if stat.S_ISFIFO(there):
        raise InputError(f"{text} is a pipe; send it to standard input: --stream - < {text}")
    for kind in TABLE:
        if kind.matches(text):
            return kind
    kinds = ", ".join(kind.name for kind in TABLE)
    raise InputError(f"{text.partition('://')[0]}://: no such kind of source; there are: {kinds}")


def expand(texts: list[str]) -> list[str]:
    """``.streams`` files replaced by what they list: a SOURCE a line, # begins a comment.

    Raises:
        InputError: a list that cannot be read, or is empty.
    """
    out: list[str] = []
    for text in texts:
        if not text.lower().endswith(LIST_SUFFIX) or "://" in text:
            out.append(text)
            continue
        try:
            lines = Path(text).read_text(encoding="utf-8-sig").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "it is no text"
            raise InputError(f"{text}: the list of streams cannot be read ({reason})") from error
        # A comment begins a line or follows a blank: in an address a # may stand too.
        found = [one for line in lines if (one := re.split(r"(?:^|\s)#", line)[0].strip())]
        if not found:
            raise InputError(f"{text}: lists no stream; write one source a line")
        nested = next((one for one in found if one.lower().endswith(LIST_SUFFIX) and "://" not in one), None)
        if nested is not None:
            raise InputError(f"{text}: lists another list, {nested}; write its sources here")
        out += found
    return out
