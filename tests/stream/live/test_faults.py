"""The stream rows of the fault catalogue against a real RTSP server: what each looks like, and that it passes.

Times here are wide, since the machine may be busy; `python -m benchmarks.live` measures the goals.
"""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import subprocess
import time
from pathlib import Path

import lab
import numpy as np
import pytest

from edgeseg.errors import BackendError


def states(watcher: lab.Watcher) -> list[str]:
    return [state for _, state, _ in watcher.timeline]


def for_a_while(watcher: lab.Watcher, seconds: float) -> None:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        watcher.step()


# Rows 1 to 6: sources that cannot be reached.


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        return listener.getsockname()[1]


def test_refused(watch) -> None:
    watcher = watch(f"rtsp://user:geheim@127.0.0.1:{free_port()}/cam")
    watcher.until(lambda: watcher.reason == "refuses the connection")
    assert watcher.state == "LOST"
    assert "geheim" not in watcher.capture.name


def test_name_that_nobody_knows(watch) -> None:
    watcher = watch("rtsp://user:geheim@no-such-camera.invalid/cam")
    watcher.until(lambda: "name is not known" in watcher.reason)


def test_attempts_to_connect_that_vanish(watch) -> None:
    """Where a queue of connections is full the kernel drops what comes, as a firewall or a dead host does."""
    with contextlib.ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        listener.bind(("127.0.0.1", 0))
        listener.listen(0)
        for _ in range(4):
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(listener.getsockname())
        watcher = watch(f"rtsp://127.0.0.1:{listener.getsockname()[1]}/cam")
        watcher.until(lambda: watcher.reason == "does not answer")
        assert watcher.state == "LOST"
        assert watcher.capture.counts.restarts == 0


def test_accepts_and_is_mute(watch, serve) -> None:
    watcher = watch(f"rtsp://127.0.0.1:{serve(lambda _: None).port}/cam")
    watcher.until(lambda: watcher.reason == "accepts the connection and does not answer")
    assert watcher.state == "LOST"


def test_garbage(watch, serve) -> None:
    def garbage(client: socket.socket) -> None:
        client.sendall(np.random.default_rng(0).bytes(4096))
        client.close()

    watcher = watch(f"rtsp://127.0.0.1:{serve(garbage).port}/cam")
    watcher.until(lambda: watcher.reason not in ("", "connecting"))
    for_a_while(watcher, 0.5)
    assert watcher.state == "LOST"
    assert watcher.capture.counts.restarts == 0


def test_wrong_password_and_right_one(camera, watch) -> None:
    cam = camera("--user", "nurse", "--password", "geheim")
    wrong = watch(f"rtsp://nurse:falsch@127.0.0.1:{cam.port}/cam")
    wrong.until(lambda: wrong.reason == "bad credentials")
    right = watch(f"rtsp://nurse:geheim@127.0.0.1:{cam.port}/cam")
    right.wait_state("LIVE")
    assert wrong.state == "LOST"


def test_rtsp_over_tls(camera, watch, tmp_path: Path) -> None:
    file = tmp_path / "camera.pem"
    words = ["-x509", "-newkey", "rsa:2048", "-nodes", "-subj", "/CN=camera", "-days", "2"]
    subprocess.run(["openssl", "req", *words, "-keyout", file, "-out", tmp_path / "c"], check=True, capture_output=True)
    file.write_text(file.read_text() + (tmp_path / "c").read_text())
    cam = camera("--tls", str(file))
    watcher = watch(cam.url.replace("rtsp:", "rtsps:"))
    watcher.wait_state("LIVE")
    # The other way round it must say something, not hang.
    plain = watch(cam.url)
    plain.until(lambda: plain.reason not in ("", "connecting"))
    assert plain.state == "LOST"


def test_no_such_path(camera, watch) -> None:
    cam = camera()
    watcher = watch(f"rtsp://127.0.0.1:{cam.port}/other")
    watcher.until(lambda: watcher.reason == "there is no /other on it")


# Rows 7 to 15: sources that go and come.


def test_killed_server_comes_back(camera, watch) -> None:
    cam = camera()
    watcher = watch(cam.url)
    watcher.wait_state("LIVE")
    cam.kill()
    watcher.wait_state("STALE")
    watcher.wait_state("LOST")
    cam.start()
    watcher.fresh()
    assert watcher.capture.counts.connections >= 2
    assert watcher.capture.counts.restarts == 0


def test_clean_end_is_not_the_end_of_a_camera(camera, watch) -> None:
    cam = camera()
    watcher = watch(cam.url)
    watcher.wait_state("LIVE")
    cam.do("eos")
    watcher.until(lambda: watcher.capture.counts.connections >= 2)
    watcher.fresh()


def test_stopped_server(camera, watch) -> None:
    cam = camera()
    watcher = watch(cam.url)
    watcher.wait_state("LIVE")
    cam.stop()
    try:
        watcher.wait_state("LOST")
    finally:
        cam.go_on()
    watcher.fresh()


