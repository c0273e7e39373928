"""Sources that are no RTSP camera: MJPEG and HLS over HTTP, MPEG-TS over UDP, files that look like cameras."""

from __future__ import annotations

import http.server
import io
import threading
import time
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import av
import cv2
import lab
import numpy as np
import pytest

import edgeseg
from edgeseg.errors import InputError
from edgeseg.stream.sinks.base import Closed
from edgeseg.stream.sources import expand, kind_of, network, replay, rtsp, srt
from edgeseg.stream.sources import http as http_source
from edgeseg.stream.sources.base import SourceOptions
from edgeseg.stream.sources.live import Trouble


def picture(index: int) -> np.ndarray:
    image = np.full((120, 160, 3), 60, np.uint8)
    image[:] += np.linspace(0, 80, 160, dtype=np.uint8)[None, :, None]
    image[40:80, (4 * index) % 120 : (4 * index) % 120 + 40] = 230
    return image


def encoded(kind: str, frames: int, rate: int = 25, codec: str = "libx264") -> bytes:
    target = io.BytesIO()
    with av.open(target, "w", format=kind) as video:
        stream = video.add_stream(codec, rate=rate)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        stream.options = {"g": "10", "preset": "ultrafast", "tune": "zerolatency"}
        for index in range(frames):
            video.mux(stream.encode(av.VideoFrame.from_ndarray(picture(index), format="bgr24")))
        video.mux(stream.encode(None))
    return target.getvalue()


@pytest.fixture
def web() -> Iterator[Callable[[Callable], str]]:
    """Serves with a function of path and writable file; gives the address."""
    servers = []

    def make(answer: Callable) -> str:
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                try:
                    answer(self)
                except OSError:
                    return

            def log_message(self, *_: object) -> None:
                pass

        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        server.daemon_threads = True
        threading.Thread(target=server.serve_forever, daemon=True).start()
        servers.append(server)
        return f"http://127.0.0.1:{server.server_port}"

    yield make
    for server in servers:
        server.shutdown()
        server.server_close()


def mjpeg(handler: http.server.BaseHTTPRequestHandler) -> None:
    if "Authorization" not in handler.headers and "locked" in handler.path:
        handler.send_error(401)
        return
    if "none" in handler.path:
        handler.send_error(404)
        return
    handler.send_response(200)
    handler.send_header("Content-Type", "multipart/x-mixed-replace; boundary=frame")
    handler.end_headers()
    for index in range(10_000):
        data = cv2.imencode(".jpg", picture(index))[1].tobytes()
        head = f"--frame\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
        handler.wfile.write(head.encode() + data + b"\r\n")
        time.sleep(0.04)


def test_mjpeg(web, watch) -> None:
    address = web(mjpeg)
    watcher = watch(f"{address}/video.mjpg")
    watcher.wait_state("LIVE")
    assert watcher.frames[-1][1].image.shape == (120, 160, 3)
    locked = watch(f"{address}/locked.mjpg")
    locked.until(lambda: locked.reason == "bad credentials")
    gone = watch(f"{address}/none.mjpg")
    gone.until(lambda: gone.reason == "there is no /none.mjpg on it")


def test_hls_is_played_at_its_own_pace(web, watch) -> None:
    segment = encoded("mpegts", 50)

    def hls(handler: http.server.BaseHTTPRequestHandler) -> None:
        if handler.path.endswith(".m3u8"):
            number = int(time.monotonic() / 2)
            lines = [f"#EXTINF:2.0,\n{n}.ts" for n in range(number - 3, number)]
            head = f"#EXTM3U\n#EXT-X-VERSION:3\n#EXT-X-TARGETDURATION:2\n#EXT-X-MEDIA-SEQUENCE:{number - 3}"
            data, kind = "\n".join([head, *lines, ""]).encode(), "application/vnd.apple.mpegurl"
        else:
            data, kind = segment, "video/mp2t"
        handler.send_response(200)
        handler.send_header("Content-Type", kind)
        handler.send_header("Content-Length", str(len(data)))
        handler.end_headers()
        handler.wfile.write(data)

    watcher = watch(f"{web(hls)}/live.m3u8")
    watcher.wait_state("LIVE")
    first = watcher.frames[-1][1].sequence
    began = time.monotonic()
    watcher.until(lambda: watcher.frames[-1][1].sequence >= first + 20)
    assert time.monotonic() - began > 0.5  # not all at once


