"""Trains rows of the papers' tables that are the paper's recipe with another network, side by side, and measures them.

    python -m benchmarks.rows                                                       # which there are
    python -m benchmarks.rows unet segnet unetplusplus --data cvc_clinicdb --out rows --time 0.08 --jobs 3
    python -m benchmarks.rows enet-drive --data drive --out rows [--seed 1] [--epochs 50]

Every row writes OUT/RECIPE.toml (a recipe like any other), OUT/NAME/ (the run), OUT/NAME.log, and once measured on
the set's test frames OUT/results/NAME.SET-test.json; `benchmarks.papers --results` prints these. NAME is the recipe's
with seed, epochs and hours behind it, where they were given. The same command again goes on where it was cut off, from
the last epoch, but by --time from the first; what is measured is kept. --jobs trainings run at a time: on a card
as many as its memory holds (run `nvidia-cuda-mps-control -d` first, without a limit of threads), on a CPU one a core.
"""

from __future__ import annotations

import argparse
import os
import shutil
import signal
import subprocess
import sys
import threading
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

import torch

from edgeseg.atomic import atomic_write
from edgeseg.data.layouts import open_dataset
from edgeseg.errors import EdgesegError
from edgeseg.nets import build
from edgeseg.train import recipe as recipes

TABLE = Path(__file__).parent / "papers.toml"
CVC, DRIVE = "npnet-cvc-paper", "dnlnet-drive-paper"


