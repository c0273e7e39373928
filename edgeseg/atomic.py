"""Files and folders that are either the old ones or the new ones, never half of each.

A file is written beside its place, synced and renamed. A folder likewise; where the folder
exists the two are exchanged in one step (``renameat2``), since ``rename`` cannot replace a
folder that holds files.
"""

from __future__ import annotations

import contextlib
import ctypes
import errno
import fcntl
import glob
import os
import re
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

from edgeseg.errors import OutputError

_AT_FDCWD = -100
_RENAME_EXCHANGE = 2
# Lock files that this process holds.
_held: set[int] = set()


@contextlib.contextmanager
def disk_errors(path: Path | str) -> Iterator[None]:
    """Turns an ``OSError`` of writing ``path`` into one sentence.

    Raises:
        OutputError: disk full, no permission, read-only, or any other failure of the disk.
    """
    try:
        yield
    except OSError as error:
        raise OutputError(disk_sentence(path, error)) from error


def disk_sentence(path: Path | str, error: OSError) -> str:
    """What went wrong while writing ``path``, and what to do."""
    match error.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return f"no space left while writing {path}; free some and run again"
        case errno.EACCES | errno.EPERM:
            return f"no permission to write {path}; choose another place"
        case errno.EROFS:
            return f"{path} is on a read-only file system; choose another place"
        case errno.ENOENT | errno.ENOTDIR | errno.EEXIST:
            return f"the folder of {path} does not exist or is not a folder"
    return f"cannot write {path}: {error.strerror or error}"


def written_through(path: Path) -> bool:
    """Whether ``path`` is a device, pipe, socket or open file (/dev/stdout): these are written into, never replaced."""
    try:
        mode = path.stat().st_mode
    except OSError:
        return False
    folder = path.absolute().parent
    handle = folder in (Path("/dev"), Path("/dev/fd")) or folder.parts[1:2] == ("proc",)
    return not stat.S_ISDIR(mode) and (handle or not stat.S_ISREG(mode))


def followed(path: Path) -> Path:
    """What a symbolic link leads to, so that the link stays; any other path as it is."""
    return Path(os.path.realpath(path)) if path.is_symlink() else path


def check_writable(path: Path) -> None:
    """Asks before any work whether ``path`` (a file or folder to come) can be written.

    Raises:
        OutputError: it cannot.
    """
    with disk_errors(path):
        if written_through(path):
            if not os.access(path, os.W_OK):
                raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
            return
        path = followed(path)
        parent = path.absolute().parent
        parent.mkdir(parents=True, exist_ok=True)
        probe = parent / f".{path.name}.{os.getpid()}.probe"
        probe.write_bytes(b"edgeseg")
        probe.unlink()
        if path.is_dir() and not os.access(path, os.W_OK):  # asked, not tried: in a bundle no reader may find a probe
            number = errno.EROFS if os.statvfs(path).f_flag & os.ST_RDONLY else errno.EACCES
            raise OSError(number, os.strerror(number))


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextlib.contextmanager
def atomic_path(path: Path) -> Iterator[Path]:
    """Yields a temporary name beside ``path``; renamed to ``path`` when the block ends well.

    The temporary name keeps the suffix, so that writers that look at it still work. A link stays and leads to the new
    file; a device or pipe gets the bytes.

    Raises:
        OutputError: the disk refused.
    """
    if written_through(path):
        with disk_errors(path), tempfile.TemporaryDirectory() as folder:
            yield Path(folder, path.name)
            # Behind what stands there: standard output may be a file that others write to.
            with path.open("ab", buffering=0) as into, Path(folder, path.name).open("rb") as made:
                shutil.copyfileobj(made, into)
        return
    path = followed(path)
    temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            yield temporary
            with temporary.open("rb+") as handle:
                os.fsync(handle.fileno())
            temporary.replace(path)
            _sync_folder(path.parent)
        finally:
            temporary.unlink(missing_ok=True)


