"""What decides about states, lateness and sizes, on arrays and numbers alone."""

from __future__ import annotations

import os
from itertools import pairwise

import numpy as np
import pytest

from edgeseg.redact import names_of, redact, redact_of, remember
from edgeseg.stream.live.content import Content, Watch
from edgeseg.stream.live.lag import Lag, Link, SizeGate
from edgeseg.stream.live.slot import Slot
from edgeseg.stream.live.state import Signal, no_picture

RNG = np.random.default_rng(0)
SCENE = np.clip(
    np.add.outer(np.linspace(40, 160, 240), np.linspace(-30, 30, 320))[..., None] + RNG.normal(0, 2, (240, 320, 3)),
    0,
    255,
).astype(np.uint8)


def noisy(image: np.ndarray, sigma: float) -> np.ndarray:
    return np.clip(image + RNG.normal(0, sigma, image.shape), 0, 255).astype(np.uint8)


def shown(signal: Signal, images: list[np.ndarray], fps: float = 25.0, start: float = 100.0) -> str:
    watch = Watch()
    now = start
    for number, image in enumerate(images):
        now = start + number / fps
        signal.frame(now, watch.look(image))
    return signal.at(now + 0.01)[0]


def test_before_the_first_frame_it_is_lost() -> None:
    assert Signal().at(100.0) == ("LOST", "connecting")


def test_age_decides_over_everything() -> None:
    signal = Signal(invalid="broken")
    signal.frame(100.0, Content(0, 0, 0, 0, 0))
    assert signal.at(100.4)[0] == "INVALID"
    assert signal.at(100.6)[0] == "STALE"
    assert signal.at(103.1)[0] == "LOST"
    signal.invalid = ""
    assert signal.at(100.4) == ("NO_SIGNAL", "black")


def test_lag_is_age() -> None:
    signal = Signal()
    signal.frame(100.0, Content(10, 200, 0.1, 5, 50), lag=0.6)
    assert signal.at(100.01) == ("STALE", "frames come late")


def test_frozen_within_a_second_at_25_fps() -> None:
    moving = [noisy(np.roll(SCENE, step, 1), 1) for step in range(25)]
    assert shown(Signal(), moving) == "LIVE"
    assert shown(Signal(), [*moving, *[moving[-1]] * 17]) == "FROZEN"
    assert shown(Signal(), [*moving, *[moving[-1]] * 10]) == "LIVE"


def test_sensor_noise_keeps_a_still_scene_live() -> None:
    assert shown(Signal(), [noisy(SCENE, 1.0) for _ in range(50)]) == "LIVE"


def test_a_small_thing_that_moves_keeps_it_live() -> None:
    images = []
    for step in range(50):
        image = SCENE.copy()
        image[100:112, 2 * step : 2 * step + 12] = 255
        images.append(image)
    assert shown(Signal(), images) == "LIVE"


def test_a_pop_at_a_keyframe_does_not_thaw_it_but_a_new_scene_does() -> None:
    frozen = [SCENE] * 30
    pop = np.clip(SCENE.astype(int) + RNG.integers(-2, 3, SCENE.shape), 0, 255).astype(np.uint8)
    assert shown(Signal(), [*frozen, *[pop] * 5]) == "FROZEN"
    assert shown(Signal(), [*frozen, *[255 - SCENE] * 5]) == "LIVE"


def test_frozen_needs_frames() -> None:
    """A camera of one frame a second: nothing can be said from two equal ones."""
    assert shown(Signal(), [SCENE] * 3, fps=1) == "LIVE"


