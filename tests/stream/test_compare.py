"""`edgeseg compare` and `edgeseg sources`."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import av
import cv2
import numpy as np
import pytest

from edgeseg.bundle import open_model
from edgeseg.compare import compare, dice
from edgeseg.model import Model, Result
from edgeseg.stream import pipeline
from edgeseg.stream.sinks.encoder import Encoder
from edgeseg.stream.sources import open_source
from edgeseg.stream.sources.video import ends_early

FRAMES = 12


@pytest.fixture
def clip(tiny_data: Path) -> Path:
    return tiny_data / "clip.mp4"


def test_dice_of_masks() -> None:
    empty, half, full = (np.zeros((4, 4), np.uint8) for _ in range(3))
    half[:2], full[:] = 1, 1
    assert dice(empty, empty) == 1
    assert dice(empty, half) == 0
    assert dice(half, full) == pytest.approx(2 * 8 / 24)
    assert dice(half * 2, half) == 0


def test_a_model_equals_itself(tiny_bundle: Path, clip: Path, edgeseg_cli) -> None:
    done = edgeseg_cli(
        "compare", tiny_bundle, tiny_bundle, "--stream", clip, "--min-dice", 1, "--threads", 1, "--json", "-"
    )
    assert done.code == 0, done.err
    assert (done.json["frames"], done.json["dice_mean"], done.json["dice_min"]) == (FRAMES, 1, 1)
    assert done.json["flicker"]["a"] == done.json["flicker"]["b"]
    assert done.json["latency_ms"]["a"]["p50"] > 0


@pytest.fixture
def grey_is_probability(monkeypatch: pytest.MonkeyPatch) -> None:
    """Masks that move with the picture: the tiny model, trained for a moment, says the same of every pixel."""
    monkeypatch.setattr(Model, "run", lambda _, fitted: np.ascontiguousarray(fitted[None, ..., 0]))


@pytest.mark.usefixtures("grey_is_probability")
def test_masks_are_smoothed_as_in_infer(tiny_bundle: Path, clip: Path) -> None:
    shown: list[np.ndarray] = []
    with open_model(tiny_bundle).load() as plain, open_model(tiny_bundle).load() as smooth:
        output = smooth.spec.output.model_copy(update={"smoothing": 0.9})
        smooth.spec = smooth.spec.model_copy(update={"output": output})
        pipeline.run(smooth, str(clip), on_result=lambda result: shown.append(result.mask))
        found = compare(plain, smooth, open_source(str(clip)))
    wanted = [1 - dice(before, after) for before, after in pairwise(shown)]
    assert found.b.flicker == wanted
    assert found.a.flicker != wanted


@pytest.mark.usefixtures("grey_is_probability")
def test_each_still_is_another_picture(tiny_bundle: Path, tmp_path: Path, edgeseg_cli) -> None:
    rng = np.random.default_rng(0)
    for index, left in enumerate((10, 90)):
        frame = np.zeros((160, 240, 3), np.uint8)
        frame[20:140, left : left + 120] = rng.integers(90, 255, (120, 120, 3))
        cv2.imwrite(str(tmp_path / f"{index}.png"), frame)
    shown: list[Result] = []
    with open_model(tiny_bundle).load() as a, open_model(tiny_bundle).load() as b:
        assert a.spec.frame.fit.region == "content"
        pipeline.run(a, str(tmp_path), on_result=shown.append)
        sides = compare(a, b, open_source(str(tmp_path)))
        frames = list(open_source(str(tmp_path)))
        found = [sides.a.segment(frame) for frame in frames]
    assert [one.placement for one in found] == [one.placement for one in shown]
    assert shown[0].placement != shown[1].placement
    done = edgeseg_cli("compare", tiny_bundle, tiny_bundle, "--stream", tmp_path)
    assert done.code == 0
    assert "flicker" not in done.out
    done = edgeseg_cli("compare", tiny_bundle, tiny_bundle, "--stream", tmp_path, "--json", "-")
    assert done.json["flicker"] == {"a": None, "b": None}


def test_others_differ_with_pictures_and_a_gate(tiny_bundle: Path, clip: Path, tmp_path: Path, edgeseg_cli) -> None:
    import re
    import shutil

    from edgeseg.compare import write_worst

    # The same model that marks everything: against it, frames without a mask have a Dice of 0.
    with open_model(tiny_bundle).load(threshold=0.0) as all_of_it, open_model(tiny_bundle).load(threshold=1.0) as none:
        found = compare(all_of_it, none, open_source(str(clip)))
    assert found.json()["dice_mean"] == 0
    written = write_worst(found, tmp_path / "worst")
    assert len(written) == 8
    assert all(re.fullmatch(r"\d\d-frame-\d{6}-dice-0\.000\.png", file.name) for file in written)
    shutil.rmtree(tmp_path / "worst")
    words = ["compare", "npnet-polyp", tiny_bundle, "--stream", clip, "--out", tmp_path / "worst", "--min-dice", 1]
    done = edgeseg_cli(*words, "--quiet")
    assert done.code in (0, 7)
    assert (tmp_path / "worst").is_dir()


def test_pictures_of_others_are_not_replaced(tiny_bundle: Path, tmp_path: Path, edgeseg_cli) -> None:
    folder = tmp_path / "patients"
    folder.mkdir()
    cv2.imwrite(str(folder / "patient1.png"), np.full((48, 64, 3), 90, np.uint8))
    for out in (folder, folder / "patient1.png"):
        assert edgeseg_cli("compare", tiny_bundle, tiny_bundle, "--stream", folder, "--out", out).sentence(5)
    assert [file.name for file in folder.iterdir()] == ["patient1.png"]
    own = (folder / "patient1.png").rename(folder / "01-frame-000001-dice-0.500.png")  # of an earlier comparison
    assert "what --stream reads" in edgeseg_cli(
        "compare", tiny_bundle, tiny_bundle, "--stream", folder, "--out", folder
    ).sentence(5)
    assert own.exists()


def test_a_truncated_recording_is_said(tiny_bundle: Path, clip: Path, tmp_path: Path, edgeseg_cli) -> None:
    for suffix, cut in ((".mkv", 0.7), (".mp4", 0.6)):
        whole, part = tmp_path / f"whole{suffix}", tmp_path / f"part{suffix}"
        with av.open(str(clip)) as video:
            images = [frame.to_ndarray(format="bgr24") for frame in video.decode(video=0)]
        encoder = Encoder(whole, None, live=True)
        for index, image in enumerate(images * 4):
            encoder.write(image, index / 25)
        encoder.close()
        assert not ends_early(whole)
        data = whole.read_bytes()
        part.write_bytes(data[: int(len(data) * cut)])
        said = edgeseg_cli("compare", tiny_bundle, tiny_bundle, "--stream", part, "--threads", 1).sentence(3)
        assert "truncated" in said or "damaged" in said


def test_comparisons_that_cannot_be(tiny_bundle: Path, clip: Path, tmp_path: Path, edgeseg_cli) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("years of work")
    words = ["compare", tiny_bundle, tiny_bundle, "--stream"]
    assert "something else" in edgeseg_cli(*words, clip, "--out", tmp_path / "full").sentence(5)
    assert "is a live source" in edgeseg_cli(*words, "rtsp://u:geheim@camera/live").sentence(3)
    assert "no such file" in edgeseg_cli(*words, "none.mkv").sentence(3)


def test_sources(edgeseg_cli) -> None:
    done = edgeseg_cli("sources", "--json", "-")
    assert done.code == 0
    found = {one["name"]: one for one in done.json["sources"]}
    assert found["RTSP camera"]["works"] is True
    assert found["synthetic camera"]["works"] is True
    assert "gst" in found["GStreamer pipeline"]["example"]
    assert "RTSP camera" in edgeseg_cli("sources").out