@dataclass(frozen=True)
class Row:
    """``base`` with another network, named ``recipe``."""

    recipe: str
    base: str
    network: str
    options: dict[str, str] = field(default_factory=dict)

    @property
    def short(self) -> str:
        """As it is asked for: "unet", "enet-drive", "dnlnet-drive-aspp-dnl"."""
        return self.recipe.replace("-cvc-paper", "").replace("-drive-paper", "-drive")

    def text(self) -> str:
        """The recipe's file."""
        given, _ = recipes.load(self.base)
        with torch.device("meta"):
            net = build(self.network, options=self.options)
        step = int(getattr(net, "stride", 1))
        height, width = (-(-side // step) * step for side in (given.input.height, given.input.width))
        options = ", ".join(f'{key} = "{value}"' for key, value in self.options.items())
        return (
            f'name = "{self.recipe}"\n'
            f'extends = "{self.base}"\n'
            f'description = "{self.network}, as {self.base} trains."\n'
            f'network = {{ name = "{self.network}", options = {{ {options} }} }}\n'
            f"input = {{ height = {height}, width = {width} }}\n"
        )


def rows() -> dict[str, Row]:
    """By short name, those of papers.toml that are a copy of a paper's recipe."""
    table = tomllib.loads(TABLE.read_text(encoding="utf-8"))
    return {one.short: one for one in _copies(table)}


def _copies(table: dict[str, list[dict[str, list[str]]]]) -> Iterator[Row]:
    for entry in table["row"]:
        name = str(entry.get("recipe", ""))
        if name.endswith("-cvc-paper"):
            yield Row(name, CVC, str(entry["network"]), dict(entry.get("options", {})))
    for part in table["ablation"]:
        for name, switches in zip(part["names"], part["recipes"], strict=True):
            context, attention = switches.split("-")
            recipe = DRIVE if name == "full" else f"{DRIVE}-{switches}"
            yield Row(recipe, DRIVE, "dnlnet", {"context": context, "attention": attention})
    for part in table["comparator"]:
        for network in part["networks"]:
            yield Row(f"{network}-drive-paper", DRIVE, network)


class Trainings:
    """Rows that are trained side by side; after :meth:`stop` none is begun and none goes on."""

    def __init__(self, words: argparse.Namespace, frames: str) -> None:
        self.words, self.frames = words, frames
        self.stopped = threading.Event()
        self.running: set[subprocess.Popen[bytes]] = set()

    def run(self, row: Row) -> tuple[bool, str]:
        """Trains and measures one; whether that went well, and a sentence."""
        words, out = self.words, self.words.out
        name = row.recipe
        name += f"-seed{words.seed}" if words.seed else ""
        name += f"-{words.epochs}-epochs" if words.epochs is not None else ""
        name += f"-{words.time:g}-hours" if words.time is not None else ""
        result = out / "results" / f"{name}.{self.frames}-test.json"
        if result.is_file():
            return True, f"{result} is there"
        try:
            atomic_write(out / f"{row.recipe}.toml", row.text())
            for command in (self._train(row, out / name), self._val(out / name, result)):
                if command and not self._ended_well(command, out / f"{name}.log"):
                    return False, f"{name}: edgeseg {command[0]} did not end well, see {out / name}.log"
        except (EdgesegError, OSError) as error:
            return False, f"{name}: {error}"
        return True, str(result)

    def _train(self, row: Row, run: Path) -> list[str]:
        words = self.words
        if (run / "manifest.json").is_file():
            return []
        recipe = str(words.out / f"{row.recipe}.toml")
        train = ["train", recipe, "--data", str(words.data), "--out", str(run), "--seed", str(words.seed)]
        if words.time is not None:
            shutil.rmtree(run, ignore_errors=True)  # a training by the clock is not resumed
            return [*train, "--time", str(words.time)]
        return [*train, "--resume", *(["--epochs", str(words.epochs)] if words.epochs is not None else [])]

    def _val(self, run: Path, result: Path) -> list[str]:
        return ["val", str(run), "--data", str(self.words.data), "--json", str(result)]

    def _ended_well(self, command: list[str], log: Path) -> bool:
        if self.stopped.is_set():
            return False
        # One thread each: they share the cores, and on a card the CPU only starts kernels.
        environment = os.environ | {"OMP_NUM_THREADS": "1"}
        call = [sys.executable, "-m", "edgeseg", *command]
        with log.open("a") as to, subprocess.Popen(call, stdout=to, stderr=to, env=environment) as child:
            self.running.add(child)
            if self.stopped.is_set():
                child.terminate()
            code = child.wait()
            self.running.discard(child)
        return code == 0

    def stop(self) -> None:
        """Ends what runs; each epoch's checkpoint stays."""
        self.stopped.set()
        for child in list(self.running):
            child.terminate()


def asked() -> tuple[list[Row], argparse.Namespace]:
    """What the command line says."""
    known = rows()
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", metavar="NAME")
    parser.add_argument("--data", type=Path, help="CVC-ClinicDB, or DRIVE for the names with -drive")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--time", type=float, metavar="HOURS", help="of each training; else all the paper's epochs")
    parser.add_argument("--epochs", type=int)
    parser.add_argument("--jobs", type=int, default=1)
    words = parser.parse_args()
    if not words.names:
        print("\n".join(f"{name:24} recipe {row.recipe}" for name, row in known.items()))
        raise SystemExit
    unknown = [name for name in words.names if name not in known]
    if unknown:
        parser.error(f"no row {unknown[0]}; there are {', '.join(known)}")
    found = [known[name] for name in dict.fromkeys(words.names)]
    if words.data is None or words.out is None:
        parser.error("give --data and --out")
    if len({row.base for row in found}) > 1:
        parser.error("rows of one data set at a time")
    if words.time is not None and words.epochs is not None:
        parser.error("give --time or --epochs")
    if words.jobs < 1:
        parser.error("--jobs is at least 1")
    return found, words


def main() -> int:
    """Trains what is asked for; a line a row."""
    found, words = asked()
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        trainings = Trainings(words, open_dataset(words.data).name)
        (words.out / "results").mkdir(parents=True, exist_ok=True)
    except (EdgesegError, OSError) as error:
        raise SystemExit(str(error)) from error
    went_well = True
    with ThreadPoolExecutor(words.jobs) as pool:
        try:
            for one in as_completed([pool.submit(trainings.run, row) for row in found]):
                good, said = one.result()
                went_well = went_well and good
                print(said, file=sys.stdout if good else sys.stderr, flush=True)
        except KeyboardInterrupt:
            trainings.stop()
            pool.shutdown(cancel_futures=True)
            return 130
    return 0 if went_well else 1


if __name__ == "__main__":
    sys.exit(main())