def test_mpegts_over_udp(watch) -> None:
    with lab.sending(picture, g="10") as address:
        watcher = watch(address)
        watcher.wait_state("LIVE", 30)
        assert watcher.frames[-1][1].image.shape == (120, 160, 3)


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("rtsp://camera/live", "RTSP camera"),
        ("RTSPS://camera/live", "RTSP camera"),
        ("rtsp:user:geheim@camera", "RTSP camera"),
        ("https://camera/a.m3u8", "HTTP: MJPEG, HLS"),
        ("srt://a:1", "SRT"),
        ("rtp://239.0.0.1:5004", "UDP, RTP"),
        ("a.sdp", "RTP by description"),
        ("gst:videotestsrc", "GStreamer pipeline"),
        ("phantom:", "synthetic camera"),
        ("-", "standard input"),
        ("0", "camera"),
        ("/dev/video12", "camera"),
        ("clip.mp4", "video file"),
        ("x.png", "picture, folder or glob"),
    ],
)
def test_kinds(text: str, name: str) -> None:
    assert kind_of(text).name == name


def test_lists(tmp_path: Path) -> None:
    file = tmp_path / "a.streams"
    file.write_text("# ward\nrtsp://a/1\n  0  \n\n")
    assert expand([str(file), "clip.mp4"]) == ["rtsp://a/1", "0", "clip.mp4"]
    file.write_bytes(b"\xef\xbb\xbfrtsp://a/1#x  # from an editor that marks its files\n")
    assert expand([str(file)]) == ["rtsp://a/1#x"]
    file.write_text("other.streams\n")
    with pytest.raises(InputError, match="lists another list"):
        expand([str(file)])


def test_the_capture_process_imports_no_runtime() -> None:
    import subprocess
    import sys

    code = "import sys, edgeseg.stream.live.worker; print(sorted(set(sys.modules) & set(sys.argv[1:])))"
    heavy = ["openvino", "onnxruntime", "typer", "rich", "pydantic", "cv2", "torch"]
    done = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


@pytest.mark.parametrize("live", [False, True])
def test_closing_the_window_ends_the_run_in_order(tiny_data: Path, live: bool) -> None:
    from edgeseg.stream.live.pipeline import LiveRun, Policy
    from edgeseg.stream.pipeline import run
    from edgeseg.stream.sources.base import SourceOptions

    class Window:
        name = "show"
        closed = False

        def write(self, frame, result) -> None:
            if frame.sequence >= 3:
                raise Closed

        def status(self, status) -> None:
            pass

        def close(self) -> None:
            self.closed = True

    window = Window()
    with edgeseg.open("npnet-polyp").load(threads=1) as model:
        if live:
            source = "phantom:colonoscopy?frames=4"
            options = SourceOptions(video_size=(160, 120))
            (summary,) = LiveRun(model, model.again, Policy(duration=60)).run([source], options, [[window]])
            assert summary.seconds < 50
        else:
            summary = run(model, str(tiny_data / "clip.mp4"), [window])
    assert summary.frames >= 3
    assert window.closed


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_videos_without_gpl(tmp_path: Path, edgeseg_cli, suffix: str) -> None:
    out, record = tmp_path / f"o{suffix}", tmp_path / "r.mkv"
    words = ["--stream", "phantom:colonoscopy?frames=4", "--video-size", "160x120", "--model", "npnet-polyp"]
    done = edgeseg_cli("infer", *words, "--frames", 8, "--codec", "mpeg4", "--out", out, "--record", record, "--quiet")
    assert done.code == 0, done.err
    for file, codec in ((out, "mpeg4"), (record, "ffv1")):
        with av.open(str(file)) as video:
            assert video.streams.video[0].codec_context.name == codec
            assert sum(1 for _ in video.decode(video=0)) >= 5


