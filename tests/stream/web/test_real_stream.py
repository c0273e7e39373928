"""The whole way: a camera that fails on command, `edgeseg infer --web`, and what the page then says."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from page import CHROMIUM, STATE, Page, wait

sys.path.insert(0, str(Path(__file__).parents[1] / "live"))
import lab

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; run: apt-get install chromium"),
    pytest.mark.skipif(lab.missing(), reason=f"run: apt-get install -y {' '.join(lab.PACKAGES)}"),
]
REASON = "document.querySelector('.reason').textContent"
MASK = "getComputedStyle(document.querySelector('.mask')).display"


@pytest.fixture
def shown(page: Page, tmp_path: Path) -> Iterator[tuple[lab.Camera, lab.Network]]:
    """A camera behind a network, and the page open on it."""
    with ExitStack() as stack:
        camera = lab.Camera("--size", "640x480")
        stack.callback(camera.kill)
        network = lab.Network(camera.port)
        stack.callback(network.close)
        words = ["--stream", network.url, "--model", "npnet-polyp", "--web", "127.0.0.1:0"]
        said = stack.enter_context((tmp_path / "said").open("w"))
        process = stack.enter_context(
            subprocess.Popen([sys.executable, "-m", "edgeseg.cli", "infer", *words], stdout=said, stderr=said)
        )
        stack.callback(process.terminate)
        address = wait(lambda: [w for w in (tmp_path / "said").read_text().split() if w.startswith("http://")], 60)[0]
        page.open(int(address.strip("/,;.").rpartition(":")[2].split("/")[0]))
        yield camera, network


def test_every_state_reaches_the_page(page: Page, shown: tuple[lab.Camera, lab.Network]) -> None:
    camera, network = shown

    def until(state: str, seconds: float, picture: str) -> None:
        # While it is live there is a mask and no reason, else the other way round.
        shown = [state, *(("block", False) if state == "LIVE" else ("none", True))]
        said = f"document.querySelector('.tile') ? JSON.stringify([{STATE}, {MASK}, {REASON} !== '']) : 'null'"
        wait(lambda: json.loads(page.js(said)) == shown, seconds)
        if state != "INVALID":  # which lasts until the next whole picture
            time.sleep(0.4)
        page.shot(picture)

    until("LIVE", 60, "stream-live")
    for fault, over, state in (
        ("gap on", "gap off", "STALE"),
        ("freeze on", "freeze off", "FROZEN"),
        ("pic black", "pic ball", "NO_SIGNAL"),
        ("corrupt 0.5", "corrupt 0", "INVALID"),
    ):
        camera.do(fault)
        until(state, 15, f"stream-{state.lower()}")
        camera.do(over)
        until("LIVE", 10, f"stream-back-{state.lower()}")
    network.mode = "hole"
    until("LOST", 10, "stream-lost")
    network.mode = "on"
    until("LIVE", 10, "stream-back")
