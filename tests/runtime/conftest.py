"""libedgeseg through ctypes, for comparisons of Python and C.

The library is the one that `make runtime` builds, or what EDGESEG_LIBRARY names; without one these tests are skipped.
"""

from __future__ import annotations

import ctypes as ct
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

ROOT = Path(__file__).parents[2]
BUILT = ROOT / "build" / "tests" / "runtime" / "libedgeseg.so"
Image = NDArray[np.uint8]
U32, U64, I32, I64, F32 = ct.c_uint32, ct.c_uint64, ct.c_int32, ct.c_int64, ct.c_float
BYTES = ct.POINTER(ct.c_uint8)


class _Options(ct.Structure):
    _fields_ = [
        *((name, U32) for name in ("struct_size", "backend", "precision", "threads", "device", "allow_pending")),
        ("expected_manifest_sha256", ct.c_char_p),
    ]


class _Info(ct.Structure):
    _names = (
        "struct_size",
        "classes",
        "channels",
        "height",
        "width",
        "backend",
        "precision",
        "gate_passed",
        "golden_count",
    )
    _fields_ = [
        *((name, U32) for name in _names),
        *((name, ct.c_char * 65) for name in ("name", "engine", "manifest_sha256")),
    ]


class _Rect(ct.Structure):
    _fields_ = [(name, I32) for name in ("x", "y", "width", "height")]


class _Frame(ct.Structure):
    _fields_ = [
        *((name, U32) for name in ("struct_size", "format", "color", "width", "height")),
        ("stride", U32 * 2),
        ("plane", BYTES * 2),
        ("roi", _Rect),
        ("sequence", U64),
        ("captured_ns", I64),
    ]


class _Object(ct.Structure):
    _fields_ = [("class_index", U32), ("box", _Rect), ("area", U64)]


class _Result(ct.Structure):
    _fields_ = [
        *((name, U32) for name in ("struct_size", "mask_at", "mask_stride", "object_capacity", "area_capacity")),
        ("probability", BYTES),
        ("probability_size", ct.c_size_t),
        ("mask", BYTES),
        ("mask_size", ct.c_size_t),
        ("objects", ct.POINTER(_Object)),
        ("class_area", ct.POINTER(U64)),
        ("object_count", U32),
        ("signal", I32),
        ("region", _Rect),
        ("sequence", U64),
        ("captured_ns", I64),
        *((name, F32) for name in ("fit_ms", "infer_ms", "post_ms")),
        ("reason", ct.c_char * 160),
    ]


@dataclass(frozen=True)
class Output:
    """What edgeseg_run wrote; ``objects`` are (class index, area, (left, top, width, height))."""

    probability: Image
    mask: Image
    objects: list[tuple[int, int, tuple[int, int, int, int]]]
    areas: list[int]
    region: tuple[int, int, int, int]
    signal: int
    reason: str


class CError(Exception):
    """A status other than OK, with the library's sentence."""

    def __init__(self, status: int, text: str) -> None:
        super().__init__(f"{status}: {text}")
        self.status = status


BGR, RGB, GREY, NV12 = range(4)
NETWORK, FRAME = range(2)


