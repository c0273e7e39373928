"""Events as JSONL: a row per frame with a mask, and one at the end."""

from __future__ import annotations

import contextlib
import json
import os
import time
from pathlib import Path
from typing import Any

from edgeseg.atomic import disk_errors
from edgeseg.model import Result
from edgeseg.stream.frame import StreamFrame


class EventsFile:
    """Rows of the contract ("Event rows"); the file appears under its name when it is finished.

    Raises:
        OutputError: it cannot be created.
    """

    name = "events"

    def __init__(self, path: Path, stream: str) -> None:
        self._path, self._stream = path, stream
        self._temporary = path.with_name(f".{path.stem}.{os.getpid()}{path.suffix}")
        with disk_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            self._file = self._temporary.open("w", encoding="utf-8")
        self._last: dict[str, Any] = {"sequence": -1, "source_time": 0.0}

    def write(self, frame: StreamFrame, result: Result) -> None:
        objects = result.objects
        self._last = {"sequence": frame.sequence, "source_time": round(frame.source_time, 6)}
        if objects:
            self._row("mask", frame.wall_time, objects=[_object(one) for one in objects], frame=frame, result=result)

    def _row(
        self,
        kind: str,
        wall_time: float,
        *,
        objects: list[dict[str, Any]],
        frame: StreamFrame | None = None,
        result: Result | None = None,
    ) -> None:
        row: dict[str, Any] = {"type": kind, "stream": self._stream, **self._last}
        row |= {"wall_time": round(wall_time, 6), "state": result.state if result else "LIVE", "reason": ""}
        if frame is not None and result is not None:
            row["age_ms"] = round(result.age_ms, 3)
            stages = {"decode": frame.decode_ms, **result.latency_ms}
            row["latency_ms"] = {name: round(value, 3) for name, value in stages.items()}
        row["objects"] = objects
        with disk_errors(self._path):
            self._file.write(json.dumps(row, ensure_ascii=False) + "\n")

    def close(self) -> None:
        try:
            if not self._file.closed:
                self._row("end", time.time(), objects=[])
                with disk_errors(self._path):
                    self._file.flush()
                    os.fsync(self._file.fileno())
                    self._file.close()
                    self._temporary.replace(self._path)
        finally:
            with contextlib.suppress(OSError):  # what a full disk did not take is said already
                self._file.close()
            self._temporary.unlink(missing_ok=True)


def _object(one: Any) -> dict[str, Any]:
    return {"class": one.class_name, "area": one.area, "box": list(one.box)}
