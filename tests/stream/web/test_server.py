"""The viewer's server over real sockets: API, who may come in, caps, back-pressure, stop."""

from __future__ import annotations

import contextlib
import json
import re
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
import pytest
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from edgeseg.errors import OutputError, UsageError
from edgeseg.stream.status import STATES
from edgeseg.stream.web import channel as channels
from edgeseg.stream.web import connection as connections
from edgeseg.stream.web.address import Address
from edgeseg.stream.web.server import Viewer

TOKEN = "0123456789abcdef-secret"


def socket_of(port: int, number: int = 0, **more: object) -> connect:
    return connect(f"ws://127.0.0.1:{port}/ws/{number}", max_size=None, **more)


def picture(stream: object, unpack) -> tuple:
    """The next message that brings a picture; each is answered."""
    for _ in range(50):
        said = unpack(stream.recv(timeout=5))
        stream.send(b"")
        if said[1] is not None:
            return said
    raise AssertionError("no picture came")


def test_api(show, get) -> None:
    running = show(2)
    assert get(running.port, "/live")[0] == 200
    assert get(running.port, "/ready")[0] == 503  # no frame yet
    assert get(running.port, "/api/streams/0/snapshot.jpg")[0] == 503
    for feed in running.feeds:
        feed.frame()
        feed.say()
    assert get(running.port, "/ready")[0] == 200
    both = json.loads(get(running.port, "/api/streams")[2])
    assert [one["stream"] for one in both] == ["theatre-1", "theatre-2"]
    one = json.loads(get(running.port, "/api/streams/1")[2])
    assert (one["state"], one["reason"], one["sequence"], one["number"]) == ("LIVE", "", 0, 1)
    assert one["classes"] == [{"name": "polyp", "color": "#00e5a0", "threshold": 128}]
    assert 0 < one["age_ms"] < 5000
    assert one["stages"]["glass_to_mask"] == 61.0
    for number in ("2", "9" * 5000, "x", "-1", "00", "%D9%A1"):
        assert get(running.port, f"/api/streams/{number}")[0] == 404, number
    assert get(running.port, "/static/../server.py")[0] == 404
    code, headers, body = get(running.port, "/api/streams/0/snapshot.jpg")
    assert (code, headers["content-type"]) == (200, "image/jpeg")
    assert cv2.imdecode(np.frombuffer(body, np.uint8), cv2.IMREAD_COLOR).shape == (240, 320, 3)


def test_ready_ends_when_frames_do(show, get) -> None:
    running = show()
    running.feeds[0].frame()
    assert get(running.port, "/ready")[0] == 200
    time.sleep(0.55)
    assert get(running.port, "/ready")[0] == 503
    assert get(running.port, "/live")[0] == 200


def test_page_loads_nothing_from_elsewhere(show, get) -> None:
    port = show().port
    code, headers, body = get(port, "/")
    assert code == 200
    found = re.findall(rb'(?:src|href)="([^"]+)"', body)
    assert len(found) >= 3
    for path in found:
        assert path.startswith(b"/static/"), path
        assert get(port, path.decode())[0] == 200
    for name in ("tile.js", "mask.js", "viewer.js", "viewer.css"):
        assert not re.search(rb"https?://", get(port, f"/static/{name}")[2])
    assert headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["cache-control"] == "no-store"
    assert "access-control-allow-origin" not in headers
    assert "server" not in headers


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({}, 200),
        ({"Host": "localhost:9000"}, 200),
        ({"Host": "[::1]:80"}, 200),
        ({"Host": "evil.example"}, 403),
        ({"Host": "127.0.0.1.evil.example"}, 403),
        ({"Host": "192.168.1.7"}, 403),
        ({"Host": "[bad"}, 403),
        ({"Host": ""}, 403),
        ({"Host": "localhost", "Origin": "http://localhost"}, 200),
        ({"Host": "localhost", "Origin": "http://evil.example"}, 403),
        ({"Host": "localhost", "Origin": "null"}, 403),
    ],
)
def test_foreign_hosts_and_origins(show, get, headers: dict[str, str], code: int) -> None:
    port = show().port
    for path in ("/", "/live", "/api/streams", "/metrics"):
        assert get(port, path, headers)[0] == code, path


def test_a_foreign_page_gets_no_socket(show) -> None:
    port = show().port
    with pytest.raises(InvalidStatus) as refused, socket_of(port, origin="http://evil.example"):
        pass
    assert refused.value.response.status_code == 403
    with socket_of(port, origin=f"http://127.0.0.1:{port}"):
        pass


