"""A viewer fed with phantom frames: no camera, no engine, the truth as probability."""

from __future__ import annotations

import functools
import json
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import cv2
import numpy as np
import pytest

pytest.importorskip("uvicorn", reason="pip install 'edgeseg[web]'")
pytest.importorskip("websockets", reason="pip install 'edgeseg[web]'")

sys.path.insert(0, str(Path(__file__).parent))
from page import Page

from edgeseg import fit
from edgeseg.data.phantom import PhantomFrame, colonoscopy
from edgeseg.manifest import Manifest
from edgeseg.model import Result
from edgeseg.stream.frame import StreamFrame
from edgeseg.stream.status import Status
from edgeseg.stream.web.server import Viewer
from edgeseg.stream.web.sink import WebSink

CONTRACT = Path(__file__).parents[2] / "data" / "contract_manifest.json"


def stand_in() -> Any:
    """What the viewer and a result ask of a model."""
    manifest = Manifest.model_validate_json(CONTRACT.read_bytes())
    spec = SimpleNamespace(classes=manifest.classes, frame=manifest.frame, output=manifest.output)
    names = [one.name for one in manifest.classes[1:]]
    levels = [one.threshold for one in manifest.classes[1:]]
    return SimpleNamespace(spec=spec, thresholds=levels, class_names=names, engine="int8-cpu (int8) on openvino")


@dataclass
class Feed:
    """Frames of a synthetic colonoscopy with their masks, into one sink."""

    sink: WebSink
    name: str
    model: Any
    clip: list[PhantomFrame]
    sequence: int = -1

    def frame(self, *, mask: bool = True, delay_ms: float = 8.0, lag: float = 0.0) -> None:
        """Writes the next frame; ``delay_ms`` is what segmenting it took, ``lag`` seconds the network."""
        self.sequence += 1
        one = self.clip[self.sequence % len(self.clip)]
        received = time.monotonic() - delay_ms / 1e3
        frame = StreamFrame(
            one.image, self.sequence, self.sequence / 25, received, time.time() - delay_ms / 1e3, 4.0, lag=lag
        )
        result = None
        if mask:
            spec = self.model.spec.frame
            placement = fit.place(*one.image.shape[:2], spec, fit.content_box(one.image, spec.fit.content_level))
            truth = fit.fit(cv2.cvtColor(one.mask, cv2.COLOR_GRAY2BGR), placement)[:, :, 0]
            probability = cv2.GaussianBlur(truth, (0, 0), 4)[None]
            result = Result(probability, placement, {"fit": 0.6, "infer": 4.4}, self.model, self.sequence)
            result.received = received
        self.sink.write(frame, result)

    def say(self, state: str = "LIVE", reason: str = "", age_ms: float = 10.0, **more: Any) -> None:
        """A status, as the pipeline would."""
        figures = {"fps": 25.0, "dropped": 3, "latency_ms": {"decode": 4.0, "infer": 4.4, "glass_to_mask": 61.0}}
        self.sink.status(Status(self.name, state, reason, self.sequence, age_ms, time.time(), **(figures | more)))

    def play(self, seconds: float, rate: float = 25.0) -> None:
        """Frames at a camera's pace."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            self.frame(delay_ms=7 + 5 * (self.sequence * 7919 % 13) / 13)
            if self.sequence % 12 == 0:
                self.say()
            time.sleep(1 / rate)


@dataclass
class Show:
    """A running viewer and the feeds of its streams."""

    viewer: Viewer
    feeds: list[Feed]

    @property
    def port(self) -> int:
        return self.viewer.address.port


@functools.cache
def scene(seed: int, size: tuple[int, int], frames: int = 6) -> list[PhantomFrame]:
    """A few frames with a polyp in the middle of their clip, back and forth without a jump."""
    small = colonoscopy(60, 80, 60, seed)
    areas = [int((one.mask > 0).sum()) for one in small]
    start = min(max(range(60), key=areas.__getitem__), 60 - frames)
    clip = colonoscopy(60, *size, seed)
    there = [clip[index] for index in range(start, start + frames)]
    return there + there[-2:0:-1]


@pytest.fixture
def show() -> Iterator[Callable[..., Show]]:
    """Starts a viewer with so many streams on a free port."""
    viewers: list[Viewer] = []

    def start(streams: int = 1, *, place: str = "127.0.0.1:0", size: tuple[int, int] = (320, 240)) -> Show:
        viewer = Viewer(place)
        viewers.append(viewer)
        feeds = []
        for number in range(streams):
            model, name = stand_in(), f"theatre-{number + 1}"
            feeds.append(Feed(viewer.add(name, model), name, model, list(scene(5 + 3 * number, size))))
        return Show(viewer, feeds)

    yield start
    for viewer in viewers:
        viewer.close()


def get(port: int, path: str, headers: dict[str, str] | None = None) -> tuple[int, dict[str, str], bytes]:
    """One GET: status, headers in lower case, body."""
    import http.client

    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", path, headers={"Connection": "close", **(headers or {})})
        answer = connection.getresponse()
        return answer.status, {name.lower(): value for name, value in answer.getheaders()}, answer.read()
    finally:
        connection.close()


@pytest.fixture(name="get")
def get_fixture() -> Callable[..., tuple[int, dict[str, str], bytes]]:
    return get


def unpack(data: bytes) -> tuple[dict[str, Any], dict[str, Any] | None, np.ndarray | None, np.ndarray | None]:
    """A message: header, then what the picture says of itself, frame and maps if there is one."""
    length = int.from_bytes(data[:4], "little")
    header, rest = json.loads(data[4 : 4 + length]), data[4 + length :]
    if not rest:
        return header, None, None, None
    length = int.from_bytes(rest[:4], "little")
    about, body = json.loads(rest[4 : 4 + length]), rest[4 + length :]
    picture = cv2.imdecode(np.frombuffer(body[: about["jpeg"]], np.uint8), cv2.IMREAD_COLOR)
    maps = body[about["jpeg"] :]
    return header, about, picture, cv2.imdecode(np.frombuffer(maps, np.uint8), cv2.IMREAD_GRAYSCALE) if maps else None


@pytest.fixture(name="unpack")
def unpack_fixture() -> Callable[[bytes], Any]:
    return unpack


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
