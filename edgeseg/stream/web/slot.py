"""What waits for one viewer: the newest picture, and nothing behind it."""

from __future__ import annotations

import asyncio


class Slot:
    """Filled and emptied in the viewer's event loop. A picture that was not fetched is replaced, and counted."""

    def __init__(self) -> None:
        self._filled = asyncio.Event()
        self._picture: bytes | None = None
        self.skipped = 0
        self.closed = False

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

    async def get(self) -> bytes | None:
        """Waits; the newest picture, or None where only the state changed or the slot is closed."""
        await self._filled.wait()
        self._filled.clear()
        picture, self._picture = self._picture, None
        return picture
