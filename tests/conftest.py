"""What the suite shares: the research data where it is there, and one tiny model trained once for everybody."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

import edgeseg  # noqa: F401 - before any test imports OpenCV, as in every command

ROOT = Path(__file__).parents[1]
# A shell's background jobs inherit that Ctrl-C is ignored, those of nohup that their terminal is closed; and so would
# every process that a test interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(scope="session")
def data_dir() -> Callable[[str], Path]:
    """Folder of a research data set by name; the test is skipped where it is missing."""

    def find(name: str) -> Path:
        given = os.environ.get("EDGESEG_DATA")
        roots = [Path(given)] if given else [ROOT.parent / "shared" / "data"]
        # A git worktree stands elsewhere than the checkout whose neighbour the data is.
        roots += [] if given else [parent / "shared" / "data" for parent in ROOT.parents]
        for root in roots:
            if (root / name).exists():
                return root / name
        pytest.skip(f"research data {name} is not here; set EDGESEG_DATA to the folder that holds it")

    return find


@dataclass(frozen=True)
class Ran:
    """What a command left behind: exit code, standard output and standard error."""

    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    def sentence(self, code: int) -> str:
        """The one line a failed command says, after its exit code was compared."""
        assert self.code == code, (self.code, self.out, self.err)
        assert self.err.startswith("edgeseg: "), self.err
        assert self.err.count("\n") == 1, self.err
        assert "Traceback" not in self.err
        assert "internal error" not in self.err
        return self.err


@pytest.fixture
def edgeseg_cli(capfd: pytest.CaptureFixture[str]) -> Callable[..., Ran]:
    """Runs a command line in this process, as ``edgeseg`` would."""
    from edgeseg.cli import run

    def call(*words: object) -> Ran:
        capfd.readouterr()
        code = run([str(word) for word in words])
        said = capfd.readouterr()
        return Ran(code, said.out, said.err)

    return call


@pytest.fixture(scope="session")
def tiny_data(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A ``folder`` data set of 12 phantom frames, some without polyp, with its clip.mp4."""
    from edgeseg.data.phantom.write import write_clip

    out = tmp_path_factory.mktemp("tiny") / "phantom"
    write_clip("colonoscopy", out, (160, 120), 12, 25, 3, quiet=True)
    return out


@pytest.fixture(scope="session")
def tiny_run(tmp_path_factory: pytest.TempPathFactory, tiny_data: Path) -> Path:
    """A run: one epoch of npnet-phantom at 64×96. Nobody changes it; copy it for that."""
    from edgeseg.cli import run

    out = tmp_path_factory.mktemp("tiny") / "tiny-run"
    words = ["train", "npnet-phantom", "--data", str(tiny_data), "--out", str(out), "--epochs", "1", "--imgsz", "64x96"]
    assert run([*words, "--quiet"]) == 0
    return out


@pytest.fixture(scope="session")
def tiny_bundle(tmp_path_factory: pytest.TempPathFactory, tiny_run: Path, tiny_data: Path) -> Path:
    """The bundle of ``tiny_run``. Nobody changes it; copy it for that."""
    from edgeseg.cli import run

    out = tmp_path_factory.mktemp("tiny") / "tiny.edgeseg"
    assert run(["export", str(tiny_run), "--data", str(tiny_data), "--out", str(out), "--quiet"]) == 0
    return out
