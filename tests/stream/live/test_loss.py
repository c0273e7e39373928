"""Packets that are lost by the kernel itself: over TCP frames come late, over UDP they come damaged."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager

import lab
import pytest

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        os.geteuid() != 0 or shutil.which("nft") is None, reason="needs root and nft: apt-get install nftables"
    ),
]


@contextmanager
def losing(what: str, percent: int) -> Iterator[None]:
    """Drops packets that match, by chance; ``what`` as nft says it: "tcp sport 8554"."""
    table = f"edgeseg_test_{os.getpid()}"
    rule = f"add rule inet {table} in {what} numgen random mod 100 < {percent} drop"
    text = f"add table inet {table}; add chain inet {table} in {{ type filter hook input priority 0; }}; {rule}"
    subprocess.run(["nft", text], check=True)
    try:
        yield
    finally:
        subprocess.run(["nft", f"delete table inet {table}"], check=True)


@pytest.mark.parametrize("percent", [5, 20])
def test_loss_over_tcp_makes_late_and_never_a_lie(camera, watch, percent: int) -> None:
    cam = camera()
    watcher = watch(cam.url)
    watcher.wait_state("LIVE")
    shown, lies = 0, []
    with losing(f"tcp sport {cam.port}", percent):
        end = time.monotonic() + 15
        while time.monotonic() < end:
            watcher.step()
            moment, frame, state = watcher.frames[-1]
            age = lab.age_ms(frame.image)
            if state == "LIVE" and age is not None and time.monotonic() - moment < 0.02:
                shown += 1
                if age > 700:
                    lies.append(age)
    assert shown > 10
    assert not lies
    watcher.fresh()


def test_loss_over_udp_is_damage(watch) -> None:
    with lab.sending(lambda index: lab.moving(index, 640, 480), g="25", b="3000000") as address:
        watcher = watch(address)
        watcher.wait_state("LIVE", 30)
        with losing(f"udp dport {address.rpartition(':')[2]}", 5):
            watcher.until(lambda: any(frame.damaged for _, frame, _ in watcher.frames), 30)
            assert watcher.capture.counts.damaged > 0
        watcher.until(lambda: not watcher.frames[-1][1].damaged and watcher.state == "LIVE", 30)
        assert watcher.capture.counts.restarts == 0
