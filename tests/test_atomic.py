"""Files and folders are the old ones or the new ones, whatever happens in between."""

from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeseg import atomic
from edgeseg.errors import OutputError


def names(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.iterdir())


def test_write(tmp_path: Path) -> None:
    file = tmp_path / "new" / "deep" / "a.json"
    atomic.atomic_write(file, "é")
    assert file.read_bytes() == "é".encode()
    atomic.atomic_write(file, b"\x00")
    assert file.read_bytes() == b"\x00"
    assert names(file.parent) == ["a.json"]


def test_failed_write_keeps_the_old_file(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("old")
    with pytest.raises(RuntimeError), atomic.atomic_path(file) as temporary:
        assert temporary.suffix == ".txt"
        temporary.write_text("half")
        raise RuntimeError
    with pytest.raises(KeyboardInterrupt), atomic.atomic_path(file) as temporary:
        temporary.write_text("half")
        raise KeyboardInterrupt
    assert file.read_text() == "old"
    assert names(tmp_path) == ["a.txt"]


def test_a_folder_is_not_overwritten_by_a_file(tmp_path: Path) -> None:
    (tmp_path / "a.txt").mkdir()
    with pytest.raises(OutputError, match=r"cannot write .*a\.txt"):
        atomic.atomic_write(tmp_path / "a.txt", "x")
    assert names(tmp_path) == ["a.txt"]


def test_folder_new_and_exchanged(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with atomic.atomic_folder(out) as folder:
        (folder / "deep").mkdir()
        (folder / "deep" / "a").write_text("1")
        assert not out.exists()
    with atomic.atomic_folder(out) as folder:
        assert names(folder) == []
        (folder / "b").write_text("2")
        assert (out / "deep" / "a").read_text() == "1"
    assert names(out) == ["b"]
    assert names(tmp_path) == ["out"]


@pytest.mark.parametrize("stop", [RuntimeError, KeyboardInterrupt, OSError(errno.ENOSPC, "full")])
def test_failed_folder_keeps_the_old_one(tmp_path: Path, stop: type[BaseException]) -> None:
    out = tmp_path / "out"
    with atomic.atomic_folder(out) as folder:
        (folder / "a").write_text("old")
    with pytest.raises((RuntimeError, KeyboardInterrupt, OutputError)), atomic.atomic_folder(out) as folder:
        (folder / "a").write_text("new")
        raise stop
    assert (out / "a").read_text() == "old"
    assert names(tmp_path) == ["out"]


def test_folder_where_renames_cannot_exchange(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Some network file systems have no RENAME_EXCHANGE: the old folder steps aside."""

    class Libc:
        def renameat2(self, *_: object) -> int:
            import ctypes

            ctypes.set_errno(errno.EINVAL)
            return -1

    out = tmp_path / "out"
    with atomic.atomic_folder(out) as folder:
        (folder / "a").write_text("old")
    monkeypatch.setattr(atomic.ctypes, "CDLL", lambda *_, **__: Libc())
    with atomic.atomic_folder(out) as folder:
        (folder / "a").write_text("new")
    assert (out / "a").read_text() == "new"
    assert names(tmp_path) == ["out"]


def test_a_file_in_the_place_of_a_folder_is_left_alone(tmp_path: Path) -> None:
    out = tmp_path / "thesis"
    out.write_text("years of work")
    with pytest.raises(OutputError, match="is a file"), atomic.atomic_folder(out) as folder:
        (folder / "a").write_text("new")
    assert out.read_text() == "years of work"
    assert names(tmp_path) == ["thesis"]


def test_second_writer_is_refused_at_once(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with atomic.atomic_folder(out):
        start = time.monotonic()
        with pytest.raises(OutputError, match="another edgeseg is writing") as caught, atomic.atomic_folder(out):
            pytest.fail("two writers")
        assert caught.value.exit_code == 5
        assert time.monotonic() - start < 1
    with atomic.atomic_folder(out) as folder:
        (folder / "a").write_text("x")
    assert names(tmp_path) == ["out"]


def test_lock_goes_when_the_work_fails(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError), atomic.writer_lock(tmp_path / "out"):
        assert names(tmp_path) == [".out.lock"]
        raise RuntimeError
    assert names(tmp_path) == []


def test_lock_goes_with_a_killed_writer_though_its_helper_lives(tmp_path: Path) -> None:
    """Such as the process that prepares frames beside a training, which a kill of the training outlasts."""
    code = """
import multiprocessing, os, sys, time
from pathlib import Path
from edgeseg import atomic

def work():
    print(os.getpid(), flush=True)
    time.sleep(60)

with atomic.writer_lock(Path(sys.argv[1])):
    multiprocessing.get_context("fork").Process(target=work).start()
    time.sleep(60)
"""
    out = tmp_path / "out"
    with subprocess.Popen([sys.executable, "-c", code, str(out)], stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        helper = int(process.stdout.readline())
        try:
            with pytest.raises(OutputError, match="another edgeseg is writing"), atomic.writer_lock(out):
                pytest.fail("two writers")
            process.kill()
            process.wait()
            os.kill(helper, 0)  # still there
            with atomic.writer_lock(out):
                pass
        finally:
            os.kill(helper, signal.SIGKILL)


def test_lock_of_many_writers_has_one_holder_at_a_time(tmp_path: Path) -> None:
    """Also in the moment in which the holder removes the lock file that another one has just opened."""
    held, most, done = 0, 0, 0
    guard = threading.Lock()

    def work() -> None:
        nonlocal held, most, done
        for _ in range(300):
            try:
                with atomic.writer_lock(tmp_path / "out"):
                    with guard:
                        held += 1
                        most = max(most, held)
                    os.sched_yield()
                    with guard:
                        held -= 1
                        done += 1
            except OutputError:
                os.sched_yield()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1
    assert done > 0
    assert names(tmp_path) == []


WRITER = """
import os, sys
from pathlib import Path
from edgeseg.atomic import atomic_folder, atomic_write
out, file = Path(sys.argv[1]), Path(sys.argv[2])
print("go", flush=True)
number = 0
while True:
    number += 1
    with atomic_folder(out) as folder:
        for name in "abcd":
            (folder / name).write_bytes(b"%d" % number * 2000)
    atomic_write(file, b"%d\\n" % number * 2000)
"""


def test_kill_9_tears_nothing(tmp_path: Path) -> None:
    """Killed at any moment, folder and file hold one version, and the next writer goes on."""
    out, file = tmp_path / "out", tmp_path / "file"
    for trial in range(6):
        with subprocess.Popen(
            [sys.executable, "-c", WRITER, str(out), str(file)], stdout=subprocess.PIPE, text=True
        ) as writer:
            assert writer.stdout is not None
            assert writer.stdout.readline() == "go\n"
            time.sleep(0.05 + 0.013 * trial)
            writer.send_signal(signal.SIGKILL)
        if out.exists():
            contents = {(out / name).read_bytes() for name in "abcd"}
            assert len(contents) == 1, trial
            assert names(out) == list("abcd")
        if file.exists():
            lines = file.read_text().split()
            assert len(lines) == 2000
            assert len(set(lines)) == 1
    assert out.exists()
    assert file.exists()
    with atomic.atomic_folder(out) as folder:
        (folder / "a").write_text("after")
    assert names(out) == ["a"]
    assert [name for name in names(tmp_path) if name.startswith(".out")] == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 128 KiB."""
    place = tmp_path / "disk"
    place.mkdir()
    try:
        done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=128k", "tmpfs", str(place)], capture_output=True)
    except FileNotFoundError:
        pytest.skip("there is no mount command here")
    if done.returncode:
        pytest.skip("a file system cannot be mounted here (needs root)")
    yield place
    subprocess.run(["umount", str(place)], check=True)


def test_full_disk(small_disk: Path) -> None:
    file, out = small_disk / "a", small_disk / "out"
    atomic.atomic_write(file, b"old")
    with atomic.atomic_folder(out) as folder:
        (folder / "a").write_bytes(b"old")
    with pytest.raises(OutputError, match="no space left while writing .*/a; free some"):
        atomic.atomic_write(file, b"x" * (1 << 20))
    with pytest.raises(OutputError, match="no space left") as caught, atomic.atomic_folder(out) as folder:
        (folder / "a").write_bytes(b"x" * (1 << 20))
    assert caught.value.exit_code == 5
    assert file.read_bytes() == (out / "a").read_bytes() == b"old"
    assert names(small_disk) == ["a", "out"]


def test_file_size_limit(tmp_path: Path) -> None:
    """The same without root: a limit on file sizes fails a write in its middle."""
    code = (
        "import resource, signal, sys; from pathlib import Path; from edgeseg import atomic, errors\n"
        "signal.signal(signal.SIGXFSZ, signal.SIG_IGN); resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))\n"
        "try: atomic.atomic_write(Path(sys.argv[1]), b'x' * 100000)\n"
        "except errors.OutputError as error: print(error); sys.exit(error.exit_code)\n"
    )
    file = tmp_path / "a"
    file.write_text("old")
    done = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True)
    assert done.returncode == 5, done.stderr
    assert done.stdout.startswith(f"cannot write {file}: File too large")
    assert file.read_text() == "old"
    assert names(tmp_path) == ["a"]


def test_read_only_disk(small_disk: Path) -> None:
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(OutputError, match="read-only file system; choose another place"):
        atomic.check_writable(small_disk / "run" / "manifest.json")
    with pytest.raises(OutputError, match="read-only"):
        atomic.atomic_write(small_disk / "a", "x")
    with pytest.raises(OutputError, match="read-only"), atomic.atomic_folder(small_disk / "out"):
        pytest.fail("nothing can be written here")
    with pytest.raises(OutputError, match="read-only"), atomic.writer_lock(small_disk / "out"):
        pytest.fail("no lock can be held here")


def test_a_folder_that_is_there_is_asked_itself(small_disk: Path) -> None:
    """Its parent can be written, it cannot: as a volume that is mounted read-only."""
    subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
    with pytest.raises(OutputError, match="disk is on a read-only file system; choose another place"):
        atomic.check_writable(small_disk)
    assert names(small_disk.parent) == ["disk"]


def test_sweep(tmp_path: Path) -> None:
    """What a dead process left goes; what a living one is writing, and what is not ours, stays."""
    dead = subprocess.Popen(["true"])
    dead.wait()
    kept = [f".last.{os.getpid()}.ckpt", ".hidden", ".config.toml", "last.ckpt", f"last.{dead.pid}.ckpt"]
    for name in [*kept, f".last.{dead.pid}.ckpt", f".file.{dead.pid}"]:
        (tmp_path / name).write_text("x")
    atomic.sweep(tmp_path)
    assert names(tmp_path) == sorted(kept)


def test_check_writable_leaves_nothing(tmp_path: Path) -> None:
    atomic.check_writable(tmp_path / "new" / "bundle")
    assert names(tmp_path / "new") == []
    (tmp_path / "file").write_text("x")
    with pytest.raises(OutputError, match="does not exist or is not a folder|cannot write"):
        atomic.check_writable(tmp_path / "file" / "bundle")


@pytest.mark.parametrize(
    ("number", "said"),
    [
        (errno.ENOSPC, "no space left"),
        (errno.EDQUOT, "no space left"),
        (errno.EACCES, "no permission"),
        (errno.EROFS, "read-only"),
        (errno.ENOENT, "does not exist"),
        (errno.EIO, "Input/output error"),
    ],
)
def test_sentences(number: int, said: str) -> None:
    with pytest.raises(OutputError, match=said) as caught, atomic.disk_errors("here"):
        raise OSError(number, os.strerror(number))
    assert "here" in str(caught.value)
    assert "\n" not in str(caught.value)