def sweep(folder: Path) -> None:
    """Removes what a killed process left of :func:`atomic_path` in ``folder``; call it while holding its lock."""
    for file in folder.glob(".*"):
        match = re.fullmatch(r"\..+\.(\d+)(\.[^.]+)?", file.name)
        if match and file.is_file() and not Path("/proc", match[1]).exists():
            file.unlink(missing_ok=True)


def atomic_write(path: Path, data: bytes | str) -> None:
    """Writes ``data`` (text as UTF-8) so that ``path`` is the old file or the new, never half.

    Raises:
        OutputError: the disk refused; the old file is as it was.
    """
    with atomic_path(path) as temporary:
        temporary.write_bytes(data.encode() if isinstance(data, str) else data)


@contextlib.contextmanager
def atomic_folder(path: Path) -> Iterator[Path]:
    """Yields an empty folder beside ``path`` that takes its place when the block ends well.

    Raises:
        OutputError: the disk refused, another process is writing the same folder, or a file stands in its place.
    """
    path = followed(path).absolute()
    temporary = path.with_name(f".{path.name}.{os.getpid()}.tmp")
    with disk_errors(path), writer_lock(path):
        if path.exists() and not path.is_dir():
            raise OutputError(f"{path} is a file, not a folder; choose another --out or remove it first")
        # Whoever left these was killed: only one writer at a time holds the lock.
        for left in path.parent.glob(f".{glob.escape(path.name)}.*.tmp"):
            shutil.rmtree(left, ignore_errors=True)
        temporary.mkdir(parents=True)
        try:
            yield temporary
            for folder, _, files in os.walk(temporary):
                for name in files:
                    with Path(folder, name).open("rb+") as handle:
                        os.fsync(handle.fileno())
                _sync_folder(Path(folder))
            if path.exists():
                _exchange(temporary, path)
            else:
                temporary.rename(path)
            _sync_folder(path.parent)
        finally:
            shutil.rmtree(temporary, ignore_errors=True)


@contextlib.contextmanager
def writer_lock(path: Path) -> Iterator[None]:
    """Holds the right to write ``path``; a second writer is refused rather than kept waiting.

    Raises:
        OutputError: another process holds it, or the disk refused.
    """
    path = path.absolute()
    lock = path.with_name(f".{path.name}.lock")
    with disk_errors(path):
        path.parent.mkdir(parents=True, exist_ok=True)
        handle = _locked(lock)
    if handle is None:
        raise OutputError(f"another edgeseg is writing {path}; wait for it or choose another --out")
    _held.add(handle)
    try:
        yield
    finally:
        lock.unlink(missing_ok=True)
        _held.discard(handle)
        os.close(handle)


def _let_go() -> None:
    """A forked helper holds no lock: it outlives a killed writer for seconds, and no other could begin until then."""
    for handle in _held:
        os.close(handle)
    _held.clear()


os.register_at_fork(after_in_child=_let_go)


def _locked(lock: Path) -> int | None:
    """The handle of a lock file that is ours alone; None where another process holds it."""
    while True:
        handle = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            mine = os.fstat(handle).st_ino == lock.stat().st_ino
        except BlockingIOError:
            os.close(handle)
            return None
        except FileNotFoundError:
            mine = False
        if mine:
            return handle
        # Its holder removed the file between our opening and our locking it: that lock no longer means anything.
        os.close(handle)


def _exchange(new: Path, old: Path) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.renameat2(_AT_FDCWD, os.fsencode(new), _AT_FDCWD, os.fsencode(old), _RENAME_EXCHANGE) == 0:
        return
    number = ctypes.get_errno()
    if number not in (errno.EINVAL, errno.ENOSYS):
        raise OSError(number, os.strerror(number))
    # A file system without RENAME_EXCHANGE (some network ones): move the old one aside first.
    aside = old.with_name(f".{old.name}.{os.getpid()}.old")
    old.rename(aside)
    new.rename(old)
    shutil.rmtree(aside, ignore_errors=True)
