"""Ctrl-C, SIGTERM and SIGHUP during a training: what their handlers raise may be lost."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from functools import partial
from types import FrameType
from typing import TYPE_CHECKING, Any

from lightning.pytorch.callbacks import Callback

from edgeseg.stream import signals

if TYPE_CHECKING:
    import lightning

Handler = Callable[[int, FrameType | None], Any]


class Stop(Callback):
    """Ends a training at the next batch after a signal whose handler could not.

    torch takes a pass's processes down in ``__del__``, and Python only prints what a handler raises there. So there it
    is put off, and elsewhere asked again, should the exception have been lost all the same.
    """

    def __init__(self) -> None:
        self._again: Callable[[], Any] | None = None

    @contextlib.contextmanager
    def watching(self) -> Iterator[None]:
        """Notes the signals that have a handler."""
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        old = {number: handler for number in signals.ENDS if callable(handler := signal.getsignal(number))}
        own = {number: partial(self._note, handler) for number, handler in old.items()}
        for number, handler in own.items():
            signal.signal(number, handler)
        try:
            yield
        finally:
            for number, handler in own.items():
                if signal.getsignal(number) is handler:  # the old one may have put others there
                    signal.signal(number, old[number])

    def _note(self, handler: Handler, number: int, frame: FrameType | None) -> None:
        self._again = partial(handler, number, frame)
        while frame is not None:
            if frame.f_code.co_name == "__del__":
                return
            frame = frame.f_back
        self.ask()

    def ask(self) -> None:
        """Calls the handler of a signal that came; it mostly raises."""
        if self._again is not None:
            self._again()
            self._again = None  # it does not raise: an embedding program's own, which is done

    def on_train_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        self.ask()

    def on_validation_batch_start(
        self, trainer: lightning.Trainer, pl_module: lightning.LightningModule, batch: Any, batch_idx: int,
        dataloader_idx: int = 0,
    ) -> None:  # fmt: skip
        self.ask()
