"""`edgeseg infer`: what is read is never written over, and names of files are shown and found as they are."""

from __future__ import annotations

import shutil
from pathlib import Path

import cv2
import numpy as np
import pytest

from edgeseg.errors import InputError, UsageError
from edgeseg.stream.infer import Outputs, Places, check_apart
from edgeseg.stream.sources import open_source
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


def test_folder_with_brackets_and_hidden_files(tmp_path: Path) -> None:
    frames = tmp_path / "frames [a]"
    first, second = picture(frames / "x.png"), picture(frames / "y [1].png")
    (frames / "._x.png").write_bytes(b"macOS leaves these")
    for pattern in (frames, frames / "*.png"):
        assert find(str(pattern)) == [first, second]
    assert find(str(second)) == [second]


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
