"""Tests against the clock get a second chance."""

from __future__ import annotations

from pathlib import Path

import pytest

# Real cameras, processes and sockets at real-time pace: on a machine with other work a deadline may pass by itself.
# What is wrong fails twice; the report names what was run again.
REAL_TIME = tuple(Path(__file__).parent / folder for folder in ("live", "web"))


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        if any(folder in item.path.parents for folder in REAL_TIME):
            item.add_marker(pytest.mark.flaky(reruns=1))
