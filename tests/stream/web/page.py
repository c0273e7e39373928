"""Headless Chromium over its own debugging protocol. EDGESEG_SCREENSHOTS=DIR keeps pictures to look at."""

from __future__ import annotations

import base64
import json
import os
import shutil
import subprocess
import time
import urllib.request
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import cv2
import numpy as np

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
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
# What a tile says of its stream.
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


def wait(check: Callable[[], Any], seconds: float = 10) -> Any:
    """Until ``check`` is true."""
    end = time.monotonic() + seconds
    while not (value := check()):
        assert time.monotonic() < end, "waited in vain"
        time.sleep(0.05)
    return value