def test_token(show, get, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog) -> None:
    monkeypatch.setenv("EDGESEG_WEB_TOKEN", TOKEN)
    caplog.set_level("DEBUG")
    port = show(place="0.0.0.0:0").port
    assert get(port, "/live")[0] == 200
    for path in ("/", "/api/streams", "/metrics", "/stream/0.mjpeg", "/?token=wrong", "/?token="):
        assert get(port, path)[0] == 401, path
    assert get(port, "/api/streams", {"Authorization": "Bearer wrong"})[0] == 401
    assert get(port, "/api/streams", {"Authorization": f"Bearer {TOKEN}"})[0] == 200
    assert get(port, "/", {"Cookie": "edgeseg-1=x; =;;\x01"})[0] in (400, 401)
    code, headers, _ = get(port, f"//evil.example/?token={TOKEN}&a=1")
    assert (code, headers["location"]) == (303, "/evil.example/?a=1")
    code, headers, _ = get(port, f"/?token={TOKEN}")
    assert (code, headers["location"]) == (303, "/")
    cookie = headers["set-cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=strict" in cookie
    assert TOKEN not in cookie
    assert get(port, "/", {"Cookie": cookie.partition(";")[0]})[0] == 200
    for other in (
        'prefs={"a": 1, "b": 2}',
        "a[b]=1",
        "flag",
        "path=/",
        'x="un',
        "my cookie=1",
        f"edgeseg-{port}=stale",
    ):
        for header in (f"{other}; {cookie.partition(';')[0]}", f"{cookie.partition(';')[0]}; {other}"):
            assert get(port, "/", {"Cookie": header})[0] == 200, header
    with pytest.raises(InvalidStatus) as refused, socket_of(port):
        pass
    assert refused.value.response.status_code == 401
    with socket_of(port, additional_headers={"Cookie": cookie.partition(";")[0]}):
        pass
    assert get(port, "/", {"Host": "evil.example", "Authorization": f"Bearer {TOKEN}"})[0] == 403
    said = capfd.readouterr()
    assert TOKEN not in said.out + said.err + caplog.text


def test_a_made_up_token_is_said_once(show, get, capfd: pytest.CaptureFixture[str], monkeypatch) -> None:
    monkeypatch.delenv("EDGESEG_WEB_TOKEN", raising=False)
    monkeypatch.delenv("JOURNAL_STREAM", raising=False)
    port = show(place="0.0.0.0:0").port
    ((token,),) = [re.findall(r"token=(\S+)", line) for line in capfd.readouterr().err.splitlines()]
    assert len(token) == 32
    assert get(port, f"/?token={token}")[0] == 303
    monkeypatch.setenv("JOURNAL_STREAM", "8:1")
    with pytest.raises(UsageError, match="journal"):
        Viewer("0.0.0.0:0")
    monkeypatch.setenv("EDGESEG_WEB_TOKEN", "short")
    with pytest.raises(UsageError, match="under 16"):
        Viewer("0.0.0.0:0")


@pytest.mark.parametrize(
    ("text", "host", "port", "local"),
    [
        ("8080", "127.0.0.1", 8080, True),
        ("0.0.0.0:80", "0.0.0.0", 80, False),
        ("[::1]:5", "::1", 5, True),
        ("ward.example:9", "ward.example", 9, False),
        ("localhost:1", "localhost", 1, True),
    ],
)
def test_address(text: str, host: str, port: int, local: bool) -> None:
    found = Address.parse(text)
    assert (found.host, found.port, found.local) == (host, port, local)


@pytest.mark.parametrize("text", ["", "x", ":80", "1:2:3", "65536", "h:-1", "80:", "٣"])
def test_bad_addresses(text: str) -> None:
    with pytest.raises(UsageError, match="--web"):
        Address.parse(text)


@pytest.mark.parametrize("host", ["a..b", "x" * 70 + ".example"])
def test_hosts_that_cannot_be(host: str) -> None:
    with pytest.raises(UsageError, match="no such host"):
        Address.parse(f"{host}:80").listen()


def test_a_taken_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        with pytest.raises(OutputError, match=f"cannot listen on 127.0.0.1:{port}.*another port"):
            Viewer(str(port))


def test_the_page_is_there_before_the_model(get, edgeseg_cli, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    from edgeseg import bundle

    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    seen, real = [], bundle.Source.load

    def load(*words: object, **more: object) -> object:
        seen.append((get(port, "/")[0], get(port, "/live")[0], get(port, "/ready")[0], get(port, "/api/streams")[2]))
        return real(*words, **more)

    monkeypatch.setattr(bundle.Source, "load", load)
    for stream in ("phantom:colonoscopy?frames=4", str(tmp_path / "still.png")):
        cv2.imwrite(str(tmp_path / "still.png"), np.full((120, 160, 3), 90, np.uint8))
        words = ["--stream", stream, "--model", "npnet-polyp", "--web", port, "--frames", 2, "--video-size", "160x120"]
        done = edgeseg_cli("infer", *words)
        assert done.code == 0, done.err
    assert seen == [(200, 200, 503, b"[]")] * 2


def test_message(show, unpack) -> None:
    running = show()
    feed = running.feeds[0]
    with socket_of(running.port) as page:
        assert unpack(page.recv(timeout=5))[0]["state"] == "LOST"
        page.send(b"")
        feed.frame()
        feed.say()
        header, about, frame, maps = picture(page, unpack)
        assert header["state"] == "LIVE"
        assert about["sequence"] == 0
        assert np.abs(frame.astype(int) - feed.clip[0].image).mean() < 6
        left, top, width, height = about["source"]
        truth = cv2.resize(feed.clip[0].mask[top : top + height, left : left + width], maps.shape[::-1])
        assert ((maps > 127) == (truth > 127)).mean() > 0.98
        feed.frame(mask=False)
        _, about, _, maps = picture(page, unpack)
        assert maps is None
        assert "source" not in about


def test_states_never_better_than_the_age(show, get) -> None:
    running = show()
    feed = running.feeds[0]

    def state() -> tuple[str, str]:
        one = json.loads(get(running.port, "/api/streams/0")[2])
        return one["state"], one["reason"]

    assert state() == ("LOST", "no frame yet")
    feed.frame()
    feed.say()
    assert state() == ("LIVE", "")
    feed.say("NO_SIGNAL", "the picture is black")
    assert state() == ("NO_SIGNAL", "the picture is black")
    feed.frame(delay_ms=700)
    feed.say()
    assert state() == ("STALE", "no new frame")
    feed.frame(lag=0.9)  # just received, but late by the camera's clock
    feed.say()
    assert state()[0] == "STALE"
    feed.frame(delay_ms=3100)
    assert state()[0] == "LOST"
    feed.say("LOST", "rtsp://doctor:hunter2@camera/live: refused")
    assert state() == ("LOST", "rtsp://***@camera/live: refused")
    feed.frame()
    feed.say()
    feed.sink.close()
    assert state() == ("LOST", "the stream has ended")


def test_a_silent_pipeline_goes_stale_on_the_page(show, unpack) -> None:
    running = show()
    running.feeds[0].frame()
    running.feeds[0].say()
    with socket_of(running.port) as page:
        states = []
        end = time.monotonic() + 5
        while "STALE" not in states and time.monotonic() < end:
            states.append(unpack(page.recv(timeout=2))[0]["state"])
            page.send(b"")
    assert states[0] == "LIVE"
    assert states[-1] == "STALE"


def test_nothing_is_encoded_for_nobody(show, get, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = []
    real = channels.picture
    monkeypatch.setattr(channels, "picture", lambda *words: (calls.append(1), real(*words))[1])
    running = show()
    running.feeds[0].play(0.3, 50)
    assert calls == []
    with contextlib.ExitStack() as stack:
        pages = [stack.enter_context(socket_of(running.port)) for _ in range(4)]
        for page in pages:
            page.recv(timeout=5)
            page.send(b"")
        time.sleep(0.3)
        calls.clear()
        running.feeds[0].frame()
        for page in pages:
            while page.recv(timeout=5)[:4] and not calls:
                page.send(b"")
        assert calls == [1]


def test_cap(show, monkeypatch: pytest.MonkeyPatch, get) -> None:
    monkeypatch.setattr(channels, "MOST_VIEWERS", 2)
    running = show()
    running.feeds[0].frame()
    with socket_of(running.port), socket_of(running.port):
        with pytest.raises(InvalidStatus) as refused, socket_of(running.port):
            pass
        assert refused.value.response.status_code == 503
        assert get(running.port, "/stream/0.mjpeg")[0] == 503
        assert 'edgeseg_viewers_refused_total{stream="theatre-1"} 2.0' in get(running.port, "/metrics")[2].decode()
        assert get(running.port, "/api/streams")[0] == 200
    time.sleep(0.3)
    with socket_of(running.port) as again:
        again.recv(timeout=5)


def closed_after(plain: socket.socket, drip: bytes = b"") -> float:
    """Seconds until the server hangs up, while a byte is sent now and then."""
    start = time.monotonic()
    plain.settimeout(0.1)
    while time.monotonic() - start < 5:
        try:
            plain.sendall(drip)
            if not plain.recv(1 << 16):
                break
        except TimeoutError:
            continue
        except ConnectionError:
            break
    return time.monotonic() - start


def test_who_asks_nothing_is_sent_home(show, get, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "PATIENCE_S", 0.6)
    running = show()
    place = ("127.0.0.1", running.port)
    with socket.create_connection(place) as silent:
        assert 0.4 < closed_after(silent) < 2
    with socket.create_connection(place) as dripping:
        dripping.sendall(b"GET /live HTTP/1.1\r\nHost: localhost\r\nX: ")
        assert 0.4 < closed_after(dripping, b"x") < 2
    with socket.create_connection(place) as asked:
        asked.sendall(b"GET /live HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert asked.recv(1 << 16).startswith(b"HTTP/1.1 200")
        asked.sendall(b"GET /live HTTP/1.1\r\nX: ")
        assert 0.4 < closed_after(asked, b"x") < 2
    running.feeds[0].frame()
    pictures = mjpeg(running.port)
    with socket_of(running.port) as page:
        next(pictures)
        time.sleep(1)
        running.feeds[0].frame()
        assert next(pictures).ndim == 3
        page.recv(timeout=5)


def test_one_address_cannot_take_all_places(show, get, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MOST_OF_ONE", 4)
    port = show().port
    with contextlib.ExitStack() as stack:
        for _ in range(4):
            stack.enter_context(socket.create_connection(("127.0.0.1", port), source_address=("127.0.0.2", 0)))
        more = stack.enter_context(socket.create_connection(("127.0.0.1", port), source_address=("127.0.0.2", 0)))
        assert closed_after(more) < 2
        assert get(port, "/live")[0] == 200


def mjpeg(port: int) -> Iterator[np.ndarray]:
    with socket.create_connection(("127.0.0.1", port), 5) as plain:
        plain.sendall(b"GET /stream/0.mjpeg HTTP/1.1\r\nHost: localhost\r\n\r\n")
        data = b""
        while True:
            data += plain.recv(1 << 16)
            found = re.search(rb"Content-Length: (\d+)\r\n\r\n", data)
            if found and len(data) >= found.end() + int(found[1]):
                end = found.end() + int(found[1])
                yield cv2.imdecode(np.frombuffer(data[found.end() : end], np.uint8), cv2.IMREAD_COLOR)
                data = data[end:]


def test_mjpeg_draws_the_state_in(show) -> None:
    running = show()
    feed = running.feeds[0]
    feed.frame()
    feed.say()
    pictures = mjpeg(running.port)
    live = next(pictures)
    assert live.shape == (240, 320, 3)
    below = np.s_[-20:, :20]
    for _ in range(10):
        stale = next(pictures)  # nothing comes any more: the last picture gets a banner
        if stale[below][..., 2].mean() > 150:
            break
    assert stale[below][..., 2].mean() > 150 > live[below][..., 2].mean()
    pictures.close()


def test_an_mjpeg_client_that_leaves_frees_its_place(show, monkeypatch: pytest.MonkeyPatch, get) -> None:
    monkeypatch.setattr(channels, "MOST_VIEWERS", 2)
    running = show()
    running.feeds[0].frame()
    for _ in range(2):
        pictures = mjpeg(running.port)
        next(pictures)
        pictures.close()
        with socket.create_connection(("127.0.0.1", running.port), 5) as plain:
            plain.sendall(b"HEAD /stream/0.mjpeg HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            assert plain.recv(1 << 16).startswith(b"HTTP/1.1 200")
        end = time.monotonic() + 5
        while 'edgeseg_viewers{stream="theatre-1"} 0.0' not in get(running.port, "/metrics")[2].decode():
            assert time.monotonic() < end
            time.sleep(0.05)


def test_a_stalled_viewer_delays_nobody(show, unpack, get) -> None:
    """It takes nothing at all; the other gets its pictures, and the pipeline's write stays short."""
    running = show(size=(640, 480))
    feed = running.feeds[0]
    stalled = socket.create_connection(("127.0.0.1", running.port), 5)
    key = "Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: " + "A" * 22
    stalled.sendall(f"GET /ws/0 HTTP/1.1\r\nHost: localhost\r\n{key}==\r\n\r\n".encode())
    plain = socket.create_connection(("127.0.0.1", running.port), 5)
    plain.sendall(b"GET /stream/0.mjpeg HTTP/1.1\r\nHost: localhost\r\n\r\n")
    longest, got = 0.0, []

    def watch() -> None:
        with socket_of(running.port) as page:
            while len(got) < 40:
                got.append(picture(page, unpack)[1]["sequence"])

    watcher = threading.Thread(target=watch)
    watcher.start()
    end = time.monotonic() + 20
    while watcher.is_alive() and time.monotonic() < end:
        began = time.thread_time()
        feed.frame()
        longest = max(longest, time.thread_time() - began)
        time.sleep(0.02)
    watcher.join(1)
    assert len(got) >= 40
    assert got == sorted(got)
    text = get(running.port, "/metrics")[2].decode()
    assert 'edgeseg_viewers{stream="theatre-1"}' in text
    stalled.close()
    plain.close()


def test_a_slow_viewer_sees_the_newest(show, unpack) -> None:
    """It answers late: between two of its pictures are those it did not get, and at most two wait for it."""
    running = show()
    feed = running.feeds[0]
    stop = threading.Event()

    def play() -> None:
        while not stop.is_set():
            feed.play(0.2, 40)

    player = threading.Thread(target=play)
    player.start()
    try:
        with socket_of(running.port) as page:
            picture(page, unpack)
            time.sleep(1.0)
            waiting = []
            with contextlib.suppress(TimeoutError):
                while True:
                    waiting.append(unpack(page.recv(timeout=0.3)))
            assert len(waiting) <= 2
            before = feed.sequence
            page.send(b"")
            page.send(b"")
            _, about, _, _ = picture(page, unpack)
            assert about["sequence"] >= before - 5
    finally:
        stop.set()
        player.join()


def test_a_frame_that_cannot_be_encoded_ends_nothing(show, unpack, caplog) -> None:
    running = show()
    feed = running.feeds[0]
    with socket_of(running.port) as page:
        page.recv(timeout=5)
        page.send(b"")
        good = feed.clip[0]
        feed.clip[0] = type(good)(np.zeros((4, 70000, 3), np.uint8), np.zeros((4, 70000), np.uint8), 0)
        feed.frame(mask=False)
        time.sleep(0.4)
        feed.frame()
        assert picture(page, unpack)[1]["sequence"] == 1


def test_metrics_are_those_of_the_docs(show, get) -> None:
    running = show()
    running.feeds[0].frame()
    running.feeds[0].say("INVALID", "NaN", degraded=True)
    code, headers, body = get(running.port, "/metrics")
    assert code == 200
    assert headers["content-type"].startswith("text/plain")
    text = body.decode()
    names = {line.split()[2] for line in text.splitlines() if line.startswith("# TYPE edgeseg_")}
    documented = (Path(__file__).parents[3] / "docs" / "viewer.md").read_text()
    assert names == set(re.findall(r"`(edgeseg_[a-z_]+)[`{]", documented))
    for state in STATES:
        assert f'edgeseg_state{{state="{state}",stream="theatre-1"}} {float(state == "INVALID")}' in text
    assert 'edgeseg_degraded{stream="theatre-1"} 1.0' in text
    assert 'edgeseg_frames_total{stream="theatre-1"} 1.0' in text


def test_stop_is_quick_with_stalled_viewers(show, caplog: pytest.LogCaptureFixture) -> None:
    running = show()
    feed = running.feeds[0]
    threads = threading.active_count()
    open_ones = []
    for path in ("/stream/0.mjpeg", "/stream/0.mjpeg", "/nothing"):
        one = socket.create_connection(("127.0.0.1", running.port), 5)
        one.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        open_ones.append(one)
    with socket_of(running.port) as page:
        page.recv(timeout=5)
        feed.play(0.5)  # it answers nothing: the server waits for it
        began = time.monotonic()
        running.viewer.close()
        assert time.monotonic() - began < 1.5  # measured 0.2 s; the rest is for a busy machine
    for one in open_ones:
        one.close()
    feed.frame()  # a pipeline that is still writing is not disturbed
    feed.sink.close()
    end = time.monotonic() + 5  # the encoder is told to stop, not waited for: it may be in the middle of a picture
    while threading.active_count() >= threads and time.monotonic() < end:
        time.sleep(0.02)
    assert threading.active_count() < threads
    assert caplog.text == ""
    with socket.create_server(("127.0.0.1", running.port)):
        pass  # the port is free
