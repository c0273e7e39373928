"""`edgeseg infer`: every frame in order, whole outputs however it ends, one sentence for what cannot be."""

from __future__ import annotations

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

import edgeseg

FRAMES = 12


def infer_words(bundle: Path, stream: object, *words: object) -> list[object]:
    return ["infer", "--stream", stream, "--model", bundle, *words]


def hidden(folder: Path) -> list[str]:
    return sorted(str(file) for file in folder.rglob(".*"))


def decoded(file: Path) -> list[np.ndarray]:
    with av.open(str(file)) as video:
        return [frame.to_ndarray(format="bgr24") for frame in video.decode(video.streams.video[0])]


def rows(file: Path) -> list[dict]:
    return [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]


@pytest.fixture
def clip(tiny_data: Path) -> Path:
    return tiny_data / "clip.mp4"


def test_everything_into_a_folder(tiny_bundle: Path, clip: Path, tmp_path: Path, edgeseg_cli) -> None:
    out = tmp_path / "out"
    done = edgeseg_cli(*infer_words(tiny_bundle, clip, "--out", out, "--json", "-", "--threshold", 0.45))
    assert done.code == 0, done.err
    said = done.json
    assert (said["frames"], said["dropped"], said["states"]) == (FRAMES, 0, {"LIVE": FRAMES})
    assert said["fps"] > 0
    assert set(said["stages"]) >= {"decode", "fit", "infer", "post", "encode", "masks", "events"}
    for stage in said["stages"].values():
        assert 0 < stage["p50"] <= stage["p95"] <= stage["p99"]
    assert sorted(file.name for file in out.iterdir()) == ["events.jsonl", "masks", "overlay.mp4"]
    assert sorted(f.name for f in (out / "masks").iterdir()) == [f"{n:08d}.png" for n in range(FRAMES)]
    pictures = decoded(out / "overlay.mp4")
    assert [picture.shape for picture in pictures] == [(120, 160, 3)] * FRAMES
    assert hidden(tmp_path) == []


def test_masks_and_events_are_the_models(tiny_bundle: Path, clip: Path, tmp_path: Path, edgeseg_cli) -> None:
    """Frame by frame what Model says of the decoded clip, with the content box of the first frame held."""
    from edgeseg.stream.sources import open_source

    masks, events = tmp_path / "m", tmp_path / "e.jsonl"
    words = ["--masks", masks, "--events", events, "--threads", 1, "--threshold", 0.45]
    assert edgeseg_cli(*infer_words(tiny_bundle, clip, *words)).code == 0
    found = {row["sequence"]: row for row in rows(events) if row["type"] == "mask"}
    some = 0
    with edgeseg.open(tiny_bundle).load(threads=1, threshold=0.45) as model:
        placement = None
        for frame in open_source(str(clip)):
            placement = placement or model.place(frame.image)
            result = model(frame.image, placement)
            written = cv2.imread(str(masks / f"{frame.sequence:08d}.png"), cv2.IMREAD_UNCHANGED)
            assert np.array_equal(written, result.mask * 255)
            assert (frame.sequence in found) == bool(result.mask.any())
            if result.objects:
                some += 1
                row = found[frame.sequence]
                assert row["objects"] == [
                    {"class": o.class_name, "area": o.area, "box": list(o.box)} for o in result.objects
                ]
                assert row["source_time"] == pytest.approx(frame.sequence / 25)
    assert some, "the threshold is wrong for this test: no frame has a mask"


def test_rows_of_events(tiny_bundle: Path, clip: Path, tmp_path: Path, edgeseg_cli) -> None:
    events = tmp_path / "e.jsonl"
    before = time.time()
    assert edgeseg_cli(*infer_words(tiny_bundle, clip, "--events", events, "--threshold", 0)).code == 0
    *masks, end = rows(events)
    assert [row["sequence"] for row in masks] == list(range(FRAMES))
    for row in masks:
        assert row["type"] == "mask"
        assert row["stream"] == str(clip)
        assert "name" not in row
        assert before <= row["wall_time"] <= time.time()
        assert (row["state"], row["reason"]) == ("LIVE", "")
        assert row["age_ms"] > 0
        assert set(row["latency_ms"]) >= {"decode", "fit", "infer"}
        # Threshold 0 is "above nothing at all": the whole content, within the black border of the optics.
        assert row["objects"] == masks[0]["objects"]
        ((left, top, width, height),) = [one["box"] for one in row["objects"]]
        assert 0 < left < left + width < 160
        assert 0 < top < top + height < 120
        assert row["objects"][0]["area"] == width * height
    assert (end["type"], end["sequence"], end["objects"]) == ("end", FRAMES - 1, [])


