"""The five commands of README's "Your own data", word for word, on a tiny phantom in their place."""

from __future__ import annotations

import re
import shlex
import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
# The one change: a training that ends in seconds.
SHORT = ["--epochs", "1", "--imgsz", "64x96", "--batch", "4"]


def commands(title: str) -> list[list[str]]:
    """The words of each line in the first sh block under a title."""
    section = (ROOT / "README.md").read_text(encoding="utf-8").split(f"## {title}", 1)[1]
    block = re.search(r"```sh\n(.*?)```", section, re.DOTALL)
    assert block is not None, f"no sh block under {title}"
    return [shlex.split(line, comments=True) for line in block[1].splitlines() if line.strip()]


@pytest.mark.slow
def test_own_data_in_five_commands(
    tiny_data: Path,
    tmp_path: Path,
    edgeseg_cli,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    data = tmp_path / "my-frames"
    for part in ("images", "masks"):
        shutil.copytree(tiny_data / part, data / part)
    shutil.copy(tiny_data / "clip.mp4", tmp_path / "clip.mp4")
    stems = sorted(file.stem for file in (data / "images").iterdir())
    lines = [f"{stem},patient-{index // 2}" for index, stem in enumerate(stems)]
    (data / "groups.csv").write_text("\n".join(["stem,group", *lines]) + "\n")
    monkeypatch.chdir(tmp_path)
    for words in commands("Your own data, in five commands"):
        assert words[0] == "edgeseg"
        done = edgeseg_cli(*words[1:], *(SHORT if words[1] == "train" else []))
        assert done.code == 0, (words, done.out, done.err)
    for made in ("runs/mine/manifest.json", "figures/figures.csv", "figures/worst.png"):
        assert (tmp_path / made).is_file(), made
    for made in ("mine.edgeseg/manifest.json", "annotated.mp4"):
        assert (tmp_path / made).is_file(), made


def test_there_are_five() -> None:
    assert [words[1] for words in commands("Your own data, in five commands")] == [
        "train", "val", "export", "infer", "bench",
    ]  # fmt: skip
