"""The command line as a whole: light, never a traceback, one sentence and the documented exit code."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import edgeseg
from edgeseg import cli
from edgeseg.errors import (
    BackendError,
    DataError,
    EdgesegError,
    GateError,
    InputError,
    ModelError,
    OutputError,
    SourceError,
    UsageError,
)

HEAVY = ["torch", "lightning", "monai", "onnx", "cv2", "openvino", "onnxruntime", "pydantic", "numpy", "av"]
HEAVY += ["matplotlib", "starlette", "uvicorn", "prometheus_client", "skimage", "scipy"]
COMMANDS = ["train", "val", "export", "phantom", "nets", "infer", "bench", "doctor", "demo"]


def python(code: str, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code, *words], capture_output=True, text=True)


@pytest.mark.parametrize("words", [["--help"], ["--version"], *([one, "--help"] for one in COMMANDS)])
def test_help_is_light(words: list[str]) -> None:
    code = (
        "import sys; from edgeseg.cli import run; code = run(sys.argv[1:]);"
        f"print([name for name in {HEAVY!r} if name in sys.modules], file=sys.stderr); sys.exit(code)"
    )
    done = python(code, *words)
    assert done.returncode == 0, done.stderr
    # Typer itself takes pydantic for a command's options.
    assert done.stderr.strip() in ("[]", "['pydantic']" if words[0] in COMMANDS else "[]")
    assert len(done.stdout) > 5


def test_version(edgeseg_cli) -> None:
    done = edgeseg_cli("--version")
    assert (done.code, done.out) == (0, f"edgeseg {edgeseg.__version__}\n")


def test_every_command_is_there(edgeseg_cli) -> None:
    said = edgeseg_cli("--help").out
    assert all(command in said for command in COMMANDS)


def test_no_arguments_show_the_help(edgeseg_cli) -> None:
    done = edgeseg_cli()
    assert done.code == 2
    assert "Usage" in done.out + done.err


@pytest.mark.parametrize(
    "words",
    [
        ["nope"],
        ["--nope"],
        ["val"],
        ["val", "npnet-polyp"],
        ["val", "x", "--data", ".", "--backend", "cuda"],
        ["val", "x", "--data", ".", "--threshold", "1.5"],
        ["val", "x", "--data", ".", "--threads", "-1"],
        ["train", "npnet-phantom", "--data", ".", "--devices", "0"],
        ["export", "x", "--opset", "21"],
        ["phantom", "brain", "--out", "x"],
        ["bench", "x", "--iterations", "0"],
        ["infer", "--stream", "x"],
    ],
)
def test_usage_errors(edgeseg_cli, words: list[str]) -> None:
    done = edgeseg_cli(*words)
    assert done.code == 2
    assert done.err
    assert "Traceback" not in done.err
    assert done.out == ""


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (EdgesegError, 1),
        (UsageError, 2),
        (InputError, 3),
        (DataError, 3),
        (ModelError, 3),
        (SourceError, 4),
        (OutputError, 5),
        (BackendError, 6),
        (GateError, 7),
    ],
)
def test_exit_codes(edgeseg_cli, monkeypatch: pytest.MonkeyPatch, kind: type[EdgesegError], code: int) -> None:
    from edgeseg import doctor

    def fail() -> None:
        raise kind("what, where;\n  what next")

    monkeypatch.setattr(doctor, "examine", fail)
    done = edgeseg_cli("doctor")
    assert (done.code, done.err, done.out) == (code, "edgeseg: what, where; what next\n", "")
    assert kind.exit_code == code
    shown = edgeseg_cli("doctor", "--verbose")
    assert shown.code == code
    assert "Traceback" in shown.err


def test_a_bug_of_ours(edgeseg_cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgeseg import doctor

    def fail() -> None:
        raise ZeroDivisionError("by\nzero")

    monkeypatch.setattr(doctor, "examine", fail)
    done = edgeseg_cli("doctor")
    assert done.code == 1
    assert done.err == "edgeseg: internal error: ZeroDivisionError: by zero; run again with --verbose and report it\n"
    assert "Traceback" in edgeseg_cli("--verbose", "doctor").err


def test_an_error_after_a_signal_is_no_bug(edgeseg_cli, monkeypatch: pytest.MonkeyPatch) -> None:
    """A library that is stopped in its middle may raise anything."""
    from edgeseg import cli, doctor

    monkeypatch.setattr(cli, "_received", [signal.SIGTERM])
    for error in (ZeroDivisionError("x"), RuntimeError("worker exited unexpectedly"), OSError("y")):
        monkeypatch.setattr(doctor, "examine", lambda error=error: (_ for _ in ()).throw(error))
        assert edgeseg_cli("doctor").sentence(143) == "edgeseg: stopped by SIGTERM\n"


def test_verbose_hides_passwords(edgeseg_cli) -> None:
    said = edgeseg_cli("--verbose", "infer", "--model", "npnet-polyp", "--stream", "user:topsecret@127.0.0.1:1/x")
    assert said.code == 3
    assert "Traceback" in said.err
    assert "topsecret" not in said.out + said.err


def test_ctrl_c(edgeseg_cli, monkeypatch: pytest.MonkeyPatch) -> None:
    from edgeseg import doctor

    def stop() -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(doctor, "examine", stop)
    assert "interrupted" in edgeseg_cli("doctor").sentence(130)


def test_ctrl_c_while_loading() -> None:
    code = (
        "import os, signal, sys\n"
        "class Stop:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'edgeseg.commands': os.kill(os.getpid(), signal.SIGINT)\n"
        "sys.meta_path.insert(0, Stop())\n"
        "from edgeseg.__main__ import main; main()"
    )
    done = python(code, "doctor")
    assert (done.returncode, done.stdout, done.stderr) == (-2, "", "")  # 130 in a shell
    again = subprocess.run([sys.executable, "-m", "edgeseg", "--version"], capture_output=True, text=True)
    assert again.stdout.startswith("edgeseg ")


@pytest.mark.parametrize(("name", "code"), [("SIGTERM", 143), ("SIGHUP", 129)])
def test_asked_to_end(name: str, code: int) -> None:
    program = (
        "import os, signal; from edgeseg import cli, doctor;"
        f"doctor.examine = lambda: os.kill(os.getpid(), signal.{name}); cli.main()"
    )
    done = python(program, "doctor")
    assert (done.returncode, done.stderr) == (code, f"edgeseg: stopped by {name}\n")


def test_a_closed_terminal_ends_nothing_under_nohup() -> None:
    program = (
        "import os, signal; signal.signal(signal.SIGHUP, signal.SIG_IGN); from edgeseg import cli;"
        "os.kill(os.getpid(), signal.SIGHUP); cli.main()"
    )
    assert python(program, "--version").returncode == 0


def test_every_error_has_its_code_in_the_tree() -> None:
    import inspect

    from edgeseg import errors

    kinds = [kind for _, kind in inspect.getmembers(errors, inspect.isclass) if issubclass(kind, EdgesegError)]
    assert {kind.exit_code for kind in kinds} == {1, 2, 3, 4, 5, 6, 7}
    assert all(kind.__name__ in (errors.__doc__ or "") for kind in kinds)


@pytest.mark.parametrize("name", ["npnet", None])
def test_nets(edgeseg_cli, name: str | None) -> None:
    done = edgeseg_cli("nets", *([name] if name else []), "--imgsz", "224x224", "--json", "-")
    assert (done.code, done.err.count("Traceback")) == (0, 0)
    value = done.json if name else next(one for one in done.json["nets"] if one["name"] == "npnet")
    assert (value["parameters"], value["imgsz"]) == (708_896, [224, 224])
    assert round(value["gmac_with_bn"], 2) == 0.99
    assert round(value["gmac"], 2) == 0.98


def test_nets_that_cannot_be(edgeseg_cli) -> None:
    assert "no network named 'vnet'" in edgeseg_cli("nets", "vnet").sentence(2)
    assert "take 232x224" in edgeseg_cli("nets", "npnet", "--imgsz", "225x220").sentence(2)
    assert "two numbers joined by x" in edgeseg_cli("nets", "--imgsz", "big").sentence(2)


def test_quiet_says_nothing(edgeseg_cli, tmp_path: Path) -> None:
    done = edgeseg_cli("nets", "--quiet", "--json", tmp_path / "n.json")
    assert (done.code, done.out, done.err) == (0, "", "")
    assert json.loads((tmp_path / "n.json").read_text())["nets"]


def test_json_to_a_place_that_is_none(edgeseg_cli, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("x")
    assert edgeseg_cli("nets", "--json", tmp_path / "file" / "n.json").sentence(5)
    assert edgeseg_cli("nets", "--json", tmp_path).sentence(5)


def test_json_is_refused_before_the_work(edgeseg_cli, tmp_path: Path) -> None:
    done = edgeseg_cli("phantom", "fundus", "--frames", "2", "--out", tmp_path / "clip", "--json", tmp_path)
    assert done.sentence(5)
    assert not (tmp_path / "clip").exists()
    done = edgeseg_cli("phantom", "fundus", "--frames", "2", "--out", tmp_path / "clip", "--json", "-")
    assert (done.json["frames"], done.json["width"]) == (2, 640)


def test_doctor(edgeseg_cli) -> None:
    done = edgeseg_cli("doctor", "--json", "-")
    assert done.code in (0, 6)
    checks = {one["name"]: one for one in done.json["checks"]}
    assert {one["status"] for one in checks.values()} <= {"ok", "missing", "broken"}
    assert (done.code == 6) == any(one["status"] == "broken" for one in checks.values())
    for name in ("openvino", "onnxruntime"):
        assert checks[f"backend {name}"]["status"] == "ok"
    assert "headless" in checks["opencv"]["detail"] or "opencv-python" in checks["opencv"]["detail"]
    assert "completion" in " ".join(checks)
    assert "openvino" in edgeseg_cli("doctor").out


def test_doctor_names_what_is_missing(monkeypatch: pytest.MonkeyPatch, edgeseg_cli) -> None:
    from edgeseg import doctor
    from edgeseg.backends import openvino

    def missing() -> str:
        raise BackendError("openvino is not installed; run: pip install openvino")

    monkeypatch.setattr(openvino, "version", missing)
    monkeypatch.setattr(doctor, "_version", lambda _: None)
    checks = {one["name"]: one for one in edgeseg_cli("doctor", "--json", "-").json["checks"]}
    assert (checks["backend openvino"]["status"], checks["backend openvino"]["fix"]) == (
        "missing",
        "pip install openvino",
    )
    assert checks["training"]["fix"] == "pip install 'edgeseg[train]'"
    assert checks["opencv"]["fix"] == "pip install opencv-python-headless"
    versions = {"opencv-python": "5", "opencv-python-headless": "5"}
    monkeypatch.setattr(doctor, "_version", versions.get)
    assert edgeseg_cli("doctor", "--quiet").code == 6


def test_commands_without_the_training_extra(tmp_path: Path) -> None:
    """On a device: one sentence with the command that adds it."""
    code = (
        "import sys, importlib.util as u; find = u.find_spec;"
        "u.find_spec = lambda name, *a: None if name in ('torch', 'lightning', 'monai', 'onnx') else find(name, *a);"
        "from edgeseg.cli import run; sys.exit(run(sys.argv[1:]))"
    )
    for words in (["nets"], ["train", "npnet-phantom", "--data", "."], ["demo", "--out", str(tmp_path / "demo")]):
        done = python(code, *words)
        assert done.returncode == 6, done
        assert "run: pip install 'edgeseg[train]'" in done.stderr
        assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_broken_pipe() -> None:
    """`edgeseg nets | head -0` ends without a traceback."""
    call = f"{sys.executable} -m edgeseg.cli nets | true"
    done = subprocess.run(["bash", "-c", call], capture_output=True, text=True)
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_shell_completion(shell: str) -> None:
    environment = os.environ | {"_EDGESEG_COMPLETE": f"source_{shell}"}
    done = subprocess.run(
        [sys.executable, "-c", "import sys; sys.argv[0] = 'edgeseg'; from edgeseg.cli import app; app()"],
        env=environment,
        capture_output=True,
        text=True,
    )
    assert "edgeseg" in done.stdout, done.stderr


def test_completion_offers_the_commands() -> None:
    environment = os.environ | {
        "_EDGESEG_COMPLETE": "complete_bash",
        "COMP_WORDS": "edgeseg in",
        "COMP_CWORD": "1",
    }
    code = "import sys; sys.argv[0] = 'edgeseg'; from edgeseg.cli import main; main()"
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True)
    assert "infer" in done.stdout.split(), (done.stdout, done.stderr)


def test_verbose_anywhere(edgeseg_cli) -> None:
    for words in (["nets", "--verbose", "--quiet"], ["--verbose", "nets", "--quiet"]):
        assert edgeseg_cli(*words).code == 0


def test_run_takes_the_command_line(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(sys, "argv", ["edgeseg", "--version"])
    assert cli.run() == 0
    assert "edgeseg" in capfd.readouterr().out


CHANGES: list[tuple[str, Callable[[Path], object], str]] = [
    ("a changed byte in a graph", lambda b: _flip(b / "graphs" / "float.onnx"), "has changed"),
    ("a changed byte in the manifest", lambda b: _flip(b / "manifest.json"), "has changed"),
    ("a truncated graph", lambda b: _cut(b / "graphs" / "float.onnx"), "has changed"),
    ("a truncated manifest", lambda b: _cut(b / "manifest.json"), "has changed"),
    ("no manifest", lambda b: (b / "manifest.json").unlink(), "holds no manifest.json"),
    ("no hash of the manifest", lambda b: (b / "manifest.sha256").unlink(), "cannot be read"),
    ("no graph", lambda b: (b / "graphs" / "float.onnx").unlink(), "cannot be read"),
]


def _flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[len(data) // 3] ^= 4
    file.write_bytes(data)


def _cut(file: Path) -> None:
    file.write_bytes(file.read_bytes()[:-7])


@pytest.mark.parametrize(("change", "said"), [(c, s) for _, c, s in CHANGES], ids=[name for name, _, _ in CHANGES])
def test_damaged_bundles(
    tiny_bundle: Path,
    tiny_data: Path,
    tmp_path: Path,
    edgeseg_cli,
    change: Callable[[Path], object],
    said: str,
) -> None:
    import shutil

    bundle = Path(shutil.copytree(tiny_bundle, tmp_path / "a.edgeseg"))
    change(bundle)
    for words in (
        ["val", bundle, "--data", tiny_data],
        ["infer", "--stream", tiny_data / "clip.mp4", "--model", bundle],
        ["bench", bundle, "--duration", 0],
    ):
        assert said in edgeseg_cli(*words).sentence(3)
