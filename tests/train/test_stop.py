"""A signal while torch takes a pass's processes down, where Python loses what a handler raises."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest
from torch.utils.data import dataloader

from edgeseg.train.stop import Stop

Iterator = dataloader._MultiProcessingDataLoaderIter


@pytest.mark.parametrize("stage", ["__del__", "torch"])
def test_a_lost_signal_is_asked_again(stage: str) -> None:
    class Passing:
        def __del__(self) -> None:
            os.kill(os.getpid(), signal.SIGINT)

    stop, usual = Stop(), signal.getsignal(signal.SIGINT)
    with stop.watching():
        if stage == "__del__":
            Passing()
        else:  # whatever else swallows it
            with pytest.raises(KeyboardInterrupt):
                os.kill(os.getpid(), signal.SIGINT)
        with pytest.raises(KeyboardInterrupt):
            stop.on_train_batch_start(None, None, None, 0)  # type: ignore[arg-type]
        with pytest.raises(KeyboardInterrupt):
            stop.on_validation_batch_start(None, None, None, 0)  # type: ignore[arg-type]
    assert signal.getsignal(signal.SIGINT) is usual
    Stop().ask()


def test_a_handler_that_does_not_raise_is_asked_once() -> None:
    """Such as an embedding program's, that opens its log anew."""
    times: list[int] = []
    usual = signal.signal(signal.SIGHUP, lambda number, frame: times.append(number))
    stop = Stop()
    try:
        with stop.watching():
            os.kill(os.getpid(), signal.SIGHUP)
            stop.ask()
            stop.ask()
    finally:
        signal.signal(signal.SIGHUP, usual)
    assert times == [signal.SIGHUP]


def test_ctrl_c_while_a_pass_is_taken_down(
    tiny_data: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, edgeseg_cli
) -> None:
    down, times = Iterator._shutdown_workers, []

    def shut(self: object) -> None:
        times.append(1)
        if len(times) == 2:
            os.kill(os.getpid(), signal.SIGINT)
        down(self)  # type: ignore[arg-type]

    monkeypatch.setattr(Iterator, "_shutdown_workers", shut)
    out = tmp_path / "out"
    words = ["npnet-phantom", "--imgsz", "64x96", "--quiet", "--data", tiny_data, "--epochs", 9, "--out", out]
    assert edgeseg_cli("train", *words).sentence(130) == "edgeseg: interrupted\n"
    assert not (out / "manifest.json").exists()
    assert (out / "metrics.csv").read_text().count("\n") < 4