def test_silent_encoder(camera, watch) -> None:
    cam = camera()
    watcher = watch(cam.url)
    watcher.wait_state("LIVE")
    cam.do("gap on")
    watcher.wait_state("STALE")
    for_a_while(watcher, 1.5)
    cam.do("gap off")
    watcher.fresh()


def test_cable_out(camera, network, watch) -> None:
    cam = camera()
    net = network(cam.port)
    watcher = watch(net.url)
    watcher.wait_state("LIVE")
    net.mode = "hole"
    watcher.wait_state("LOST")
    net.mode = "on"
    watcher.fresh()
    assert watcher.capture.counts.connections >= 2


def test_reset(camera, network, watch) -> None:
    cam = camera()
    net = network(cam.port)
    watcher = watch(net.url)
    watcher.wait_state("LIVE")
    net.reset()
    watcher.until(lambda: watcher.capture.counts.connections >= 2)
    watcher.fresh()


def test_late_frames_are_not_live(camera, network, watch) -> None:
    """Loss seen through TCP: silences, then bursts. No frame that is older than 500 ms passes as live."""
    cam = camera()
    net = network(cam.port)
    watcher = watch(net.url)
    watcher.wait_state("LIVE")
    net.pauses = (0.7, 1.6)
    end = time.monotonic() + 5
    lies = []
    while time.monotonic() < end:
        watcher.step()
        if watcher.frames:
            moment, frame, state = watcher.frames[-1]
            age = lab.age_ms(frame.image)
            # 200 ms more than the limit: what camera and capture take before a frame is received at all.
            if state == "LIVE" and age is not None and time.monotonic() - moment < 0.02 and age > 700:
                lies.append(age)
    assert not lies
    assert "STALE" in states(watcher)
    net.pauses = (0.0, 0.0)
    watcher.fresh()


@pytest.mark.slow
def test_low_bandwidth(camera, network, watch) -> None:
    """A link that cannot carry the stream: late, left for another, which is no better; nothing of it looks live."""
    cam = camera("--size", "640x480")
    net = network(cam.port)
    watcher = watch(net.url)
    watcher.wait_state("LIVE")
    net.rate = 4000.0
    lies, seen = [], None
    end = time.monotonic() + 30
    while time.monotonic() < end:
        watcher.step()
        moment, frame, state = watcher.frames[-1]
        if frame is not seen and state == "LIVE" and time.monotonic() - moment < 0.02:
            age = lab.age_ms(frame.image)
            if age is not None and age > 700:  # as above
                lies.append(age)
        seen = frame
    assert not lies
    assert "frames come late" in {reason for _, _, reason in watcher.timeline}
    assert watcher.capture.counts.connections >= 3
    assert watcher.capture.counts.restarts == 0
    net.rate = 0.0
    watcher.fresh()


@pytest.mark.slow
def test_a_queue_is_left_behind(camera, network, watch) -> None:
    """Every frame is as large as the other, so that none of them takes too long: they only come later and later."""
    cam = camera("--size", "640x480")
    cam.do("pic noise")
    net = network(cam.port)
    watcher = watch(net.url)
    watcher.until(lambda: watcher.capture.counts.received > 10)
    net.rate = 60_000.0
    watcher.until(lambda: watcher.reason == "frames come too late", 60)
    connections = watcher.capture.counts.connections
    watcher.until(lambda: watcher.capture.counts.connections > connections)
    ages = [frame.lag for _, frame, _ in watcher.frames]
    assert max(ages) < 10  # of a queue that nobody leaves it grows for ever


# Rows 16 to 20: what pictures say.


def test_size_changes_in_mid_stream(camera, watch) -> None:
    cam = camera()
    watcher = watch(cam.url)
    watcher.wait_state("LIVE")
    cam.do("size 640x480")
    watcher.until(lambda: watcher.frames[-1][1].image.shape == (480, 640, 3))
    assert {frame.image.shape[:2] for _, frame, _ in watcher.frames} <= {(240, 320), (480, 640)}


def test_corrupt_bits_are_counted_and_damage_is_marked(camera, watch) -> None:
    cam = camera()
    watcher = watch(cam.url)
    watcher.wait_state("LIVE")
    cam.do("corrupt 0.3")
    watcher.until(lambda: watcher.capture.counts.damaged >= 5, 30)
    watcher.until(lambda: any(frame.damaged for _, frame, _ in watcher.frames) or watcher.capture.counts.damaged > 20)
    cam.do("corrupt 0")
    watcher.until(lambda: not watcher.frames[-1][1].damaged and watcher.state == "LIVE")
    assert watcher.capture.counts.restarts == 0


def test_frozen_picture(camera, watch) -> None:
    cam = camera()
    watcher = watch(cam.url)
    watcher.wait_state("LIVE")
    cam.do("freeze on")
    watcher.wait_state("FROZEN")
    for_a_while(watcher, 2.5)  # over two keyframes
    assert states(watcher)[-1] == "FROZEN"
    cam.do("freeze off")
    watcher.wait_state("LIVE", 5)


