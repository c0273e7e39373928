"""The page in headless Chromium. EDGESEG_SCREENSHOTS=DIR keeps pictures to look at."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from page import CHROMIUM, SHARE, STATE, Page, wait

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium here; run: apt-get install chromium"),
]


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