def test_overlay_shows_the_mask(tiny_bundle: Path, clip: Path, tmp_path: Path, edgeseg_cli) -> None:
    plain, full = tmp_path / "none.mp4", tmp_path / "all.mkv"
    assert edgeseg_cli(*infer_words(tiny_bundle, clip, "--out", plain, "--threshold", 1)).code == 0
    assert edgeseg_cli(*infer_words(tiny_bundle, clip, "--out", full, "--threshold", 0)).code == 0
    source, without, tinted = decoded(clip), decoded(plain), decoded(full)
    assert len(without) == len(tinted) == FRAMES
    below = np.s_[60:, :]  # under the legend
    for one, two, three in zip(source, without, tinted, strict=True):
        assert np.abs(one[below].astype(int) - two[below]).mean() < 6
        assert np.abs(one[below].astype(int) - three[below]).mean() > 15
        assert np.abs(one[:40, :100].astype(int) - two[:40, :100]).mean() > 3  # legend and time


def test_frames_limit_and_no_output(tiny_bundle: Path, clip: Path, tmp_path: Path, edgeseg_cli) -> None:
    done = edgeseg_cli(*infer_words(tiny_bundle, clip, "--frames", 5, "--json", tmp_path / "s.json"))
    assert done.code == 0
    assert "engine: float (fp32) on" in done.out
    assert json.loads((tmp_path / "s.json").read_text())["frames"] == 5
    assert [file.name for file in tmp_path.iterdir()] == ["s.json"]
    quiet = edgeseg_cli(*infer_words(tiny_bundle, clip, "--frames", 1, "--quiet"))
    assert (quiet.code, quiet.out, quiet.err) == (0, "", "")


@pytest.mark.parametrize("backend", ["onnxruntime", "openvino"])
@pytest.mark.parametrize("threads", [1, 3])
def test_order_holds_with_frames_in_flight(
    tiny_bundle: Path,
    clip: Path,
    tmp_path: Path,
    edgeseg_cli,
    backend: str,
    threads: int,
) -> None:
    words = ["--masks", tmp_path / "m", "--backend", backend, "--threads", threads, "--threshold", 0.45]
    assert edgeseg_cli(*infer_words(tiny_bundle, clip, *words)).code == 0
    wanted = tmp_path / "w"
    assert (
        edgeseg_cli(
            *infer_words(
                tiny_bundle, clip, "--masks", wanted, "--backend", backend, "--threads", 1, "--threshold", 0.45
            )
        ).code
        == 0
    )
    for file in sorted(wanted.iterdir()):
        one, two = (cv2.imread(str(folder / file.name), 0) for folder in (wanted, tmp_path / "m"))
        assert (one != two).mean() < 0.01


# Pictures.


def test_folder_of_pictures(tiny_bundle: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli) -> None:
    out = tmp_path / "out"
    words = ["--out", out, "--json", "-", "--threshold", 0]
    done = edgeseg_cli(*infer_words(tiny_bundle, tiny_data / "images", *words))
    assert done.code == 0, done.err
    assert done.json["frames"] == FRAMES
    names = [f"{n:04d}" for n in range(FRAMES)]
    assert [row["name"] for row in rows(out / "events.jsonl") if row["type"] == "mask"] == names
    stems = [f"{name}.png" for name in names]
    for part in ("masks", "overlay"):
        assert sorted(file.name for file in (out / part).iterdir()) == stems
    assert cv2.imread(str(out / "masks" / "0003.png"), cv2.IMREAD_UNCHANGED).shape == (120, 160)
    assert hidden(tmp_path) == []


def test_glob_and_single_picture(tiny_bundle: Path, tiny_data: Path, edgeseg_cli) -> None:
    done = edgeseg_cli(*infer_words(tiny_bundle, f"{tiny_data}/images/000[0-4].png", "--json", "-"))
    assert done.json["frames"] == 5
    assert edgeseg_cli(*infer_words(tiny_bundle, tiny_data / "images/0001.png", "--json", "-")).json["frames"] == 1


