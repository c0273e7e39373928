"""The newest frame of a camera, in memory that two processes share.

The memory is anonymous (memfd): the kernel frees it with the last process that holds it, so that nothing is
left behind by a crash and no stale segment of an earlier run can be met. Three buffers take turns. The writer
marks a buffer before it touches it; a reader copies and then looks at the mark again: torn frames are noticed.
The message that announces a frame goes through a pipe, whose lock also orders the memory on ARM.
"""

from __future__ import annotations

import mmap
import os
import struct

import numpy as np
from numpy.typing import NDArray

BUFFERS = 3
LARGEST = 8192 * 4320 * 3
_HEADER = mmap.PAGESIZE
_EACH = -(-LARGEST // mmap.PAGESIZE) * mmap.PAGESIZE
SIZE = _HEADER + BUFFERS * _EACH
_MARK = struct.Struct("<q")
_DEADLINE = struct.Struct("<d")
_DEADLINE_AT, _TAKEN_AT = 1024, 1032


class Slot:
    """A frame buffer made with :meth:`create` and opened again from its file descriptor in the other process.

    The file is sparse: only pages that a frame was written to take memory.
    """

    def __init__(self, handle: int) -> None:
        self.handle = handle
        self._map = mmap.mmap(handle, SIZE)
        self._reserved = 0

    @classmethod
    def create(cls) -> Slot:
        """Raises: OSError where the kernel has no memory for it."""
        handle = os.memfd_create("edgeseg-slot", os.MFD_CLOEXEC)
        try:
            os.ftruncate(handle, SIZE)
            return cls(handle)
        except BaseException:
            os.close(handle)
            raise

    def set_deadline(self, moment: float) -> None:
        """The writer says until when (monotonic seconds) it will have done something; after that it hangs."""
        # Eight aligned bytes at once; pack_into sets them to 0 first, a deadline long gone for who reads it then.
        self._map[_DEADLINE_AT : _DEADLINE_AT + 8] = _DEADLINE.pack(moment)

    def deadline(self) -> float:
        return float(_DEADLINE.unpack(self._map[_DEADLINE_AT : _DEADLINE_AT + 8])[0])

    def set_taken(self, number: int) -> None:
        """The reader says which frame it copied last; a writer whose frames are all kept waits for that."""
        _MARK.pack_into(self._map, _TAKEN_AT, number)

    def taken(self) -> int:
        return int(_MARK.unpack_from(self._map, _TAKEN_AT)[0])

    def write(self, number: int, image: NDArray[np.uint8]) -> int:
        """Puts frame ``number`` (from 1, ascending) in; the buffer's index.

        Args:
            number: never given twice.
            image: uint8 [H, W, 3].

        Raises:
            ValueError: larger than 8192x4320.
            OSError: shared memory is full.
        """
        if image.nbytes > LARGEST:
            raise ValueError(f"a frame of {image.shape[1]}x{image.shape[0]} is larger than 8192x4320")
        if image.nbytes > self._reserved:  # asked for now: a page that cannot be had later would kill the process
            for index in range(BUFFERS):
                os.posix_fallocate(self.handle, _HEADER + index * _EACH, image.nbytes)
            self._reserved = image.nbytes
        index = number % BUFFERS
        _MARK.pack_into(self._map, index * _MARK.size, 0)
        start = _HEADER + index * _EACH
        target = np.frombuffer(self._map, np.uint8, image.nbytes, start).reshape(image.shape)
        np.copyto(target, image)
        _MARK.pack_into(self._map, index * _MARK.size, number)
        return index

    def read(self, number: int, height: int, width: int) -> NDArray[np.uint8] | None:
        """A copy of frame ``number``, uint8 [height, width, 3]; None if a newer one took its place meanwhile."""
        index = number % BUFFERS
        if self._mark(index) != number:
            return None
        count = height * width * 3
        image = np.frombuffer(self._map, np.uint8, count, _HEADER + index * _EACH).reshape(height, width, 3).copy()
        return image if self._mark(index) == number else None

    def _mark(self, index: int) -> int:
        return int(_MARK.unpack_from(self._map, index * _MARK.size)[0])

    def close(self) -> None:
        """Gives the memory back once no picture of it is in use."""
        if self.handle >= 0:
            os.close(self.handle)
            self.handle = -1
        self._map.close()