class Session:
    """One opened bundle."""

    def __init__(self, library: ct.CDLL, path: Path, **options: Any) -> None:
        self._library, self._handle = library, ct.c_void_p()
        wanted = _Options(ct.sizeof(_Options), **options)
        error = ct.create_string_buffer(600)
        status = library.edgeseg_open(1, str(path).encode(), ct.byref(wanted), ct.byref(self._handle), error, 600)
        if status:
            raise CError(status, error.value.decode())
        self.info = _Info(ct.sizeof(_Info))
        assert library.edgeseg_get_info(self._handle, ct.byref(self.info)) == 0

    def frame(self, image: Image, format: int = BGR, color: int = 0, **fields: Any) -> _Frame:  # noqa: A002
        """A descriptor of an image: [H, W, 3], [H, W], or for NV12 [H * 3 / 2, W]."""
        assert image.flags.c_contiguous
        height = image.shape[0] * 2 // 3 if format == NV12 else image.shape[0]
        width = image.shape[1]
        frame = _Frame(ct.sizeof(_Frame), format, color, width, height, **fields)
        frame.plane[0] = image.ctypes.data_as(BYTES)
        if format == NV12:
            frame.plane[1] = image[height:].ctypes.data_as(BYTES)
        return frame

    def content(self, image: Image) -> tuple[int, int, int, int]:
        rect = _Rect()
        status = self._library.edgeseg_find_content(self._handle, ct.byref(self.frame(image)), ct.byref(rect))
        assert status == 0
        return rect.x, rect.y, rect.width, rect.height

    def run(
        self,
        image: Image,
        *,
        mask_at: int = FRAME,
        format: int = BGR,  # noqa: A002
        color: int = 0,
        roi: tuple[int, int, int, int] | None = None,
        sequence: int = 0,
        captured_ns: int = 0,
    ) -> Output:
        info = self.info
        frame = self.frame(image, format, color, sequence=sequence, captured_ns=captured_ns)
        if roi is not None:
            frame.roi = _Rect(*roi)
        size = (frame.height, frame.width) if mask_at == FRAME else (info.height, info.width)
        probability = np.zeros((info.channels, info.height, info.width), np.uint8)
        mask = np.full(size, 99, np.uint8)
        objects = (_Object * 10000)()
        areas = (U64 * info.classes)()
        result = _Result(ct.sizeof(_Result), mask_at, 0, len(objects), len(areas))
        result.probability, result.probability_size = probability.ctypes.data_as(BYTES), probability.size
        result.mask, result.mask_size = mask.ctypes.data_as(BYTES), mask.size
        result.objects, result.class_area = objects, areas
        status = self._library.edgeseg_run(self._handle, ct.byref(frame), ct.byref(result))
        if status:
            raise CError(status, result.reason.decode())
        found = [
            (o.class_index, o.area, (o.box.x, o.box.y, o.box.width, o.box.height))
            for o in objects[: result.object_count]
        ]
        region = (result.region.x, result.region.y, result.region.width, result.region.height)
        return Output(probability, mask, found, list(areas), region, result.signal, result.reason.decode())

    def selftest(self) -> tuple[int, int]:
        """Frames passed and worst difference in grey levels."""
        passed, worst, error = U32(), U32(), ct.create_string_buffer(600)
        status = self._library.edgeseg_selftest(self._handle, ct.byref(passed), ct.byref(worst), error, 600)
        if status:
            raise CError(status, error.value.decode())
        return passed.value, worst.value

    def set_threshold(self, index: int, threshold: int) -> int:
        return int(self._library.edgeseg_set_threshold(self._handle, index, threshold))

    def close(self) -> None:
        self._library.edgeseg_close(self._handle)
        self._handle = ct.c_void_p()


class Library:
    """Opens sessions and closes them all."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.c = ct.CDLL(str(path))
        self.c.edgeseg_version.restype = ct.c_char_p
        self._open: list[Session] = []

    def open(self, path: Path, **options: Any) -> Session:
        session = Session(self.c, path, **options)
        self._open.append(session)
        return session

    def close(self) -> None:
        for session in self._open:
            session.close()
        self._open.clear()


@pytest.fixture(scope="session")
def library_path() -> Path:
    path = Path(os.environ.get("EDGESEG_LIBRARY", BUILT))
    if not path.is_file():
        pytest.skip(f"{path} is not built; run: make runtime")
    return path


@pytest.fixture
def library(library_path: Path) -> Iterator[Library]:
    opened = Library(library_path)
    yield opened
    opened.close()


@pytest.fixture(scope="session")
def bundles(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundles of the C tests, see runtime/tests/make_bundles.py."""
    out = tmp_path_factory.mktemp("bundles")
    subprocess.run([sys.executable, ROOT / "runtime" / "tests" / "make_bundles.py", out], check=True)
    return out