def test_pictures_of_one_name_do_not_overwrite_each_other(
    tiny_bundle: Path,
    tiny_data: Path,
    tmp_path: Path,
    edgeseg_cli,
) -> None:
    for folder in ("a", "b"):
        (tmp_path / "in" / folder).mkdir(parents=True)
        shutil.copy(tiny_data / "images" / "0001.png", tmp_path / "in" / folder)
    masks = tmp_path / "masks"
    assert edgeseg_cli(*infer_words(tiny_bundle, f"{tmp_path}/in/*/*.png", "--masks", masks)).code == 0
    assert len(list(masks.iterdir())) == 2


def test_pictures_of_several_sizes(tiny_bundle: Path, tmp_path: Path, edgeseg_cli) -> None:
    folder = tmp_path / "in"
    folder.mkdir()
    sizes = {"a": (50, 70), "b": (1, 1), "c": (333, 41), "d": (7, 900)}
    for name, size in sizes.items():
        cv2.imwrite(str(folder / f"{name}.png"), np.full((*size, 3), 120, np.uint8))
    out = tmp_path / "out"
    assert edgeseg_cli(*infer_words(tiny_bundle, folder, "--out", out)).code == 0
    for name, size in sizes.items():
        assert cv2.imread(str(out / "masks" / f"{name}.png"), 0).shape == size


def test_damaged_picture_in_the_middle(tiny_bundle: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli) -> None:
    folder = Path(shutil.copytree(tiny_data / "images", tmp_path / "in"))
    (folder / "0005.png").write_bytes(b"no picture")
    said = edgeseg_cli(*infer_words(tiny_bundle, folder, "--masks", tmp_path / "m", "--events", tmp_path / "e.jsonl"))
    assert "0005.png: is no readable image" in said.sentence(3)
    assert len(list((tmp_path / "m").iterdir())) == 5
    assert rows(tmp_path / "e.jsonl")[-1]["type"] == "end"
    assert hidden(tmp_path) == []


# Sources that cannot be.


