"""Single pictures: a file, a folder, or a glob; sorted by name."""

from __future__ import annotations

import glob
import time
from collections.abc import Iterator
from pathlib import Path

from edgeseg.data.dataset import IMAGE_SUFFIXES, read_frame
from edgeseg.errors import InputError
from edgeseg.names import shown
from edgeseg.stream.frame import StreamFrame


class Stills:
    """Pictures one after the other; a damaged one ends the run with its name.

    Raises:
        InputError: none found.
    """

    live = False
    stills = True
    notes: tuple[str, ...] = ()

    def __init__(self, pattern: str) -> None:
        self.name = shown(pattern)
        self.warning = ""
        self.framerate: float | None = None
        self._files = find(pattern)
        if not self._files:
            raise InputError(f"{pattern}: no pictures found (looked for {', '.join(IMAGE_SUFFIXES)})")
        self.length: int | None = len(self._files)

    def __iter__(self) -> Iterator[StreamFrame]:
        names = names_of(self._files)
        for sequence, path in enumerate(self._files):
            start = time.perf_counter()
            image = read_frame(path)
            decode = (time.perf_counter() - start) * 1e3
            yield StreamFrame(image, sequence, float(sequence), time.monotonic(), time.time(), decode, names[sequence])

    def close(self) -> None:
        """Nothing is held open between pictures."""


def names_of(files: list[Path]) -> list[str]:
    """What the files made of these pictures are called, without suffix."""
    names = [shown(path.stem) for path in files]
    if len(set(names)) != len(names):  # of several folders: what is written must not be overwritten
        names = [f"{sequence:08d}-{stem}" for sequence, stem in enumerate(names)]
    return names


def find(pattern: str) -> list[Path]:
    """Files of a folder, a glob, or one file."""
    path = Path(pattern)
    if path.is_dir():
        found = list(path.iterdir())
    elif path.is_file():
        found = [path]
    else:
        if path.parent.is_dir():  # brackets in the name of a folder that is there are no pattern
            pattern = f"{glob.escape(str(path.parent))}/{path.name}"
        found = [Path(name) for name in glob.glob(pattern, recursive=True)]  # noqa: PTH207 - patterns may be absolute
    return sorted(
        file for file in found if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file() and not _hidden(file)
    )


def _hidden(file: Path) -> bool:
    """Such as macOS's ``._NAME.png``, which holds no picture."""
    return file.name.startswith(".")
