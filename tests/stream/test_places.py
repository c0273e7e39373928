"""`edgeseg infer`: what is read is never written over, and names of files are shown and found as they are."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeseg.errors import DataError, InputError, UsageError
from edgeseg.stream.frame import StreamFrame
from edgeseg.stream.infer import Outputs, Places, check_apart
from edgeseg.stream.live.infer import check as live_check
from edgeseg.stream.live.pipeline import Policy
from edgeseg.stream.places import locked
from edgeseg.stream.sinks.masks import MaskFolder
from edgeseg.stream.sinks.record import Recorder
from edgeseg.stream.sources import kind_of, open_source
from edgeseg.stream.sources.base import SourceOptions
from edgeseg.stream.sources.stills import find


def picture(file: Path, height: int = 40, width: int = 40) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    done, data = cv2.imencode(".png", np.zeros((height, width, 3), np.uint8))
    assert done
    file.write_bytes(data.tobytes())
    return file


def test_video_is_not_written_over_itself(tiny_bundle: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli) -> None:
    clip = tmp_path / "clip.mp4"
    shutil.copy(tiny_data / "clip.mp4", clip)
    before = clip.read_bytes()
    said = edgeseg_cli("infer", "--stream", clip, "--model", tiny_bundle, "--out", clip).sentence(2)
    assert "write somewhere else" in said
    assert clip.read_bytes() == before
    assert list(tmp_path.iterdir()) == [clip]


def test_outputs_stand_apart_from_what_is_read(tmp_path: Path) -> None:
    picture(tmp_path / "run" / "overlay.png")
    frames = picture(tmp_path / "frames" / "a.png").parent
    for stream, outputs in (
        (frames, Outputs(masks=frames)),
        (frames / "a.png", Outputs(masks=tmp_path / "frames" / ".." / "frames")),
        (picture(tmp_path / "out" / "masks" / "a.png").parent, Outputs(out=tmp_path / "out")),
        (frames, Outputs(out=tmp_path / "x.mp4", events=tmp_path / "x.mp4")),
    ):
        source = open_source(str(stream))
        with pytest.raises(UsageError):
            check_apart(str(stream), source, Places.of(outputs, stills=True))
    check_apart(str(frames), open_source(str(frames)), Places.of(Outputs(out=tmp_path / "new"), stills=True))


def test_labels_of_a_data_set_stay(tiny_bundle: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli) -> None:
    """Beside images/ or negatives/ nobody's masks are written, whatever these are called and by whichever option."""
    own = Path(shutil.copytree(tiny_data, tmp_path / "own"))
    (own / "masks" / "0001.png").rename(own / "masks" / "0001.tif")
    picture(own / "negatives" / "n.png")
    (tmp_path / "link").symlink_to(own / "images")
    before = {file: file.read_bytes() for file in own.rglob("*") if file.is_file()}
    for stream, words in (
        (own / "images", ["--out", own]),
        (own / "images" / "0001.png", ["--masks", own / "masks"]),
        (own / "negatives", ["--out", own]),
        (tmp_path / "link", ["--masks", own / "images" / ".." / "masks"]),
    ):
        said = edgeseg_cli("infer", "--stream", stream, "--model", tiny_bundle, *words).sentence(2)
        assert "has its labels, beside " in said
        assert {file: file.read_bytes() for file in own.rglob("*") if file.is_file()} == before


def test_masks_that_somebody_drew_stay(tiny_bundle: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli) -> None:
    masks = tmp_path / "m"
    call = ["infer", "--stream", tiny_data / "images", "--model", tiny_bundle, "--masks", masks, "--quiet"]
    for _ in range(2):
        assert edgeseg_cli(*call).code == 0
    corrected = masks / "0003.png"
    cv2.imwrite(str(corrected), cv2.imread(str(corrected), cv2.IMREAD_UNCHANGED))
    (masks / "0004.png").unlink()
    before = corrected.read_bytes()
    assert f"{corrected} was not written by this version of edgeseg infer" in edgeseg_cli(*call).sentence(2)
    assert corrected.read_bytes() == before
    assert not (masks / "0004.png").exists()
    corrected.rename(masks / "0003.jpeg")  # labels of another kind: two files of one stem are no data set any more
    assert "0003.jpeg would have a mask of its name beside it" in edgeseg_cli(*call).sentence(2)


def test_outputs_have_names_of_their_own(tmp_path: Path) -> None:
    for outputs in (
        Outputs(out=tmp_path / "n.mkv", json=tmp_path / "n.mkv"),
        Outputs(events=tmp_path / "e", json=tmp_path / "x" / ".." / "e"),
        Outputs(out=tmp_path / "m.mkv", record=tmp_path / "m.part.mkv"),
    ):
        with pytest.raises(UsageError, match="two outputs"):
            live_check(["phantom:fundus"], outputs, SourceOptions(), Policy())
    live_check(["phantom:fundus"], Outputs(out=tmp_path, json=tmp_path / "n"), SourceOptions(), Policy())


