"""The two strict readers agree: what Python's manifest refuses, C refuses, and the other way round."""

from __future__ import annotations

import copy
import json
import random
import subprocess
from pathlib import Path
from typing import Any

import pytest

from edgeseg import manifest as mf

CONTRACT = Path(__file__).parents[2] / "runtime" / "fuzz" / "corpus" / "manifest" / "contract.json"
# What only the library refuses: runs, and sizes it will not allocate for.
ONLY_C = ("it is a run's", "outside of this library", "beyond this library")
VALUES: list[Any] = [
    0,
    1,
    -1,
    2,
    1.5,
    1.0,
    300,
    1 << 53,
    True,
    False,
    "",
    "x",
    "test",
    "../x",
    "0" * 64,
    [],
    {},
    [1],
    None,
    "int9",
]


def mutated(base: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """A copy with one value somewhere replaced, removed or doubled."""
    out = copy.deepcopy(base)
    node: Any = out
    while True:
        keys = list(node) if isinstance(node, dict) else list(range(len(node)))
        key = rng.choice(keys)
        child = node[key]
        if isinstance(child, (dict, list)) and child and rng.random() < 0.8:
            node = child
            continue
        action = rng.random()
        if action < 0.25:
            del node[key]
        elif action < 0.35 and isinstance(node, list):
            node.append(copy.deepcopy(child))
        elif action < 0.45 and isinstance(node, dict):
            node[f"new_{key}"] = child
        else:
            node[key] = rng.choice(VALUES)
        return out


def verdict(data: bytes) -> str:
    try:
        mf.parse(data)
    except ValueError as error:
        return str(error)
    return "ok"


@pytest.mark.parametrize("seed", range(4))
def test_readers_agree_on_mutated_manifests(library_path: Path, tmp_path: Path, seed: int) -> None:
    program = library_path.parent / "tests" / "read_manifests"
    if not program.is_file():
        pytest.skip(f"{program} is not built; run: make runtime")
    base = json.loads(CONTRACT.read_text())
    rng = random.Random(seed)
    files = []
    for index in range(400):
        value = base if index == 0 else mutated(base, rng)
        files.append(tmp_path / f"{index}.json")
        files[-1].write_text(json.dumps(value))
    lines = subprocess.run([program, *files], capture_output=True, check=True, text=True).stdout.splitlines()
    python = [verdict(file.read_bytes()) for file in files]
    assert lines[0] == python[0] == "ok"
    assert 50 < sum(one == "ok" for one in python) < 380  # both verdicts occur
    odd = [
        f"{file.name}: C {c!r}, Python {p!r}"
        for file, c, p in zip(files, lines, python, strict=True)
        if (c == "ok") != (p == "ok") and not c[3:].startswith(ONLY_C) and not any(text in c for text in ONLY_C)
    ]
    assert not odd, "\n".join(odd)