def test_an_address_that_is_none(tiny_bundle: Path, edgeseg_cli) -> None:
    for url in ("rtsp://user:pw@[::1", "http://[::1/x.mjpeg", "udp://[::1:5000"):
        said = edgeseg_cli("infer", "--stream", url, "--model", tiny_bundle, "--no-retry", "--quiet")
        assert "its address is none" in said.sentence(4)


def test_a_file_named_like_an_address_that_is_none() -> None:
    trouble = network.trouble_of(ConnectionRefusedError(), "//[clips/a.mp4")
    assert str(trouble) == "refuses the connection"


def test_a_protocol_that_ffmpeg_lacks_is_asked_for_once() -> None:
    trouble = network.trouble_of(av.error.ProtocolNotFoundError(0, ""), "srt://camera:9000")
    assert (str(trouble), trouble.final, trouble.ended) == ("this FFmpeg does not speak its protocol", True, False)


@pytest.mark.parametrize("module", [rtsp, http_source, srt])
def test_a_name_server_that_does_not_answer(monkeypatch: pytest.MonkeyPatch, module) -> None:
    """Told as the source's fault, before the supervisor takes the process for a hung one."""
    answers = threading.Event()

    def silent(*_: object, **__: object) -> list[object]:
        answers.wait(60)
        return []

    monkeypatch.setattr(network.socket, "getaddrinfo", silent)
    monkeypatch.setattr(network, "_REACH_S", 0.05)
    with pytest.raises(Trouble, match="the name server does not answer") as told:
        module.camera("any://camera.example:9000/live", SourceOptions()).open()
    answers.set()
    assert not told.value.final


def test_a_stalled_camera_is_noticed_before_its_deadline() -> None:
    from edgeseg.stream.live.nursery import Process
    from edgeseg.stream.live.worker import GRACE
    from edgeseg.stream.sources.camera import LocalCamera

    process = Process(None)
    try:
        words = Path(f"/proc/{process.pid}/environ").read_bytes().split(b"\0")
    finally:
        process.kill()
    (seconds,) = [float(one.partition(b"=")[2]) for one in words if b"V4L_SELECT_TIMEOUT" in one]
    assert seconds < LocalCamera.read_s + GRACE


@pytest.mark.parametrize("count", [1, 30])
def test_the_last_frames_of_a_file_come_too(tmp_path: Path, count: int) -> None:
    """With B-frames, x264's default, the decoder holds some until it hears that there is no more."""
    file = tmp_path / "a.mp4"
    with av.open(str(file), "w") as out:
        stream = out.add_stream("libx264", rate=200)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        for index in range(count):
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture(index), format="bgr24")))
        out.mux(stream.encode(None))
    camera = replay.camera(str(file), SourceOptions())
    camera.open()
    taken = []
    with pytest.raises(Trouble, match="the stream ended") as ended:
        while True:
            taken += camera.read()
    camera.close()
    assert ended.value.final
    assert len(taken) == count
    assert all(after.source_time > before.source_time for before, after in pairwise(taken))


def test_replay_of_a_recording_has_the_cameras_times(camera, tmp_path: Path, edgeseg_cli) -> None:
    from edgeseg.stream.sources import open_source

    record = tmp_path / "r.mkv"
    words = ["--stream", camera().url, "--model", "npnet-polyp", "--frames", 30, "--quiet"]
    assert edgeseg_cli("infer", *words, "--record", record).code == 0
    times = [frame.source_time for frame in open_source(str(record))]
    assert len(times) >= 20
    assert np.median(np.diff(times)) == pytest.approx(0.04, abs=0.012)