@pytest.mark.parametrize(
    ("source", "code", "said"),
    [
        ("none.mp4", 3, "no such file"),
        ("empty.mp4", 3, "the file is empty"),
        ("text.mp4", 3, "is no video, or a damaged one"),
        ("half.mp4", 3, "is no video, or a damaged one"),
        ("sound.wav", 3, "holds no video stream"),
        ("nothing", 3, "no pictures found"),
        ("*.png", 3, "no pictures found"),
        ("none.png", 3, "no pictures found"),
        ("17", 4, "camera 17: cannot be opened"),
        ("99999999999999999999", 4, "cannot be opened"),
        ("²", 3, "no such file"),
        ("", 3, "is empty; give a camera"),
        ("x" * 5000, 3, "no such file|cannot be"),
        ("rtsp2://user:geheim@camera/live", 3, "no such kind of source"),
    ],
)
def test_sources_that_cannot_be(
    tiny_bundle: Path,
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    edgeseg_cli,
    source: str,
    code: int,
    said: str,
) -> None:
    import re
    import wave

    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty.mp4").touch()
    (tmp_path / "text.mp4").write_text("no video")
    (tmp_path / "half.mp4").write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])
    (tmp_path / "nothing").mkdir()
    with wave.open("sound.wav", "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(8000)
        sound.writeframes(bytes(16000))
    before = sorted(tmp_path.rglob("*"))
    done = edgeseg_cli(*infer_words(tiny_bundle, source, "--out", "out.mp4", "--events", "e.jsonl"))
    text = done.sentence(code)
    assert re.search(said, text), text
    assert "geheim" not in text
    assert sorted(tmp_path.rglob("*")) == before


def remuxed(clip: Path, file: Path) -> Path:
    with av.open(str(clip)) as source, av.open(str(file), "w") as target:
        stream = target.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                target.mux(packet)
    return file


def test_truncated_video_is_segmented_as_far_as_it_goes(
    tiny_bundle: Path,
    clip: Path,
    tmp_path: Path,
    edgeseg_cli,
) -> None:
    whole = remuxed(clip, tmp_path / "a.ts")
    cut = tmp_path / "cut.ts"
    cut.write_bytes(whole.read_bytes()[: int(whole.stat().st_size * 0.6)])
    out = tmp_path / "out.mp4"
    done = edgeseg_cli(*infer_words(tiny_bundle, cut, "--out", out, "--json", tmp_path / "s.json", "--quiet"))
    frames = json.loads((tmp_path / "s.json").read_text())["frames"]
    assert 1 <= frames < FRAMES
    assert len(decoded(out)) == frames
    assert done.code in (0, 3)  # a transport stream does not say how long it should be
    assert "Traceback" not in done.err


def test_damaged_packets_are_said(tiny_bundle: Path, clip: Path, tmp_path: Path, edgeseg_cli) -> None:
    file = remuxed(clip, tmp_path / "a.mkv")
    data = bytearray(file.read_bytes())
    rng = np.random.default_rng(0)
    for at in rng.integers(len(data) // 2, len(data) * 3 // 4, 200):
        data[at] ^= 0xFF
    file.write_bytes(data)
    done = edgeseg_cli(*infer_words(tiny_bundle, file, "--json", tmp_path / "s.json", "--quiet"))
    said = done.sentence(3)
    assert "damaged" in said or "truncated" in said or "reading stopped" in said
    assert json.loads((tmp_path / "s.json").read_text())["frames"] >= 1


def test_what_a_recording_has_no_use_for_is_said(tiny_bundle: Path, clip: Path, edgeseg_cli) -> None:
    done = edgeseg_cli(*infer_words(tiny_bundle, clip, "--duration", 0.1, "--no-retry"))
    assert done.code == 0
    assert "--duration, --no-retry: of live streams alone" in " ".join(done.out.split())
    assert "live streams alone" not in edgeseg_cli(*infer_words(tiny_bundle, clip)).out


# Outputs that cannot be.


def test_models_that_cannot_run(tiny_run: Path, clip: Path, tmp_path: Path, edgeseg_cli) -> None:
    assert "make one with: edgeseg export" in edgeseg_cli(*infer_words(tiny_run, clip)).sentence(2)
    assert "no such run" in edgeseg_cli(*infer_words(tmp_path / "none", clip)).sentence(3)


def test_outputs_that_cannot_be(tiny_bundle: Path, clip: Path, tmp_path: Path, edgeseg_cli) -> None:
    (tmp_path / "file").write_text("years of work")
    (tmp_path / "folder.mp4").mkdir()
    before = sorted(tmp_path.rglob("*"))
    for words, code in (
        (["--out", tmp_path / "file" / "out.mp4"], 5),
        (["--events", tmp_path / "file" / "e.jsonl"], 5),
        (["--masks", tmp_path / "file"], 5),
        (["--out", tmp_path / "file"], 5),
        (["--out", tmp_path / "folder.mp4"], 5),
        (["--out", tmp_path / "out.avi"], 2),
        (["--out", tmp_path / "out.mp4", "--events", tmp_path / "folder.mp4"], 5),
    ):
        assert edgeseg_cli(*infer_words(tiny_bundle, clip, *words)).sentence(code)
        assert sorted(tmp_path.rglob("*")) == before
    assert (tmp_path / "file").read_text() == "years of work"


def test_show_without_a_window(tiny_bundle: Path, clip: Path, tmp_path: Path, edgeseg_cli, monkeypatch) -> None:
    monkeypatch.delenv("DISPLAY", raising=False)
    monkeypatch.delenv("WAYLAND_DISPLAY", raising=False)
    done = edgeseg_cli(*infer_words(tiny_bundle, clip, "--show", "--out", tmp_path / "out.mp4"))
    said = done.sentence(6)
    assert "pip install opencv-python" in said or "no display" in said
    assert list(tmp_path.iterdir()) == []


def test_second_writer_of_one_output(tiny_bundle: Path, clip: Path, tmp_path: Path, edgeseg_cli) -> None:
    from edgeseg.atomic import writer_lock

    out = tmp_path / "out.mp4"
    with writer_lock(out):
        done = edgeseg_cli(*infer_words(tiny_bundle, clip, "--out", out))
        assert "another edgeseg is writing" in done.sentence(5)
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    place = tmp_path / "disk"
    place.mkdir()
    call = ["mount", "-t", "tmpfs", "-o", "size=48k", "tmpfs", str(place)]
    if shutil.which("mount") is None or subprocess.run(call, capture_output=True).returncode:
        pytest.skip("a file system cannot be mounted here (needs root)")
    yield place
    subprocess.run(["umount", str(place)], check=True)


@pytest.mark.parametrize("output", ["out.mp4", "out.mkv", "masks", "events.jsonl"])
def test_full_disk(tiny_bundle: Path, clip: Path, small_disk: Path, edgeseg_cli, output: str) -> None:
    (small_disk / "filler").write_bytes(bytes(44 << 10))
    option = {"masks": "--masks", "events.jsonl": "--events"}.get(output, "--out")
    words = [option, small_disk / output, "--threshold", 0]
    said = edgeseg_cli(*infer_words(tiny_bundle, clip, *words)).sentence(5)
    assert "no space left while writing" in said
    assert hidden(small_disk) == []
    assert not (small_disk / output).is_file()


# Stopped from outside.


ENDS = [
    ([signal.SIGINT], {130}),
    ([signal.SIGTERM], {143}),
    ([signal.SIGHUP], {129}),
    # As systemd has it where SendSIGHUP= is set; where both wait, the one of lower number is first.
    ([signal.SIGTERM, signal.SIGHUP], {129, 143}),
]


def long_clip(clip: Path, folder: Path, frames: int = 5000) -> Path:
    """The clip's frames over and over."""
    long = folder / "long.mp4"
    pictures = decoded(clip)
    with av.open(str(long), "w") as video:
        stream = video.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        stream.options = {"preset": "ultrafast"}
        for index in range(frames):
            video.mux(stream.encode(av.VideoFrame.from_ndarray(pictures[index % FRAMES], format="bgr24")))
        video.mux(stream.encode(None))
    return long


@pytest.mark.parametrize(("numbers", "codes"), ENDS)
def test_signals(tiny_bundle: Path, clip: Path, tmp_path: Path, numbers: list[signal.Signals], codes: set[int]) -> None:
    """Outputs are finished and playable, nothing temporary is left, and it takes no two seconds."""
    long = long_clip(clip, tmp_path)
    out = tmp_path / "out"
    call = [sys.executable, "-m", "edgeseg.cli", "infer", "--stream", str(long), "--model", str(tiny_bundle)]
    call += ["--out", str(out), "--threshold", "0"]
    with subprocess.Popen(call, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        end = time.monotonic() + 60
        while len(list((out / "masks").glob("0*.png")) if (out / "masks").is_dir() else []) < 20:
            assert process.poll() is None, process.communicate()
            assert time.monotonic() < end
            time.sleep(0.02)
        for number in numbers:
            process.send_signal(number)
        start = time.monotonic()
        said = process.communicate(timeout=30)
        took = time.monotonic() - start
    assert process.returncode in codes, said
    assert said[1].count("\n") == 1
    assert said[1].startswith("edgeseg: ")
    assert took < 5  # the goal is 2 s on a machine of one's own
    assert hidden(tmp_path) == []
    masks = sorted(file.name for file in (out / "masks").iterdir())
    assert masks == [f"{n:08d}.png" for n in range(len(masks))]
    assert 20 <= len(masks) < 5000
    assert abs(len(decoded(out / "overlay.mp4")) - len(masks)) <= 1
    found = rows(out / "events.jsonl")
    assert [row["sequence"] for row in found[:-1]] == list(range(len(found) - 1))
    assert found[-1]["type"] == "end"


@pytest.mark.slow
def test_kill_9_leaves_old_outputs_whole(tiny_bundle: Path, clip: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.mp4"
    call = [sys.executable, "-m", "edgeseg.cli", "infer", "--stream", str(clip), "--model", str(tiny_bundle)]
    subprocess.run([*call, "--out", str(out), "--quiet"], check=True)
    before = out.read_bytes()
    with subprocess.Popen([*call, "--out", str(out)]) as process:
        end = time.monotonic() + 60
        while not any(file.suffix == ".mp4" for file in tmp_path.glob(".out*")) and time.monotonic() < end:
            time.sleep(0.002)
        os.kill(process.pid, signal.SIGKILL)
    assert out.read_bytes() == before
    assert len(decoded(out)) == FRAMES


# Python.


def test_stream_from_python(tiny_bundle: Path, clip: Path) -> None:
    seen = []
    with edgeseg.open(tiny_bundle).load() as model:
        summary = model.stream(str(clip), on_result=lambda result: seen.append((result.sequence, result.state)))
    assert seen == [(n, "LIVE") for n in range(FRAMES)]
    assert summary.frames == FRAMES
    assert summary.dropped == 0
    assert summary.stages["infer"].p95 > 0


def test_error_in_on_result_ends_the_run(tiny_bundle: Path, clip: Path) -> None:
    import threading

    def fail(_: object) -> None:
        raise ZeroDivisionError

    before = threading.active_count()
    with edgeseg.open(tiny_bundle).load() as model, pytest.raises(ZeroDivisionError):
        model.stream(str(clip), on_result=fail)
    assert threading.active_count() <= before


def test_bench(tiny_bundle: Path, tmp_path: Path, edgeseg_cli) -> None:
    times = tmp_path / "t.csv"
    words = ["--duration", 0, "--warmUp", 0, "--iterations", 7, "--percentile", "50,90", "--exportTimes", times]
    done = edgeseg_cli("bench", tiny_bundle, *words, "--backend", "openvino", "--json", "-")
    assert done.code == 0, done.err
    said = done.json
    assert (said["backend"], said["precision"], said["iterations"]) == ("openvino", "fp32", 7)
    assert 0 < said["latency_ms"]["min"] <= said["latency_ms"]["p50"] <= said["latency_ms"]["p90"]
    assert said["includes_copies"] is True
    assert said["cuda_graph"] is False
    assert len(times.read_text().splitlines()) == 8
    for wrong in ("0", "101", "a,b", ""):
        assert "--percentile" in edgeseg_cli("bench", tiny_bundle, "--percentile", wrong).sentence(2)


def test_names_that_are_no_utf8(tiny_bundle: Path, clip: Path, tmp_path: Path, edgeseg_cli) -> None:
    """As of old disks: OpenCV's drawing ended the process on them."""
    folder = tmp_path / "pictures"
    folder.mkdir()
    cv2.imwrite(str(folder / "a.png"), decoded(clip)[0])
    (folder / "a.png").rename(os.fsdecode(bytes(folder) + b"/x\xff.png"))
    movie = Path(shutil.copy(clip, os.fsdecode(bytes(tmp_path) + b"/y\xff.mp4")))
    for stream in (folder, movie):
        out, events = tmp_path / f"out{stream.suffix}", tmp_path / f"{stream.suffix}.jsonl"
        done = edgeseg_cli(*infer_words(tiny_bundle, stream, "--out", out, "--json", "-", "--events", events))
        assert done.code == 0, done.err
        assert done.json["frames"] == sum(row["type"] == "mask" for row in rows(events))
    assert [file.name for file in (tmp_path / "out" / "masks").iterdir()] == ["x\\udcff.png"]


def test_a_closed_terminal_finishes_the_outputs(tiny_bundle: Path, clip: Path, tmp_path: Path) -> None:
    """The progress bar has nowhere to go then; what ended the command is still the terminal, not an output."""
    out, long = tmp_path / "out", long_clip(clip, tmp_path, 1500)
    call = [sys.executable, "-m", "edgeseg.cli", "infer", "--stream", str(long), "--model", str(tiny_bundle)]
    master, slave = pty.openpty()
    # The first terminal that the leader of a session opens is its own.
    opened = f'exec "$@" < {os.ttyname(slave)} > {os.ttyname(slave)} 2>&1'
    call = ["sh", "-c", opened, "sh", *call, "--out", str(out)]
    with subprocess.Popen(call, start_new_session=True) as process:
        os.close(slave)
        end = time.monotonic() + 60
        while len(list((out / "masks").glob("0*.png")) if (out / "masks").is_dir() else []) < 5:
            assert process.poll() is None
            assert time.monotonic() < end
            time.sleep(0.02)
        os.close(master)
        assert process.wait(30) == 129
    assert hidden(tmp_path) == []
    assert rows(out / "events.jsonl")[-1]["type"] == "end"
