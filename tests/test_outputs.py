"""Outputs: what is read, listed in a bundle or no file at all is not written over; each refusal before any work."""

from __future__ import annotations

import json
import os
import shutil
import stat
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from edgeseg import atomic, demo
from edgeseg.stream.sinks.events import EventsLog

Cli = Callable[..., object]


@pytest.fixture
def bundle(tiny_bundle: Path, tmp_path: Path) -> Path:
    """A copy of the tiny bundle that a test may harm."""
    return Path(shutil.copytree(tiny_bundle, tmp_path / "mine.edgeseg"))


def everything(folder: Path) -> dict[str, bytes]:
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


def test_a_pipe_gets_the_bytes_and_stays(tmp_path: Path, edgeseg_cli) -> None:
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    got: list[str] = []
    reader = threading.Thread(target=lambda: got.append(pipe.read_text()))
    reader.start()
    assert edgeseg_cli("zoo", "npnet-skin", "--json", pipe).code == 0
    reader.join(30)
    assert json.loads(got[0])["zoo"][0]["name"] == "npnet-skin"
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_a_full_device_says_so_and_stays(tmp_path: Path, edgeseg_cli) -> None:
    link = tmp_path / "full.json"
    link.symlink_to("/dev/full")
    assert "no space left" in edgeseg_cli("zoo", "--json", link).sentence(5)
    assert link.is_symlink()
    assert os.listdir(tmp_path) == ["full.json"]


def test_a_link_leads_to_the_new_file(tmp_path: Path) -> None:
    real, link = tmp_path / "real" / "a.txt", tmp_path / "link.txt"
    real.parent.mkdir()
    real.write_text("old")
    link.symlink_to(real)
    atomic.check_writable(link)
    atomic.atomic_write(link, "new")
    assert link.is_symlink()
    assert real.read_text() == "new"
    folder = tmp_path / "folder"
    folder.symlink_to(real.parent)
    with atomic.atomic_folder(folder) as made:
        (made / "b.txt").write_text("b")
    assert folder.is_symlink()
    assert [one.name for one in real.parent.iterdir()] == ["b.txt"]


def ran(*words: object, **streams: object) -> subprocess.CompletedProcess[str]:
    call = [sys.executable, "-m", "edgeseg", *map(str, words)]
    return subprocess.run(call, text=True, check=False, **streams)  # type: ignore[call-overload, no-any-return]


def test_standard_output_by_its_path_keeps_what_stands_there(tmp_path: Path) -> None:
    log = tmp_path / "log.txt"
    log.write_text("earlier\n")
    with log.open("a") as handle:
        assert ran("zoo", "npnet-skin", "--quiet", "--json", "/dev/stdout", stdout=handle).returncode == 0
    first, rest = log.read_text().split("\n", 1)
    assert first == "earlier"
    assert json.loads(rest)["zoo"][0]["name"] == "npnet-skin"


