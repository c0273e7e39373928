"""The page in headless Chromium, over its own debugging protocol. EDGESEG_SCREENSHOTS=DIR keeps pictures to look at."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; run: apt-get install chromium"),
]
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--remote-debugging-port=0",
]
STATE = "document.querySelector('.tile')?.dataset.state"
SHARE = "document.querySelector('.legend b').textContent"


class Page:
    """One tab; :meth:`js` evaluates, :meth:`shot` takes a picture."""

    def __init__(self, folder: Path) -> None:
        from websockets.sync.client import connect

        words = [str(CHROMIUM), *FLAGS, f"--user-data-dir={folder}", "--window-size=1920,1080", "about:blank"]
        self._process = subprocess.Popen(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        self._open = ExitStack()
        try:
            self._attach(connect, folder / "DevToolsActivePort")
        except BaseException:
            self._end()
            raise

    def _attach(self, connect: Callable[..., Any], said: Path) -> None:
        wait(lambda: said.exists() and "/" in said.read_text(), 60)
        port = said.read_text().split()[0]
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list") as answer:
            tabs = json.load(answer)
        where = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
        self._socket, self._number = self._open.enter_context(connect(where, max_size=None)), 0
        self.complaints: list[str] = []
        for domain in ("Runtime", "Log", "Page"):
            self.call(f"{domain}.enable")
        self.size(1920, 1080)

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            answer = json.loads(self._socket.recv(timeout=20))
            if answer.get("method") in ("Runtime.exceptionThrown", "Log.entryAdded"):
                self.complaints.append(json.dumps(answer["params"]))
            if answer.get("id") == self._number:
                return answer["result"]

    def open(self, port: int, path: str = "/") -> None:
        self.call("Page.navigate", url=f"http://127.0.0.1:{port}{path}")

    def size(self, width: int, height: int) -> None:
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)

    def js(self, text: str) -> Any:
        return self.call("Runtime.evaluate", expression=text, awaitPromise=True)["result"].get("value")

    def key(self, key: str, code: str = "") -> None:
        numbers = {"ArrowRight": 39, "ArrowLeft": 37, "Escape": 27}
        more = {"text": key} if len(key) == 1 else {"windowsVirtualKeyCode": numbers[key]}
        self.call("Input.dispatchKeyEvent", type="keyDown", key=key, code=code or key, **more)
        self.call("Input.dispatchKeyEvent", type="keyUp", key=key, code=code or key)

    def shot(self, name: str) -> np.ndarray:
        """BGR of the window."""
        data = base64.b64decode(self.call("Page.captureScreenshot", format="png")["data"])
        if folder := os.environ.get("EDGESEG_SCREENSHOTS"):
            (Path(folder) / f"{name}.png").write_bytes(data)
        return cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)

    def close(self) -> None:
        self._open.close()
        self._end()

    def _end(self) -> None:
        self._process.terminate()
        self._process.wait(10)


@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Page]:
    page = Page(tmp_path_factory.mktemp("chromium"))
    yield page
    page.close()


@pytest.fixture
def page(browser: Page) -> Iterator[Page]:
    browser.complaints.clear()
    yield browser
    browser.call("Page.navigate", url="about:blank")
    # A stopped server is part of some tests; Canvas2D is this file reading the mask back.
    known = ("WebSocket", "ERR_CONNECTION_REFUSED", "Canvas2D")
    assert [text for text in browser.complaints if not any(word in text for word in known)] == []


def wait(check: Callable[[], Any], seconds: float = 10) -> Any:
    """Until ``check`` is true."""
    end = time.monotonic() + seconds
    while not (value := check()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return value


@contextmanager
def playing(*feeds: Any, rate: float = 12) -> Iterator[None]:
    """Frames into the feeds until the block ends."""
    stop = threading.Event()

    def run(feed: Any) -> None:
        while not stop.is_set():
            feed.play(0.3, rate)

    threads = [threading.Thread(target=run, args=(feed,)) for feed in feeds]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        stop.set()
        for thread in threads:
            thread.join()


def test_live_stale_lost_and_back(page: Page, show) -> None:
    running = show(size=(960, 720))
    feed = running.feeds[0]
    with playing(feed):
        page.open(running.port)
        wait(lambda: page.js(STATE) == "LIVE")
        wait(lambda: "%" in page.js(SHARE))
        time.sleep(5)
        page.shot("live")
    wait(lambda: page.js(STATE) == "STALE", 3)
    page.shot("stale")
    wait(lambda: page.js(STATE) == "LOST", 5)
    feed.say("LOST", "connection refused; trying again", 4000)
    wait(lambda: "refused" in page.js("document.querySelector('.reason').textContent"))
    page.shot("lost")
    assert page.js("getComputedStyle(document.querySelector('.mask')).display") == "none"
    assert page.js(SHARE) == "–"
    with playing(feed):
        wait(lambda: page.js(STATE) == "LIVE")


def test_a_dead_viewer_is_stale_by_itself(page: Page, show) -> None:
    """The server stops between two messages: nobody is left to say so but the page."""
    running = show()
    with playing(running.feeds[0]):
        page.open(running.port)
        wait(lambda: page.js(STATE) == "LIVE")
        running.viewer.close()
        wait(lambda: page.js(STATE) in ("STALE", "LOST"), 3)
        assert "connection" in page.js("document.querySelector('.reason').textContent")


def mask_pixels(page: Page) -> int:
    """Painted pixels of the mask's layer."""
    return page.js(
        "(() => { const c = document.querySelector('.mask'); const d = c.getContext('2d')"
        ".getImageData(0, 0, c.width, c.height).data; let n = 0;"
        " for (let i = 3; i < d.length; i += 4) n += d[i] > 0; return n; })()"
    )


