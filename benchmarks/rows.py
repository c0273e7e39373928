"""Trains rows of the papers' tables that are the paper's recipe with another network, side by side, and measures them.

    python -m benchmarks.rows                                                       # which there are
    python -m benchmarks.rows unet segnet unetplusplus --data cvc_clinicdb --out rows --time 0.08 --jobs 3
    python -m benchmarks.rows enet-drive --data drive --out rows [--seed 1]

Every row writes OUT/NAME.toml (a recipe like any other), OUT/NAME/ (the run), OUT/NAME.log, and once it is measured on
the set's test frames OUT/results/NAME.SET-test.json; `benchmarks.papers --results` prints these. What was begun is
gone on with, what is measured is not trained again, so the same command ends what was cut off. --jobs trainings run at
a time: on a card as many as its memory holds (run `nvidia-cuda-mps-control -d` first, without a limit of threads), on a
CPU one a core.
"""

from __future__ import annotations

import argparse
import os
import re
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from pathlib import Path

from edgeseg.atomic import atomic_write
from edgeseg.console import progress
from edgeseg.nets import build
from edgeseg.train import recipe as recipes

TABLE = Path(__file__).parent / "papers.toml"
CVC, DRIVE = "npnet-cvc-paper", "dnlnet-drive-paper"


@dataclass(frozen=True)
class Row:
    """A copy of ``base`` named ``recipe``, with another network."""

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
        net = build(self.network, options=self.options)
        step = int(getattr(net, "stride", 1))
        height, width = (-(-side // step) * step for side in (given.input.height, given.input.width))
        options = ", ".join(f'{key} = "{value}"' for key, value in self.options.items())
        network = f'name = "{self.network}"\n' + (f"options = {{ {options} }}\n" if options else "")
        text = (recipes.FOLDER / f"{self.base}.toml").read_text(encoding="utf-8")
        for what, instead in (
            (r'\Aname = ".*"', f'name = "{self.recipe}"'),
            (r"(?<=^description = )\".*\"", f'"{self.network}, as {self.base} trains."'),
            (r"(?<=^\[network\]\n)(?:.+\n)+", network),
            (r"^height = .*", f"height = {height}"),
            (r"^width = .*", f"width = {width}"),
        ):
            text, times = re.subn(what, instead, text, count=1, flags=re.MULTILINE)
            if not times:
                raise SystemExit(f"{self.base}.toml: nothing matches {what}")
        return text


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


def run(row: Row, words: argparse.Namespace) -> str:
    """Trains and measures one row; what went wrong, or nothing."""
    name = row.recipe + (f"-seed{words.seed}" if words.seed else "")
    out: Path = words.out
    frames = "cvc" if row.base == CVC else "drive"
    result = out / "results" / f"{name}.{frames}-test.json"
    if result.is_file():
        return ""
    recipe = out / f"{row.recipe}.toml"
    atomic_write(recipe, row.text())
    where = ["--data", str(words.data)]
    train = ["train", str(recipe), *where, "--out", str(out / name), "--seed", str(words.seed), "--resume"]
    train += ["--time", str(words.time)] if words.time else []
    train += ["--epochs", str(words.epochs)] if words.epochs else []
    with (out / f"{name}.log").open("a") as log:
        for command in (train, ["val", str(out / name), *where, "--json", str(result)]):
            if command[0] == "train" and (out / name / "manifest.json").is_file():
                continue
            # One thread each: they share the cores, and on a card the CPU only starts kernels.
            environment = os.environ | {"OMP_NUM_THREADS": "1"}
            call = [sys.executable, "-m", "edgeseg", *command]
            if subprocess.run(call, stdout=log, stderr=log, env=environment, check=False).returncode:
                return f"{name}: edgeseg {command[0]} failed, see {log.name}"
    return ""


def main() -> None:
    """Trains what is asked for."""
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
        print("\n".join(known))
        return
    unknown = [name for name in words.names if name not in known]
    if unknown:
        raise SystemExit(f"no row {unknown[0]}; there are {', '.join(known)}")
    if words.data is None or words.out is None:
        parser.error("give --data and --out")
    if len({known[name].base for name in words.names}) > 1:
        parser.error("rows of one data set at a time")
    (words.out / "results").mkdir(parents=True, exist_ok=True)
    failed = []
    with ThreadPoolExecutor(words.jobs) as pool, progress() as bar:
        task = bar.add_task("rows", total=len(words.names), note="")
        try:
            for one in as_completed([pool.submit(run, known[name], words) for name in words.names]):
                failed += [one.result()] if one.result() else []
                bar.advance(task)
        except KeyboardInterrupt:  # the trainings have it too; none is begun after it
            pool.shutdown(cancel_futures=True)
            raise SystemExit(130) from None
    if failed:
        raise SystemExit("\n".join(failed))


if __name__ == "__main__":
    main()
