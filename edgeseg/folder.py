"""Reading a bundle or run safely: the folder is opened once, and the very bytes that were hashed are parsed."""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from types import TracebackType
from typing import Self

from edgeseg import manifest as mf
from edgeseg import strict_json
from edgeseg.errors import ModelError

MAX_FILE = 1 << 31
_SAFE = re.compile(rf"{mf.SEGMENT}(/{mf.SEGMENT})*")


class Folder:
    """Files of one folder, read relative to its handle; no symlink is followed, nothing outside is reached.

    Raises:
        ModelError: the folder cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            self._handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
        except OSError as error:
            raise ModelError(f"{path}: cannot be opened as a folder ({error.strerror})") from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        os.close(self._handle)

    def read(self, file: str, limit: int = MAX_FILE) -> bytes:
        """A regular file's bytes.

        Raises:
            ModelError: no such file, a symlink, not a regular file, or larger than ``limit``.
        """
        if len(file) > 128 or not _SAFE.fullmatch(file):
            raise ModelError(f"{self.path}: the file name {file[:60]!r} is not allowed in a bundle")
        handle = self._open(file)
        try:
            info = os.fstat(handle)
            if not stat.S_ISREG(info.st_mode):
                raise ModelError(f"{self.path / file}: is no regular file")
            if info.st_size > limit:
                raise ModelError(f"{self.path / file}: is {info.st_size} bytes, more than the {limit} expected")
            with open(handle, "rb", closefd=False) as stream:
                return stream.read(limit + 1)
        except OSError as error:
            raise ModelError(f"{self.path / file}: cannot be read ({error.strerror})") from error
        finally:
            os.close(handle)

    def _open(self, file: str) -> int:
        """Each part of the path without following symlinks."""
        parent = os.dup(self._handle)
        *folders, name = file.split("/")
        try:
            for part in folders:
                child = os.open(part, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW, dir_fd=parent)
                os.close(parent)
                parent = child
            return os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK, dir_fd=parent)
        except OSError as error:
            raise ModelError(f"{self.path / file}: cannot be read ({error.strerror})") from error
        finally:
            os.close(parent)

    def checked(self, file: str, sha256: str, size: int | None = None) -> bytes:
        """A file's bytes after size and hash were compared.

        Raises:
            ModelError: changed since the manifest was written.
        """
        data = self.read(file, MAX_FILE if size is None else size)
        if (size is not None and len(data) != size) or mf.sha256(data) != sha256:
            raise ModelError(f"{self.path / file}: has changed since the manifest was written; get the bundle again")
        return data

    def manifest(self) -> tuple[mf.Manifest, str]:
        """The manifest and its hash, after ``manifest.sha256`` agreed.

        Raises:
            ModelError: missing, changed or not allowed.
        """
        data = self.read("manifest.json", strict_json.MAX_BYTES)
        digest = mf.sha256(data)
        line = self.read("manifest.sha256", 256).removesuffix(b"\n")
        if line != f"{digest}  manifest.json".encode():
            raise ModelError(
                f"{self.path / 'manifest.json'}: has changed (manifest.sha256 differs); get the bundle again"
            )
        try:
            return mf.parse(data), digest
        except ValueError as error:
            raise ModelError(f"{self.path / 'manifest.json'}: {error}") from error
