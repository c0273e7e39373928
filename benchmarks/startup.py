"""What a command costs before it does anything: CPU seconds of `edgeseg --help`, beside those of a bare Typer program.

    python -m benchmarks.startup [--repeats 20]

The aim is 0.3 s on an idle core. That nothing heavy is imported is held by ``tests/test_cli.py``; seconds depend on the
machine and on what else it does, so they are measured here, the two programs taking turns.
"""

from __future__ import annotations

import argparse
import resource
import statistics
import subprocess
import sys

BARE = (
    "import typer; app = typer.Typer(); app.command('one')(lambda: None); app.command('two')(lambda: None); "
    "app(['--help'])"
)
PROGRAMS = {"edgeseg --help": ["-m", "edgeseg.cli", "--help"], "a bare Typer program": ["-c", BARE]}


def cpu_seconds(words: list[str]) -> float:
    """User and system time of one whole process."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run([sys.executable, *words], check=True, capture_output=True)
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def main() -> None:
    """Measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=20)
    repeats = parser.parse_args().repeats
    times: dict[str, list[float]] = {name: [] for name in PROGRAMS}
    for words in PROGRAMS.values():
        cpu_seconds(words)  # writes the byte code
    for _ in range(repeats):
        for name, words in PROGRAMS.items():
            times[name].append(cpu_seconds(words))
    for name, values in times.items():
        print(f"{name:22} CPU seconds: least {min(values):.3f}, median {statistics.median(values):.3f}")


if __name__ == "__main__":
    main()