def test_events_go_to_another_process(bundle: Path, tiny_data: Path, tmp_path: Path) -> None:
    """As the shell's ``--events >(jq .)`` has it: an open pipe, by the path of its descriptor."""
    reader, writer = os.pipe()
    events = f"/dev/fd/{writer}"
    words = ["infer", "--stream", tiny_data / "clip.mp4", "--model", bundle, "--frames", 3, "--quiet"]
    done = ran(*words, "--events", events, pass_fds=[writer], stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")
    with os.fdopen(reader) as rows:
        assert [json.loads(row)["type"] for row in rows][-1] == "end"


@pytest.mark.parametrize("live", [False, True])
def test_events_into_a_pipe_come_at_once(tmp_path: Path, *, live: bool) -> None:
    pipe = tmp_path / "events.jsonl"
    os.mkfifo(pipe)
    handle = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    log = EventsLog(pipe, live=live)
    log.join()
    log.add({"row": 1})
    assert os.read(handle, 100) == b'{"row": 1}\n'
    log.leave()
    os.close(handle)
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_nothing_is_put_into_a_bundle(bundle: Path, tiny_data: Path, tiny_run: Path, edgeseg_cli) -> None:
    before = everything(bundle)
    inside = bundle / "x.json"
    clip = ["--stream", tiny_data / "clip.mp4", "--model", bundle]
    for words in (
        ["zoo", "--json", inside],
        ["verify", bundle, "--update", "--json", inside],
        ["export", tiny_run, "--out", bundle, "--json", inside],
        ["export", tiny_run, "--out", bundle, "--triton", bundle / "t"],
        ["export", tiny_run, "--out", bundle / "other.edgeseg"],
        ["bench", bundle, "--exportTimes", bundle / "manifest.json"],
        ["val", bundle, "--data", tiny_data, "--out", bundle / "figures"],
        ["calibrate", tiny_run, "--data", tiny_data, "--out", inside],
        ["compare", bundle, bundle, "--stream", tiny_data / "clip.mp4", "--out", bundle / "worst"],
        ["phantom", "colonoscopy", "--out", bundle / "p"],
        ["train", "npnet-phantom", "--data", tiny_data, "--out", bundle / "run"],
        ["demo", "--out", bundle / "demo"],
        ["infer", *clip, "--out", bundle],
        ["infer", *clip, "--masks", bundle / "masks"],
        ["infer", *clip, "--events", bundle / "events.jsonl"],
    ):
        said = edgeseg_cli(*words).sentence(2)
        assert "lies in the bundle mine.edgeseg" in said, words
        assert said.startswith("edgeseg: --"), words
    assert everything(bundle) == before


def test_a_run_may_be_called_like_a_bundle(tiny_run: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli) -> None:
    run = Path(shutil.copytree(tiny_run, tmp_path / "my.edgeseg"))
    assert edgeseg_cli("val", run, "--data", tiny_data, "--out", run / "figures", "--quiet").code == 0
    assert (run / "figures" / "figures.csv").is_file()


def test_a_triton_repository_is_not_put_into_the_bundle_to_come(tiny_run: Path, tmp_path: Path, edgeseg_cli) -> None:
    out = tmp_path / "new.edgeseg"
    said = edgeseg_cli("export", tiny_run, "--out", out, "--triton", out / "t").sentence(2)
    assert "lies in the bundle that is written" in said
    assert not out.exists()


def test_what_is_read_is_not_written_over(bundle: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli) -> None:
    pictures = Path(shutil.copytree(tiny_data / "images", tmp_path / "images"))
    clip = Path(shutil.copy(tiny_data / "clip.mp4", tmp_path / "clip.mp4"))
    before = everything(tmp_path)
    first = next(iter(sorted(pictures.iterdir())))
    for words, said in (
        (["infer", "--model", bundle, "--stream", pictures, "--json", first], "is what --stream reads"),
        (["infer", "--model", bundle, "--stream", clip, "--json", clip], "is what --stream reads"),
        (
            ["infer", "--model", bundle, "--stream", clip, "--events", "-"],
            "only --json goes to standard output by that",
        ),
        (["compare", bundle, bundle, "--stream", clip, "--json", clip], "is what --stream reads"),
        (["compare", bundle, bundle, "--stream", f"{pictures}/*", "--json", first], "is what --stream reads"),
    ):
        assert said in edgeseg_cli(*words).sentence(2)
    assert everything(tmp_path) == before


def test_two_outputs_of_one_name_and_folders(
    bundle: Path, tiny_run: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli
) -> None:
    same, folder = tmp_path / "same", tmp_path / "folder"
    folder.mkdir()
    calibrate = ["calibrate", tiny_run, "--data", tiny_data]
    for words in (
        ["bench", bundle, "--exportTimes", same, "--json", same],
        [*calibrate, "--out", same, "--save-recipe", same],
        [*calibrate, "--out", same, "--json", same],
        ["verify", bundle, "--report", same, "--json", same],
        ["sensitivity", tiny_run, "--data", tiny_data, "--out", same, "--json", same],
    ):
        assert "have the same path" in edgeseg_cli(*words).sentence(2), words
    for words in (
        ["bench", bundle, "--exportTimes", folder],
        [*calibrate, "--out", folder],
        ["verify", bundle, "--report", folder],
        ["sensitivity", tiny_run, "--data", tiny_data, "--out", folder],
    ):
        assert "is a folder; give a file" in edgeseg_cli(*words).sentence(5), words
    assert not same.exists()


def test_files_that_are_told_apart_by_their_suffix(
    tiny_run: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli
) -> None:
    for words, suffix in (
        (["calibrate", "--out"], ".json"),
        (["calibrate", "--save-recipe"], ".toml"),
        (["sensitivity", "--out"], ".png"),
    ):
        said = edgeseg_cli(words[0], tiny_run, "--data", tiny_data, words[1], tmp_path / "file.txt").sentence(2)
        assert f"{words[1]} {tmp_path / 'file.txt'}: give a file name that ends in {suffix}" in said
    assert list(tmp_path.iterdir()) == []


def test_names_that_no_file_can_have(bundle: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli) -> None:
    long, loop = "L" * 300, tmp_path / "loop"
    loop.symlink_to(loop)
    for words, code in (
        (["val", bundle, "--data", long], 3),
        (["val", bundle, "--data", loop], 3),
        (["val", bundle, "--data", tiny_data, "--split", long], 3),
        (["train", f"{long}.toml", "--data", tiny_data], 3),
        (["train", "npnet-phantom", "--data", tiny_data, "--out", long], 5),
        (["infer", "--model", bundle, "--stream", tiny_data / "clip.mp4", "--out", f"{long}.mp4"], 5),
        (["zoo", "--json", long], 5),
    ):
        assert len(edgeseg_cli(*words).sentence(code)) < 700, words


def test_numbers_that_nothing_takes(bundle: Path, tiny_run: Path, tiny_data: Path, edgeseg_cli) -> None:
    for words in (
        ["train", "npnet-phantom", "--data", tiny_data, "--seed", 2**32],
        ["calibrate", tiny_run, "--data", tiny_data, "--seed", 2**53 + 1, "--out", "t.json"],
        ["calibrate", tiny_run, "--data", tiny_data, "--frames", 4097, "--out", "t.json"],
        ["bench", bundle, "--threads", 10**11],
    ):
        assert edgeseg_cli(*words).code == 2, words


def test_what_would_be_ignored_is_refused(bundle: Path, tiny_run: Path, tmp_path: Path, edgeseg_cli) -> None:
    out = tmp_path / "new.edgeseg"
    assert "has one opset" in edgeseg_cli("export", bundle, "--int8", "--opset", 20, "--out", out).sentence(2)
    for option, value in (("--method", "mse"), ("--exclude", "nolayer"), ("--calibration", "nope")):
        said = edgeseg_cli("export", tiny_run, option, value, "--out", out).sentence(2)
        assert f"{option} is for INT8 graphs, and none is asked for" in said
    assert not out.exists()
    said = edgeseg_cli("export", tiny_run, "--threshold", 0.5, "--method", "mse", "--out", out).sentence(2)
    assert "--method is for INT8 graphs" in said
    assert "for openvino and 7 frames a call" in edgeseg_cli(
        "bench", bundle, "--batch", 7, "--backend", "openvino"
    ).sentence(3)


def test_shell_completion_ends_as_typer_has_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("_EDGESEG_COMPLETE", "complete_bash")
    monkeypatch.setenv("COMP_WORDS", "edgeseg doc")
    monkeypatch.setenv("COMP_CWORD", "1")
    call = [str(Path(sys.executable).with_name("edgeseg"))]
    done = subprocess.run(call, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout.split(), done.stderr) == (0, ["doctor"], "")


def test_an_exit_from_within_keeps_its_code(monkeypatch: pytest.MonkeyPatch, edgeseg_cli) -> None:
    for given, code, said in ((4, 4, ""), (None, 0, ""), ("no more", 1, "edgeseg: no more\n")):

        def app(*, given: object = given, **_: object) -> None:
            sys.exit(given)  # type: ignore[arg-type]

        monkeypatch.setattr("edgeseg.cli.app", app)
        ran = edgeseg_cli("zoo")
        assert (ran.code, ran.err) == (code, said)


def test_whoever_reads_has_gone() -> None:
    reader, writer = os.pipe()
    os.close(reader)
    done = ran("zoo", stdout=writer, stderr=subprocess.PIPE)
    os.close(writer)
    assert (done.returncode, done.stderr) == (5, "edgeseg: standard output was closed before the command was done\n")


def test_a_new_demo_removes_what_the_old_one_made(tmp_path: Path, monkeypatch) -> None:
    monkeypatch.chdir(tmp_path)
    out = Path("demo")
    demo._prepare(out)
    own = [out / "thesis.txt", out / "my.edgeseg" / "manifest.json"]
    made = [out / name for name in demo.MADE]
    for file in (*own, *(path / "file" if path.suffix in ("", ".edgeseg") else path for path in made)):
        file.parent.mkdir(exist_ok=True)
        file.write_text("x")
    demo._prepare(out)
    assert all(file.is_file() for file in own)
    assert not any(path.exists() for path in made)


@pytest.mark.parametrize("place", ["/proc/demo", "file", "file/demo"])
def test_a_demo_that_cannot_be_written(place: str, tmp_path: Path, monkeypatch, edgeseg_cli: Callable) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").write_text("x")
    edgeseg_cli("demo", "--out", place).sentence(5)
    assert Path("file").read_text() == "x"
