"""What waits for one viewer: the newest picture, and nothing behind it."""

from __future__ import annotations

import asyncio
import contextlib


class Slot:
    """Filled and emptied in the viewer's event loop. A picture that was not fetched is replaced, and counted."""

    def __init__(self) -> None:
        self._filled = asyncio.Event()
        self._picture: bytes | None = None
        self.skipped = 0
        self.closed = False
        self._patience: asyncio.Timeout | None = None

    def patience(self, seconds: float) -> asyncio.Timeout:
        """What a viewer may take for one picture; over at once where the slot is closed meanwhile."""
        self._patience = asyncio.timeout(0 if self.closed else seconds)
        return self._patience

    def put(self, picture: bytes | None = None) -> None:
        """Wakes the viewer; without a picture it learns of the state alone."""
        if picture is not None:
            self.skipped += self._picture is not None
            self._picture = picture
        self._filled.set()

    def close(self) -> None:
        """Tells the viewer to go."""
        self.closed = True
        self._filled.set()
        if self._patience is not None:
            with contextlib.suppress(RuntimeError):  # it is not waiting just now
                self._patience.reschedule(asyncio.get_running_loop().time())

    async def get(self) -> bytes | None:
        """Waits; the newest picture, or None where only the state changed or the slot is closed."""
        await self._filled.wait()
        self._filled.clear()
        picture, self._picture = self._picture, None
        return picture
