"""Fixtures of the live suite; skipped, with the command that helps, where the camera's packages are missing."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))
import lab


@pytest.fixture
def camera() -> Iterator[Callable[..., lab.Camera]]:
    """Makes cameras: ``camera()``, ``camera("--codec", "mjpeg")``."""
    if lab.missing():
        pytest.skip(f"the camera's packages are missing; run: apt-get install -y {' '.join(lab.PACKAGES)}")
    made: list[lab.Camera] = []

    def make(*words: str, port: int = 0) -> lab.Camera:
        made.append(lab.Camera(*words, port=port))
        return made[-1]

    yield make
    for one in made:
        if one.process.poll() is None:
            one.kill()


@pytest.fixture
def network() -> Iterator[Callable[[int], lab.Network]]:
    """Makes networks in front of a port."""
    made: list[lab.Network] = []

    def make(port: int) -> lab.Network:
        made.append(lab.Network(port))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def serve() -> Iterator[Callable[..., lab.Server]]:
    """Makes TCP servers that are no cameras."""
    made: list[lab.Server] = []

    def make(answer: Callable[..., None]) -> lab.Server:
        made.append(lab.Server(answer))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def watch() -> Iterator[Callable[..., lab.Watcher]]:
    """Makes watchers of a source."""
    made: list[lab.Watcher] = []

    def make(source: str, *words: object, **more: object) -> lab.Watcher:
        made.append(lab.Watcher(source, *words, **more))
        return made[-1]

    yield make
    for one in made:
        one.close()
