"""Events as JSONL: a row per frame with a mask, a row per change of state, and one at the end."""

from __future__ import annotations

import contextlib
import json
import os
import threading
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeseg.atomic import disk_errors, followed, written_through
from edgeseg.model import Result
from edgeseg.stream.frame import StreamFrame
from edgeseg.stream.status import Status

if TYPE_CHECKING:
    from edgeseg.stream.drift import DriftReport

# A working day of a live stream with a mask on every frame is about 700 MiB: kept as files of this size, the oldest go.
ROTATE, KEPT = 64 << 20, 8


class EventsLog:
    """The file itself; several live streams write to one. Closed with the last of them.

    Of a recording it appears under its name when it is finished. Of live streams it is there at once, every row is in
    it as soon as it is known, earlier runs' rows stay before it, and at 64 MiB it becomes NAME.1 (up to NAME.8).
    A pipe or device gets every row at once.

    Raises:
        OutputError: it cannot be created.
    """

    def __init__(self, path: Path, *, live: bool = False, rotate: int = ROTATE) -> None:
        self._through = written_through(path)
        path = path if self._through else followed(path)
        self._path, self._live, self._rotate = path, live and not self._through, rotate
        own = live or self._through
        self._target = path if own else path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
        self._lock, self._users = threading.Lock(), 0
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            torn = self._live and _torn(path)
            whole = not self._live and not self._through
            self._file: Any = self._target.open("wb" if whole else "ab", buffering=-1 if whole else 0)
            if torn:  # the last run was killed in the middle of a row
                self._file.write(b"\n")

    def join(self) -> None:
        """One more writes to it."""
        with self._lock:
            self._users += 1

    def add(self, row: dict[str, Any]) -> None:
        """Writes a row; one that the disk takes in part only is taken back.

        Raises:
            OutputError: the disk refused.
        """
        data = json.dumps(row, ensure_ascii=False).encode() + b"\n"
        with self._lock, disk_errors(self._path):
            if not self._live:
                self._write(data)
                return
            if self._file.tell() + len(data) > self._rotate:
                self._turn()
            before = self._file.tell()
            try:
                self._write(data)
            except OSError:
                with contextlib.suppress(OSError):
                    self._file.truncate(before)
                raise

    def _write(self, data: bytes) -> None:
        written = 0
        while written < len(data):
            written += self._file.write(data[written:])

    def _turn(self) -> None:
        if self._file.tell() == 0:
            return
        self._file.close()
        for number in range(KEPT - 1, 0, -1):
            with contextlib.suppress(FileNotFoundError):
                _numbered(self._path, number).replace(_numbered(self._path, number + 1))
        self._path.replace(_numbered(self._path, 1))
        self._file = self._path.open("ab", buffering=0)

    def leave(self) -> None:
        """One less writes to it; the last one finishes it.

        Raises:
            OutputError: the disk refused.
        """
        with self._lock:
            self._users -= 1
            if self._users or self._file.closed:
                return
            try:
                with disk_errors(self._path):
                    self._file.flush()
                    if not self._through:  # which cannot be synced
                        os.fsync(self._file.fileno())
                    self._file.close()
                    if self._target != self._path:
                        self._target.replace(self._path)
            finally:
                with contextlib.suppress(OSError):  # what a full disk did not take is said already
                    self._file.close()
                if self._target != self._path:
                    self._target.unlink(missing_ok=True)


class EventsFile:
    """Rows of the contract ("Event rows") of one stream.

    Args:
        log: where they go.
        stream: its name, in every row.
    """

    name = "events"
    depth = 1024

    def __init__(self, log: EventsLog, stream: str) -> None:
        self._log, self._stream = log, stream
        self._last: dict[str, Any] = {"sequence": -1, "source_time": 0.0}
        self._state = ("LIVE", "")
        self._told: tuple[str, str] | None = None
        self._open = True
        log.join()

    def write(self, frame: StreamFrame, result: Result | None) -> None:
        self._last = {"sequence": frame.sequence, "source_time": round(frame.source_time, 6)}
        objects = result.objects if result is not None else []
        if result is not None and objects:
            stages = {"decode": frame.decode_ms, **result.latency_ms}
            self._row(
                "mask",
                frame.wall_time,
                state=result.state,
                reason=self._state[1] if result.state == self._state[0] else "",
                age_ms=round(result.age_ms, 3),
                latency_ms={name: round(value, 3) for name, value in stages.items()},
                objects=[_object(one) for one in objects],
                **({"name": frame.name} if frame.name else {}),
            )

    def status(self, status: Status) -> None:
        self._state = (status.state, status.reason)
        if self._told != self._state:
            self._told = self._state
            self._last["sequence"] = status.sequence
            age = {"age_ms": round(status.age_ms, 3)} if status.sequence >= 0 else {}
            self._row("state", status.wall_time, state=status.state, reason=status.reason, **age)

    def drift(self, report: DriftReport) -> None:
        """A row every time: how far the last minutes are from the training frames."""
        self._row("drift", time.time(), state=self._state[0], **report.row())

    def _row(self, kind: str, wall_time: float, *, state: str, reason: str = "", **more: Any) -> None:
        row: dict[str, Any] = {"type": kind, "stream": self._stream, **self._last}
        row |= {"wall_time": round(wall_time, 6), "state": state, "reason": reason, "objects": [], **more}
        self._log.add(row)

    def close(self) -> None:
        if not self._open:
            return
        self._open = False
        try:
            self._row("end", time.time(), state=self._state[0], reason=self._state[1])
        finally:
            self._log.leave()


def _object(one: Any) -> dict[str, Any]:
    return {"class": one.class_name, "area": one.area, "box": list(one.box)}


def _numbered(path: Path, number: int) -> Path:
    return path.with_name(f"{path.name}.{number}")


def _torn(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            file.seek(0, os.SEEK_END)
            if file.tell() == 0:
                return False
            file.seek(-1, os.SEEK_END)
            return file.read(1) != b"\n"
    except FileNotFoundError:
        return False