def test_live_runs_read_no_file_that_they_write(tiny_data: Path, tmp_path: Path) -> None:
    (tmp_path / "ow" / "stream-1").mkdir(parents=True)
    clip, listed = tmp_path / "ow" / "stream-1" / "frames.mkv", tmp_path / "w.streams"
    shutil.copy(tiny_data / "clip.mp4", clip)
    streams = [str(clip), "phantom:fundus"]
    with pytest.raises(UsageError, match="is what --stream reads"):
        live_check(streams, Outputs(record=tmp_path / "ow"), SourceOptions(), Policy())
    listed.write_text("phantom:fundus\n")
    with pytest.raises(UsageError, match="is what --stream reads"):
        live_check(["phantom:fundus"], Outputs(events=listed), SourceOptions(), Policy(), [str(listed)])


def test_what_is_wrong_is_said_before_the_model_is_loaded() -> None:
    for options, policy in (
        (SourceOptions(video_size=(3, 5)), Policy()),
        (SourceOptions(), Policy(crop="12:x:0:0")),
    ):
        with pytest.raises((InputError, UsageError)):
            live_check(["phantom:colonoscopy"], Outputs(), options, policy)
    with pytest.raises(UsageError, match="--web 1:2:3"):
        live_check(["phantom:colonoscopy"], Outputs(web="1:2:3"), SourceOptions(), Policy())


def test_a_file_is_locked_by_whichever_option(tmp_path: Path) -> None:
    one = Outputs(record=tmp_path / "two")
    other = Outputs(record=tmp_path / "two" / "frames.mkv")
    assert set(locked(one, Places.of_streams(one, 1))) & set(locked(other, Places.of_streams(other, 1)))


def test_masks_of_an_earlier_run_are_set_aside(tmp_path: Path) -> None:
    masks = tmp_path / "masks"
    old, named = picture(masks / "00000007.png"), picture(masks / "patient.png")
    MaskFolder(masks, 1)
    assert [file.name for file in masks.iterdir()] == [named.name]
    (aside,) = tmp_path.glob("masks.2*")
    assert [file.name for file in aside.iterdir()] == [old.name]
    MaskFolder(masks, 1, numbered=False)
    assert named.exists()


def test_a_recording_of_two_sizes_is_two_files(tmp_path: Path) -> None:
    (tmp_path / "r-2.mkv").write_bytes(b"of somebody else")
    recorder = Recorder(tmp_path / "r.mkv")
    for index, side in enumerate((64, 64, 96, 96)):
        image = np.full((side, side, 3), 90, np.uint8)
        recorder.write(StreamFrame(image, index, index / 25, 0.0, 0.0, 0.0), None)
    recorder.close()
    assert (tmp_path / "r-2.mkv").read_bytes() == b"of somebody else"
    for name, side in (("r.mkv", 64), ("r-3.mkv", 96)):
        assert [one.image.shape[0] for one in open_source(str(tmp_path / name))] == [side, side]


def test_folder_with_brackets_and_hidden_files(tmp_path: Path) -> None:
    frames = tmp_path / "frames [a]"
    first, second = picture(frames / "x.png"), picture(frames / "y [1].png")
    (frames / "._x.png").write_bytes(b"macOS leaves these")
    for pattern in (frames, frames / "*.png"):
        assert find(str(pattern)) == [first, second]
    assert find(str(second)) == [second]


def test_a_gif_that_moves_is_a_video_whatever_its_name(tmp_path: Path) -> None:
    animation = cv2.Animation()
    animation.frames, animation.durations = [np.full((24, 32, 3), grey, np.uint8) for grey in (40, 120)], [100] * 2
    cv2.imwriteanimation(str(tmp_path / "a.gif"), animation)
    odd = (tmp_path / "a.gif").rename(tmp_path / os.fsdecode(b"x\xff.gif"))
    assert kind_of(str(odd)).name == "video file"
    with pytest.raises(DataError, match=r"holds 2 pictures"):
        list(open_source(str(tmp_path)))


def test_no_source_is_not_the_working_folder() -> None:
    with pytest.raises(InputError, match="empty"):
        open_source("")


def test_frame_of_one_pixel_and_brackets_in_names(tiny_bundle: Path, tmp_path: Path, edgeseg_cli) -> None:
    """Brackets are no markup; H.264 gets a frame of two pixels a side."""
    out = tmp_path / "one [red] [/x].mp4"
    done = edgeseg_cli("infer", "--stream", picture(tmp_path / "pixel.png", 1, 1), "--model", tiny_bundle, "--out", out)
    assert done.code == 0, done.err
    assert f"written: {out}" in done.out
    assert out.is_file()
