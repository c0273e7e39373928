"""``edgeseg phantom``: the folder it writes, its colours, and what it leaves behind when it fails."""

from __future__ import annotations

import json
from pathlib import Path

import av
import cv2
import numpy as np
import pytest
import typer
from av.video.reformatter import ColorRange
from typer.testing import CliRunner

from edgeseg.commands.phantom import phantom
from edgeseg.data.phantom import PHANTOMS, write
from edgeseg.errors import OutputError, UsageError


def test_folder_data_set(tmp_path: Path) -> None:
    """Equal stems, the clip's own frames, and what is in which frame."""
    out = tmp_path / "clip"
    write.write_clip("colonoscopy", out, (96, 72), 48, 25, 5)
    stems = [f"{i:04d}.png" for i in range(48)]
    assert sorted(p.name for p in (out / "images").iterdir()) == stems
    assert sorted(p.name for p in (out / "masks").iterdir()) == stems
    about = json.loads((out / "phantom.json").read_text())
    clip = PHANTOMS["colonoscopy"](48, 96, 72, 5)
    for i in (0, 30):
        mask = cv2.imread(str(out / "masks" / stems[i]), cv2.IMREAD_UNCHANGED)
        assert np.array_equal(cv2.imread(str(out / "images" / stems[i])), clip[i].image)
        assert np.array_equal(mask, clip[i].mask)
        assert (i in about["frames_with_target"]) == bool(mask.any())
    assert about["phantom"] == "colonoscopy"
    assert [about[key] for key in ("width", "height", "frames", "seed")] == [96, 72, 48, 5]
    assert sorted(p.name for p in tmp_path.iterdir()) == ["clip"]


def _bt709_to_bgr(packed: np.ndarray) -> np.ndarray:
    """BT.709 limited range by the book, in floats: swscale's own rounding loses a grey level on average."""
    height, width = packed.shape[0] * 2 // 3, packed.shape[1]
    y = (packed[:height].astype(np.float32) - 16) / 219
    chroma = packed[height:].reshape(2, height // 2, width // 2).astype(np.float32)
    cb, cr = ((cv2.resize(plane, (width, height)) - 128) / 224 for plane in chroma)
    red, blue = y + 1.5748 * cr, y + 1.8556 * cb
    green = (y - 0.2126 * red - 0.0722 * blue) / 0.7152
    return np.clip(255 * np.stack([blue, green, red], axis=2), 0, 255)


@pytest.mark.parametrize("kind", sorted(PHANTOMS))
def test_video_is_the_frames(kind: str, tmp_path: Path) -> None:
    """Decoded by the matrix its tags name, the clip gives the PNG frames back within the codec's error."""
    out = tmp_path / "clip"
    write.write_clip(kind, out, (320, 240), 4, 29.97, 1)
    with av.open(str(out / "clip.mp4")) as video:
        stream = video.streams.video[0]
        assert float(stream.average_rate) == pytest.approx(29.97, abs=0.01)
        context = stream.codec_context
        frames = list(video.decode(stream))
        assert (context.name, context.pix_fmt) == ("h264", "yuv420p")
        tags = (
            context.colorspace,
            context.color_primaries,
            context.color_trc,
            context.color_range,
        )
        assert tags == (1, 1, 1, ColorRange.MPEG)
    assert len(frames) == 4
    for i, frame in enumerate(frames):
        decoded = _bt709_to_bgr(frame.to_ndarray(format="yuv420p"))
        wanted = cv2.imread(str(out / "images" / f"{i:04d}.png")).astype(np.float32)
        assert np.abs(decoded - wanted).mean() < 3
        # A wrong matrix or range shifts whole channels by up to ten grey levels.
        assert np.abs((decoded - wanted).mean(axis=(0, 1))).max() < 1


@pytest.mark.parametrize(
    ("kind", "size", "framerate"),
    [
        ("colonoscopy", (161, 120), 25),
        ("colonoscopy", (160, 121), 25),
        ("brain", (160, 120), 25),
    ]
    + [("fundus", (160, 120), rate) for rate in (0.0, -1.0, float("nan"))],
)
def test_wrong_calls(kind: str, size: tuple[int, int], framerate: float, tmp_path: Path) -> None:
    """One sentence, and nothing written."""
    with pytest.raises(UsageError, match=r"^[^\n]+; [^\n]+$"):
        write.write_clip(kind, tmp_path / "clip", size, 2, framerate, 0)
    assert list(tmp_path.iterdir()) == []


def test_other_folders_are_left_alone(tmp_path: Path) -> None:
    """A typing error in --out does not cost the user a folder; an old phantom is replaced."""
    out = tmp_path / "mine"
    out.mkdir()
    (out / "thesis.txt").write_text("years of work")
    with pytest.raises(OutputError, match="not a phantom"):
        write.write_clip("fundus", out, (64, 48), 1, 25, 0)
    (out / "thesis.txt").unlink()
    write.write_clip("fundus", out, (64, 48), 2, 25, 0)
    write.write_clip("fundus", out, (64, 48), 1, 25, 0)
    assert len(list((out / "images").iterdir())) == 1


def test_interrupted_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Ctrl-C in the middle: neither the folder nor temporary files stay."""

    def stop(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(write, "_to_yuv", stop)
    with pytest.raises(KeyboardInterrupt):
        write.write_clip("fundus", tmp_path / "clip", (64, 48), 3, 25, 0)
    assert not (tmp_path / "clip").exists()
    assert [p.name for p in tmp_path.iterdir() if p.suffix == ".tmp"] == []


def _app() -> typer.Typer:
    app = typer.Typer()
    app.command()(phantom)
    return app


def test_command(tmp_path: Path) -> None:
    """The options of the contract; no progress bar in a pipe."""
    out = tmp_path / "clip"
    call = [
        "fundus",
        "--out",
        str(out),
        "--video-size",
        "96x64",
        "--frames",
        "2",
        "--framerate",
        "10",
        "--seed",
        "4",
    ]
    result = CliRunner().invoke(_app(), call)
    assert result.exit_code == 0, result.output
    assert result.output.count("\n") == 1
    assert (out / "clip.mp4").is_file()


@pytest.mark.parametrize("size", ["640", "640x", "x480", "640*480", "-2x4", "640x480x3"])
def test_command_size_not_understood(size: str, tmp_path: Path) -> None:
    """A size is WIDTHxHEIGHT."""
    result = CliRunner().invoke(_app(), ["fundus", "--out", str(tmp_path / "clip"), f"--video-size={size}"])
    assert isinstance(result.exception, UsageError)
    assert "640x480" in str(result.exception)