def test_sliders_and_keys(page: Page, show) -> None:
    running = show(size=(640, 480))
    running.feeds[0].frame()
    running.feeds[0].say()
    with playing(running.feeds[0]):
        page.open(running.port)
        wait(lambda: page.js(STATE) == "LIVE" and "%" in page.js(SHARE))
        page.key("t")
        for _ in range(3):
            page.key("ArrowRight")
        assert page.js("document.querySelector('#threshold').value") == "131"
        assert page.js("document.querySelector('#threshold-value').className") == "changed"
        page.js("(t => { t.value = 250; t.dispatchEvent(new Event('input')); })(document.querySelector('#threshold'))")
        high = wait(lambda: mask_pixels(page))
        page.key("r")
        assert page.js("document.querySelector('#threshold-value').textContent") == "0.50"
        assert mask_pixels(page) > high
        page.key("m")
        assert page.js("document.querySelector('#opacity-value').textContent") == "off"
        assert mask_pixels(page) == 0
        page.key("m")
        page.key("?")
        time.sleep(0.3)
        page.shot("help")
        assert page.js("document.querySelector('#help').open") is True
        page.key("Escape")
        page.js("HTMLAnchorElement.prototype.click = function () { window.saved = [this.download, this.href]; }")
        page.key("s")
        wait(lambda: page.js("window.saved && window.saved[0].startsWith('edgeseg-1-')"))


def test_the_browsers_mask_is_edgesegs(page: Page, show) -> None:
    """Area in the legend against the mask that would be recorded."""
    running = show(size=(640, 480))
    feed = running.feeds[0]
    results: list[Any] = []
    write = feed.sink.write
    feed.sink.write = lambda frame, result: (results.append(result), write(frame, result))
    feed.frame()
    page.open(running.port)
    shown = float(wait(lambda: page.js(SHARE + " !== '–' && " + SHARE)).removesuffix(" %")) / 100
    truth = (results[0].mask > 0).mean()
    assert truth > 0.01
    assert shown == pytest.approx(truth, rel=0.03, abs=0.001)


def test_grid_of_four(page: Page, show) -> None:
    running = show(4, size=(640, 480))
    with playing(*running.feeds[:3], rate=8):
        page.open(running.port)
        wait(lambda: page.js("document.querySelectorAll('.tile[data-state=LIVE]').length") == 3)
        running.feeds[1].say("FROZEN", "the picture has not changed for 1.4 s")
        running.feeds[3].frame(mask=False)
        time.sleep(3.2)
        running.feeds[1].say("FROZEN", "the picture has not changed for 4.6 s")
        running.feeds[1].play = lambda *_: time.sleep(0.2)
        running.feeds[1].frame()
        time.sleep(0.3)
        page.shot("grid")
        page.key("3")
        wait(lambda: page.js("[...document.querySelectorAll('.tile')].filter(t => t.offsetParent).length") == 1)
        page.key("0")
        wait(lambda: page.js("[...document.querySelectorAll('.tile')].filter(t => t.offsetParent).length") == 4)