def test_still_scene_with_noise_is_live(camera, watch) -> None:
    cam = camera()
    cam.do("still on")
    watcher = watch(cam.url)
    watcher.wait_state("LIVE")
    for_a_while(watcher, 3)
    assert "FROZEN" not in states(watcher)


@pytest.mark.parametrize("picture", ["black", "white", "noise"])
def test_no_signal(camera, watch, picture: str) -> None:
    cam = camera()
    watcher = watch(cam.url)
    watcher.wait_state("LIVE")
    cam.do(f"pic {picture}")
    watcher.until(lambda: (watcher.state, watcher.reason) == ("NO_SIGNAL", picture))
    cam.do("pic ball")
    watcher.wait_state("LIVE")


# Rows 24, 25, 29: the capture process.


def test_killed_capture_is_replaced(camera, watch) -> None:
    watcher = watch(camera().url)
    watcher.wait_state("LIVE")
    last = watcher.frames[-1][1].sequence
    os.kill(watcher.capture._process.pid, signal.SIGKILL)
    watcher.until(lambda: watcher.capture.counts.restarts == 1)
    watcher.fresh()
    assert watcher.frames[-1][1].sequence > last


def test_hung_capture_is_killed_and_replaced(camera, watch) -> None:
    watcher = watch(camera().url)
    watcher.wait_state("LIVE")
    pid = watcher.capture._process.pid
    os.kill(pid, signal.SIGSTOP)
    watcher.wait_state("STALE")
    watcher.until(lambda: watcher.capture.counts.restarts == 1)
    watcher.fresh()
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_crash_loop_ends(camera, watch) -> None:
    watcher = watch(camera().url)
    end = time.monotonic() + 60
    while watcher.capture.error is None and time.monotonic() < end:
        process = watcher.capture._process
        if process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.kill(process.pid, signal.SIGKILL)
        watcher.step()
    assert isinstance(watcher.capture.error, BackendError)
    assert "6 times in a minute" in str(watcher.capture.error)


def test_capture_dies_with_its_parent(camera, tmp_path) -> None:
    import subprocess
    import sys

    code = (
        "import sys, time, threading\n"
        "sys.path.insert(0, sys.argv[2])\n"
        "import lab\n"
        "watcher = lab.Watcher(sys.argv[1]); watcher.wait_state('LIVE')\n"
        "print(watcher.capture._process.pid, flush=True); time.sleep(60)\n"
    )
    folder = str(lab.SERVER.parent)
    parent = subprocess.Popen([sys.executable, "-c", code, camera().url, folder], stdout=subprocess.PIPE, text=True)
    pid = int(parent.stdout.readline())
    parent.kill()
    parent.wait()
    parent.stdout.close()
    end = time.monotonic() + 5
    while Path(f"/proc/{pid}").exists() and time.monotonic() < end:
        time.sleep(0.02)
    assert not Path(f"/proc/{pid}").exists()


# Rows 45, 46.


def test_clock_jumps_do_not_matter(camera, watch, monkeypatch: pytest.MonkeyPatch) -> None:
    watcher = watch(camera().url)
    watcher.wait_state("LIVE")
    real = time.time
    for jump in (3600, -3600):
        monkeypatch.setattr(time, "time", lambda jump=jump: real() + jump)
        began = len(watcher.timeline)
        for_a_while(watcher, 0.6)
        assert {state for _, state, _ in watcher.timeline[began:]} <= {"LIVE", "STALE"}
        assert watcher.state in ("LIVE", "STALE")


def test_no_shared_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    from edgeseg.stream.live.nursery import Process

    def full(*_: object) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "memfd_create", full)
    with pytest.raises(BackendError, match="no shared memory for a camera"):
        Process(None)


# Other kinds.


@pytest.mark.parametrize("codec", ["h265", "mjpeg"])
def test_other_codecs(camera, watch, codec: str) -> None:
    watcher = watch(camera("--codec", codec).url)
    watcher.wait_state("LIVE")
    assert watcher.frames[-1][1].image.shape == (240, 320, 3)


def test_interlaced_is_said(camera, watch) -> None:
    watcher = watch(camera("--interlaced", "--size", "320x256").url)
    watcher.wait_state("LIVE")
    watcher.until(lambda: bool(watcher.capture.counts.notes))
    assert "interlaced" in watcher.capture.counts.notes[0]


def test_buffer_keeps_every_frame(camera, watch) -> None:
    watcher = watch(camera().url, buffer=64 << 20)
    watcher.wait_state("LIVE")
    time.sleep(1.0)
    first = watcher.capture.take().sequence
    assert [watcher.capture.take().sequence for _ in range(10)] == list(range(first + 1, first + 11))


def test_newest_frame_wins(camera, watch) -> None:
    watcher = watch(camera().url)
    watcher.wait_state("LIVE")
    before = watcher.frames[-1][1].sequence
    time.sleep(1.0)
    assert watcher.capture.take().sequence > before + 5
    assert watcher.capture.dropped >= 5
