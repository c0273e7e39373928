"""Video files that are odd but ordinary: each is segmented, or refused with a sentence."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest

from edgeseg.commands.options import Codec
from edgeseg.errors import InputError, OutputError
from edgeseg.stream.sinks.encoder import Encoder
from edgeseg.stream.sources import open_source, replay, video
from edgeseg.stream.sources.base import SourceOptions


def written(file: Path, *, title: str = "", interlaced: bool = False) -> Path:
    with av.open(str(file), "w") as out:
        out.metadata["title"] = title
        stream = out.add_stream("mpeg4", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        if interlaced:
            stream.options = {"flags": "+ildct+ilme"}
        for level in range(0, 200, 40):
            picture = np.full((48, 64, 3), level, np.uint8)
            if interlaced:
                picture[1::2] = 250  # the other field, of another moment
            out.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="bgr24")))
        out.mux(stream.encode(None))
    return file


def changed(file: Path, old: bytes, new: bytes) -> str:
    data = file.read_bytes()
    assert old in data
    file.write_bytes(data.replace(old, new))
    return str(file)


def test_a_title_in_latin_1(tmp_path: Path) -> None:
    file = written(tmp_path / "a.mkv", title="caf#")
    assert len(list(open_source(changed(file, b"caf#", b"caf\xe9")))) == 5


def test_a_name_with_a_colon(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    name = written(tmp_path / "2026-11-24T10:30:00.mp4").name
    assert len(list(open_source(name))) == 5
    camera = replay.camera(name, SourceOptions())  # beside live streams
    assert camera.open().framerate == 25
    camera.close()


def test_a_codec_that_this_ffmpeg_lacks(tmp_path: Path) -> None:
    file = written(tmp_path / "a.avi")
    with pytest.raises(InputError, match="cannot decode its codec"):
        open_source(changed(file, b"FMP4", b"MSS3"))


def test_a_decoder_that_refuses(tmp_path: Path) -> None:
    """FFmpeg has more errors than invalid data: of these bytes its H.263 says that it is not permitted."""
    file = written(tmp_path / "a.avi")
    with pytest.raises(InputError, match="holds no frame that can be decoded"):
        list(open_source(changed(file, b"FMP4", b"LSVM")))


def test_a_frame_that_cannot_be_converted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuses(*_: object) -> None:
        raise ValueError("Conversion to numpy array with format x is not yet supported")

    source = open_source(str(written(tmp_path / "a.avi")))
    monkeypatch.setattr(video, "to_bgr", refuses)
    with pytest.raises(InputError, match="a frame of 64x48 cannot be converted"):
        next(iter(source))


@pytest.mark.parametrize("rate", [120000 / 1001, 90000.0, 1e6, 25.0, 30000 / 1001])
def test_mpeg4_at_any_rate(tmp_path: Path, rate: float) -> None:
    encoder = Encoder(tmp_path / "a.mp4", rate, Codec.mpeg4)
    for _ in range(3):
        encoder.write(np.zeros((48, 64, 3), np.uint8))
    encoder.close()
    with av.open(str(tmp_path / "a.mp4")) as out:
        times = [frame.time for frame in out.decode(video=0)]
    assert times == pytest.approx([0, 1 / min(rate, 65535), 2 / min(rate, 65535)], rel=1e-3)


def test_an_encoder_that_refuses(tmp_path: Path) -> None:
    encoder = Encoder(tmp_path / "a.mp4", 25.0, Codec.mpeg4)
    encoder._rate = Fraction(90000)
    with pytest.raises(OutputError, match="mpeg4 cannot encode 64x48 at 90000 frames a second"):
        encoder.write(np.zeros((48, 64, 3), np.uint8))
    with pytest.raises(OutputError, match="mpeg4 cannot encode"):
        encoder.close()
    assert list(tmp_path.iterdir()) == []


def test_interlaced_video_is_shown_by_one_field_and_said(tmp_path: Path) -> None:
    source = open_source(str(written(tmp_path / "a.avi", interlaced=True)))
    for number, frame in enumerate(source):
        assert frame.image.max() < 40 * number + 30  # combed, every other line would be 250
    assert "interlaced" in source.notes[0]
    assert open_source(str(written(tmp_path / "b.avi"))).notes == ()


def test_interlaced_is_said_at_the_end(tiny_bundle: Path, tmp_path: Path, edgeseg_cli) -> None:
    file = written(tmp_path / "a.avi", interlaced=True)
    done = edgeseg_cli("infer", "--stream", file, "--model", tiny_bundle, "--json", "-")
    assert "interlaced" in done.json["notes"][0]
    assert "interlaced" in done.err
