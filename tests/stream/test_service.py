"""A device's configuration file, systemd's notifications and the journal's lines."""

from __future__ import annotations

import io
import logging
import os
import re
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from edgeseg.errors import UsageError
from edgeseg.stream import journal, service
from edgeseg.stream.config import DeviceConfig, read
from edgeseg.stream.status import Status

ROOT = Path(__file__).parents[2]


@pytest.fixture
def manager(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[socket.socket]:
    """systemd's end of the socket."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as receiver:
        receiver.bind(str(tmp_path / "notify"))
        receiver.settimeout(0.2)
        monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "notify"))
        yield receiver


def heard(manager: socket.socket) -> list[str]:
    out = []
    while True:
        try:
            out.append(manager.recv(4096).decode().strip())
        except TimeoutError:
            return out


def status(state: str, reason: str = "") -> Status:
    return Status("theatre", state, reason, 3, 10.0, 0.0)


def test_ready_with_the_first_mask(manager: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "200000")
    sink = service.Progress()
    sink.status(status("LIVE"))
    sink.write(None, None)
    assert heard(manager) == ["STATUS=theatre: LIVE"]
    for _ in range(5):
        sink.write(None, object())
    assert heard(manager) == ["READY=1", "WATCHDOG=1"]
    time.sleep(0.06)
    sink.write(None, object())
    assert heard(manager) == ["WATCHDOG=1"]


def test_watchdog_starves_with_the_engine_not_with_the_camera(manager: socket.socket, monkeypatch) -> None:
    monkeypatch.setenv("WATCHDOG_USEC", "2")
    monkeypatch.setenv("WATCHDOG_PID", str(os.getpid()))
    sink = service.Progress()
    sink.status(status("INVALID", "the engine hangs"))
    sink.write(None, None)
    assert heard(manager) == ["STATUS=theatre: INVALID, the engine hangs"]
    sink.status(status("LOST", "refused\nREADY=1"))
    assert heard(manager) == ["STATUS=theatre: LOST, refused READY=1", "READY=1", "WATCHDOG=1"]


def test_connecting_is_not_ready(manager: socket.socket, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgeseg.stream.live.state import Signal

    monkeypatch.delenv("WATCHDOG_USEC", raising=False)
    sink = service.Progress()
    sink.status(status(*Signal().at(100.0)))
    assert heard(manager) == ["STATUS=theatre: LOST, connecting"]
    sink.status(status("LOST", "refuses the connection"))
    assert heard(manager) == ["STATUS=theatre: LOST, refuses the connection", "READY=1"]


@pytest.mark.parametrize("environment", [{}, {"WATCHDOG_USEC": "x"}, {"WATCHDOG_USEC": "100", "WATCHDOG_PID": "1"}])
def test_no_watchdog(environment: dict[str, str], monkeypatch: pytest.MonkeyPatch, manager: socket.socket) -> None:
    for name in ("WATCHDOG_USEC", "WATCHDOG_PID"):
        monkeypatch.delenv(name, raising=False)
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    sink = service.Progress()
    sink.write(None, object())
    assert heard(manager) == ["READY=1"]


def test_nobody_listens(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("NOTIFY_SOCKET", str(tmp_path / "gone"))
    assert service.notify("READY=1") is False
    monkeypatch.delenv("NOTIFY_SOCKET")
    assert service.notify("READY=1") is False


def test_journal_lines(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = tmp_path / "log"
    record = logging.LogRecord("x", logging.WARNING, "", 0, "two\nlines", None, None)
    with log.open("w", encoding="utf-8") as file:
        monkeypatch.setattr(sys, "stderr", file)
        found = os.fstat(file.fileno())
        monkeypatch.setenv("JOURNAL_STREAM", f"{found.st_dev}:{found.st_ino}")
        journal.say("all\nwell")
        journal.say("bad", journal.ERROR)
        assert journal.Formatter().format(record) == "<4>two\n<4>lines"
        monkeypatch.setenv("JOURNAL_STREAM", "1:1")  # inherited, but our stderr was sent elsewhere
        journal.say("plain")
        assert journal.Formatter().format(record) == "two\nlines"
    assert log.read_text() == "<6>all well\n<3>bad\nplain\n"
    monkeypatch.setattr(sys, "stderr", io.StringIO())
    assert not journal.in_journal()


def test_journal_of_a_run(tmp_path: Path) -> None:
    """A stream that comes, and its warnings apart from its information."""
    words = [sys.executable, "-m", "edgeseg", "infer", "--stream", "phantom:colonoscopy?frames=4"]
    words += ["--model", "npnet-polyp", "--video-size", "160x120", "--frames", "5"]
    with (tmp_path / "journal").open("w") as file:
        there = os.fstat(file.fileno())
        environment = os.environ | {"JOURNAL_STREAM": f"{there.st_dev}:{there.st_ino}"}
        subprocess.run(words, stdout=subprocess.DEVNULL, stderr=file, env=environment, check=True, timeout=120)
    lines = (tmp_path / "journal").read_text().splitlines()
    assert lines[0] == "<4>edgeseg: phantom:colonoscopy?frames=4: LOST (connecting)"
    assert "<6>edgeseg: phantom:colonoscopy?frames=4: LIVE" in lines


def test_config_runs_and_the_command_line_wins(tiny_bundle: Path, tiny_data: Path, tmp_path: Path, edgeseg_cli) -> None:
    config = tmp_path / "device.toml"
    config.write_text(
        f'stream = "{tiny_data / "clip.mp4"}"\nmodel = "{tiny_bundle}"\nframes = 5\nthreads = 1\n'
        f'masks = "{tmp_path / "m"}"\ncrop = "auto"\nquiet = true\n'
    )
    done = edgeseg_cli("infer", "--config", config, "--json", "-")
    assert done.code == 0, done.err
    assert done.json["frames"] == 5
    assert done.err.startswith("crop: picture of ")
    assert len(list((tmp_path / "m").iterdir())) == 5
    assert edgeseg_cli("infer", "--config", config, "--frames", 2, "--json", "-").json["frames"] == 2
    config.write_text(f'stream = ["{tiny_data / "clip.mp4"}"]\nmodel = "{tiny_bundle}"\nframes = 1\n')
    assert edgeseg_cli("infer", "--config", config).code == 0


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("modle = 'x'", "there is no option modle; did you mean model?"),
        ("stream = 3", "stream"),
        ("frames = 0", "frames: Input should be greater than or equal to 1"),
        ("frames = '5'", "frames: Input should be a valid integer"),
        ("threshold = 1.5", "threshold: Input should be less than or equal to 1"),
        ("[stream]\nurl = 'x'", "stream"),
        ("stream = ", "is no TOML"),
        ("x" * 70000, "over 65536 bytes"),
    ],
)
def test_bad_configs(text: str, says: str, tmp_path: Path, edgeseg_cli) -> None:
    config = tmp_path / "device.toml"
    config.write_text(text)
    sentence = edgeseg_cli("infer", "--config", config).sentence(2)
    assert says in sentence
    assert str(config) in sentence


def test_an_option_of_another_version(tmp_path: Path) -> None:
    config = tmp_path / "device.toml"
    config.write_text("smoothing = 0.5")
    with pytest.raises(UsageError, match="this version has no option smoothing"):
        read(config, {"stream", "model"})


def test_missing_config(tmp_path: Path, edgeseg_cli) -> None:
    assert "cannot be read" in edgeseg_cli("infer", "--config", tmp_path / "no.toml").sentence(2)


def test_every_option_has_its_key(edgeseg_cli) -> None:
    """A new option of infer must be configurable too."""
    from typer.main import get_command

    from edgeseg.cli import app

    command = get_command(app).commands["infer"]
    options = {name.removeprefix("--") for one in command.params for name in one.opts} - {"config", "help"}
    keys = {field.alias or name for name, field in DeviceConfig.model_fields.items()}
    assert options <= keys, options - keys


def test_the_unit_is_one() -> None:
    """systemd itself reads it; the programs it names need not be here."""
    unit = ROOT / "examples" / "edgeseg.service"
    text = unit.read_text()
    for line in ("Type=notify", "WatchdogSec=", "NoNewPrivileges=yes", "ProtectSystem=strict", "Restart="):
        assert line in text, line
    assert re.search(r"^ExecStart=\S+/edgeseg infer --config \S+\.toml$", text, re.MULTILINE)
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not here")
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], capture_output=True, text=True, timeout=30)
    complaints = [
        line for line in done.stderr.splitlines() if "edgeseg.service" in line and "not executable" not in line
    ]
    assert complaints == []


def test_the_example_config_is_one() -> None:
    options = {field.alias or name for name, field in DeviceConfig.model_fields.items()}
    assert read(ROOT / "examples" / "device.toml", options)["model"] == "/srv/edgeseg/npnet-polyp.edgeseg"