@pytest.mark.parametrize(
    ("image", "state"),
    [
        (np.zeros((240, 320, 3), np.uint8), "black"),
        (np.full((240, 320, 3), 16, np.uint8), "black"),
        (noisy(np.full((240, 320, 3), 8.0), 1.5), "black"),
        (np.full((240, 320, 3), 235, np.uint8), "white"),
        (RNG.integers(0, 256, (240, 320, 3)).astype(np.uint8), "noise"),
        (SCENE, ""),
        (noisy(SCENE, 8), ""),
        (SCENE // 6, ""),
    ],
)
def test_no_picture(image: np.ndarray, state: str) -> None:
    assert no_picture(Watch().look(image)) == state


def test_phantoms_are_pictures() -> None:
    from edgeseg.data.phantom import PHANTOMS

    for kind in PHANTOMS:
        assert no_picture(Watch().look(PHANTOMS[kind](2, 320, 240, 0)[0].image)) == ""


@pytest.mark.parametrize("shape", [(1, 1, 3), (2, 3, 3), (16, 16, 3), (1080, 1920, 3)])
def test_any_size_can_be_looked_at(shape: tuple[int, ...]) -> None:
    watch = Watch()
    for _ in range(2):
        content = watch.look(np.full(shape, 77, np.uint8))
    assert (content.change, content.block) == (0, 0)


# Lateness.


def test_lag_is_measured_against_the_promptest_frame() -> None:
    lag = Lag()
    assert lag(0.0, 10.0) == 0
    assert lag(0.04, 10.04) == pytest.approx(0, abs=1e-3)
    assert lag(0.08, 10.88) == pytest.approx(0.8, abs=1e-3)
    assert lag(0.12, 10.12 + 0.05) == pytest.approx(0.05, abs=1e-3)


def test_lag_of_a_clock_that_jumps_begins_anew() -> None:
    lag = Lag()
    lag(1000.0, 10.0)
    assert lag(3.0, 10.04) == 0
    assert lag(3.04, 10.08) == pytest.approx(0, abs=1e-3)


def test_a_link_that_is_too_thin_never_becomes_prompt() -> None:
    lag = Lag()
    ages = [lag(0.04 * frame, 10 + 0.12 * frame) for frame in range(1000)]
    assert all(after > before for before, after in pairwise(ages))
    assert ages[-1] > 75


def test_a_clock_that_is_set_forth_is_no_lateness() -> None:
    lag = Lag()
    lag(100.0, 10.0)
    assert lag(40.0, 10.04) == 0  # back by a minute: as if a minute late
    assert lag(40.04, 10.08) == pytest.approx(0, abs=1e-3)


def test_a_link_that_cannot_carry_the_stream_is_left_and_the_next_is_on_trial() -> None:
    link = Link(trial=False, began=10.0)
    assert link(0.4, 10.5) == 0.4
    for moment in (11.0, 12.0, 13.0):
        assert link(0.8, moment) == 0.8
        assert not link.hopeless
    assert link(0.8, 13.1) == 0.8
    assert link.hopeless
    # The next one counts as late until it has kept pace for two seconds, which a hiccup sets back.
    link = Link(trial=True, began=20.0)
    assert link(0.0, 20.1) > 1
    assert link(0.3, 21.0) > 1
    assert link(0.1, 22.9) > 1
    assert link(0.1, 23.1) == 0.1
    assert not link.trial
    assert link(0.3, 24.0) == 0.3


def test_a_hiccup_is_waited_for() -> None:
    link = Link(trial=False, began=0.0)
    for moment in range(1, 20):
        link(0.9 if moment % 2 else 0.0, float(moment))
        assert not link.hopeless


def test_what_a_server_had_queued_is_left_out() -> None:
    lag = Lag()
    assert lag(0.0, 10.0, waited=False) is None
    assert lag(0.04, 10.001, waited=False) is None
    assert lag(0.08, 10.03, waited=True) is not None
    assert lag(0.12, 10.031, waited=False) is not None


def test_a_new_size_must_hold() -> None:
    gate = SizeGate()
    assert gate((240, 320, 3))
    assert not gate((16, 16, 3))
    assert gate((240, 320, 3))
    assert gate.bogus == 1
    assert [gate((480, 640, 3)) for _ in range(6)] == [False] * 4 + [True] * 2


# The slot.


def test_slot_gives_the_frame_or_nothing() -> None:
    slot = Slot.create()
    other = Slot(os.dup(slot.handle))
    image = RNG.integers(0, 256, (24, 32, 3)).astype(np.uint8)
    slot.write(1, image)
    assert np.array_equal(other.read(1, 24, 32), image)
    for number in (2, 3, 4):
        slot.write(number, image)
    assert other.read(1, 24, 32) is None
    slot.set_deadline(12.5)
    assert other.deadline() == 12.5
    with pytest.raises(ValueError, match="larger than 8192x4320"):
        slot.write(5, np.broadcast_to(np.uint8(0), (9000, 9000, 3)))
    slot.close()
    other.close()


def test_full_memory_is_said_before_it_kills(monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    slot = Slot.create()
    monkeypatch.setattr("os.posix_fallocate", full)
    with pytest.raises(OSError, match="No space left"):
        slot.write(1, np.zeros((24, 32, 3), np.uint8))
    slot.close()


# Events.


def test_events_turn_over_and_append(tmp_path) -> None:
    import json

    from edgeseg.stream.sinks.events import EventsFile, EventsLog
    from edgeseg.stream.status import Status

    file = tmp_path / "e.jsonl"
    file.write_text('{"type": "mask"')  # of a run that was killed
    events = EventsFile(EventsLog(file, live=True, rotate=2000), "cam")
    for number in range(40):
        events.status(Status("cam", "LIVE" if number % 2 else "STALE", "", number, 1.0, 1e9))
        last = (tmp_path / "e.jsonl").read_text() or (tmp_path / "e.jsonl.1").read_text()
        assert json.loads(last.splitlines()[-1])["sequence"] == number  # there as soon as it is known
    events.close()
    parts = sorted(tmp_path.glob("e.jsonl.*"), key=lambda one: -int(one.suffix[1:]))
    rows = [line for part in [*parts, file] for line in part.read_text().splitlines()]
    assert rows[0] == '{"type": "mask"'
    assert [json.loads(row)["sequence"] for row in rows[1:-1]] == list(range(40))
    assert json.loads(rows[-1])["type"] == "end"
    assert all(part.stat().st_size < 2500 for part in parts)


def test_streams_share_one_file_of_events(tmp_path) -> None:
    import json

    from edgeseg.stream.sinks.events import EventsFile, EventsLog
    from edgeseg.stream.status import Status

    log = EventsLog(tmp_path / "e.jsonl", live=True, rotate=2000)
    streams = [EventsFile(log, name) for name in ("A", "B")]
    for number in range(40):
        for name, events in zip("AB", streams, strict=True):
            events.status(Status(name, "LIVE" if number % 2 else "STALE", "", number, 1.0, 1e9))
    streams[0].close()
    streams[1].status(Status("B", "LOST", "", 40, 1.0, 1e9))
    streams[1].close()
    parts = sorted(tmp_path.glob("e.jsonl.*"), key=lambda one: -int(one.suffix[1:]))
    rows = [json.loads(line) for part in [*parts, tmp_path / "e.jsonl"] for line in part.read_text().splitlines()]
    said = [(row["stream"], row["sequence"]) for row in rows if row["type"] == "state"]
    assert said == [(name, number) for number in range(40) for name in "AB"] + [("B", 40)]
    assert [row["stream"] for row in rows if row["type"] == "end"] == ["A", "B"]


def test_a_row_that_the_disk_takes_in_part_is_taken_back(tmp_path) -> None:
    from edgeseg.errors import OutputError
    from edgeseg.stream.sinks.events import EventsLog

    log = EventsLog(tmp_path / "e.jsonl", live=True)
    log.join()
    log.add({"row": 1})

    class Full:
        def __init__(self, file) -> None:
            self._file = file

        def write(self, data: bytes) -> int:
            if len(data) > 5:
                return self._file.write(data[:5])
            raise OSError(28, "No space left on device")

        def __getattr__(self, name: str) -> object:
            return getattr(self._file, name)

    log._file = Full(log._file)
    with pytest.raises(OutputError, match="no space left"):
        log.add({"row": 2})
    log.leave()
    assert (tmp_path / "e.jsonl").read_text() == '{"row": 1}\n'


# Passwords.


@pytest.mark.parametrize(
    "text",
    [
        "rtsp://nurse:geheim@camera/live",
        "rtsp:nurse:geheim@camera/live",
        "rtsp:/nurse:geheim@camera/live",
        "RTSPS://nurse:ge@geheim@camera:322/live",
        "rtsp://nurse:ge/geheim@camera/live",
        "http://camera/video?user=nurse&password=geheim",
        "srt://camera:9000?passphrase=geheim&mode=caller",
        "Error: 'rtsp://nurse:geheim@camera/live' (111)",
        "https://:geheim@camera/",
        "rtsp://nurse:ge'geheim@camera/live",
        "rtsp://camera/user=admin_password=geheim_channel=1_stream=0.sdp",
        "http://camera/video?loginuse=admin&loginpas=geheim",
        "http://camera/video?SessionToken=geheim&x=1",
        "gst:rtspsrc location=rtsp://camera/ user-id=admin user-pw=geheim ! decodebin",
        "nurse:geheim@camera/live",
        'gst:rtspsrc location=rtsp://camera/ user-pw="geheim" ! decodebin',
        "gst:rtspsrc location=rtsp://camera/ user-pw='not geheim' ! decodebin",
        "http://camera/video?password=it's-geheim",
        'http://camera/video?pwd=ab"geheim&x=1',
        'http://camera/video?pwd="geheim',
    ],
)
def test_passwords_are_hidden(text: str) -> None:
    assert "geheim" not in redact(text)
    assert "camera" in redact(text)


def test_a_remembered_password_is_hidden_however_it_stands() -> None:
    remember("rtsp://nurse:ge heim <1>@camera/live")
    assert redact("ffmpeg: cannot log in with ge heim <1>") == "ffmpeg: cannot log in with ***"


def test_a_password_in_quotes_is_hidden_without_them_too() -> None:
    stream = 'gst:rtspsrc location=rtsp://camera/ user-pw="ge heim <2>"'
    assert names_of([stream]) == ["gst:rtspsrc location=rtsp://camera/ user-pw=***"]
    assert redact_of("cannot log in with ge heim <2>", stream) == "cannot log in with ***"
    assert names_of(["rtsp://u:a b@camera/1", "rtsp://v:c@camera/1"]) == [
        "rtsp://***@camera/1 (1)",
        "rtsp://***@camera/1 (2)",
    ]


def test_plain_texts_stay() -> None:
    for text in ("clip.mp4", "rtsp://camera/live", "a@b", "12:30 user@host wrote", "/a/b:c.mp4", "no = sign"):
        assert redact(text) == text


def test_what_a_library_says_of_a_url_is_hidden() -> None:
    url = "rtsp://nurse:ge%40heim@camera/live"
    assert redact_of("login as nurse with ge@heim or ge%40heim failed", url).count("***") == 2
