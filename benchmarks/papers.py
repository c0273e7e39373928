"""The papers' tables: every row's figure as printed, ours from stored results of real runs, and the recipe.

    python -m benchmarks.papers [--markdown] [--json PATH|-] [--results DIR]

In a pipe the tables are Markdown, since boxes would be cut to 80 columns.

Nothing is run and, but for --json PATH, nothing is written. Rows and the papers' figures stand in `papers.toml`.
Ours are means over images of `val --json` files (DRIVE: pooled over pixels, as the field does) in `results/`, with
the standard deviation over seeds where there are several runs of one recipe on the same frames. A file that lacks
command, seed, commit, machine or date is used and marked incomplete.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tomllib
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

from benchmarks.drive import OWN, SENSITIVE
from edgeseg.provenance import KEYS

HERE = Path(__file__).parent
UNKNOWN = "?"
POOLED = ("auc", "sensitivity", "accuracy")


@dataclass(frozen=True)
class Result:
    """A stored result of one run on one list of frames."""

    file: str
    recipe: str
    frames: str
    seed: int | None
    epochs: int | None
    figures: dict[str, float]
    missing: tuple[str, ...]
    note: str = ""


@dataclass
class Row:
    """A line of a table; figures are text, as printed."""

    of: str
    table: str
    name: str
    recipe: str
    status: str
    paper: dict[str, str] = field(default_factory=dict)
    ours: dict[str, str] = field(default_factory=dict)


def read(file: Path) -> Result | None:
    """A file that `val --json` or `benchmarks/drive.py` wrote; None for any other."""
    value = json.loads(file.read_text())
    said = value.get("provenance", {}) if isinstance(value, dict) else {}
    missing = tuple(key for key in KEYS if key not in said)
    if isinstance(value, dict) and "per_image" in value and "frames" in value:
        # Before figures said where they come from, a run was called by its recipe.
        recipe = said.get("recipe", value["model"])
        figures = dict(value["per_image"])
        if value["frames"].startswith("drive"):
            figures = dict(value["pooled"])
        # The papers' figures are of whole frames; another area is another row's, if any's.
        area = "" if value.get("area", "frame") == "frame" else f" {value['area']}"
        frames = value["frames"] + area
        found = Result(file.name, recipe, frames, said.get("seed"), said.get("epochs"), figures, missing)
        return replace(found, note=value.get("note", ""))
    rule = value.get("rule", OWN) if isinstance(value, dict) else ""
    if rule in (OWN, SENSITIVE) and "as it is" in value.get("pooled", {}):
        frames = f"drive {value['split']}" + ("" if rule == OWN else f", {rule}")
        figures = value["pooled"]["as it is"]["frame"]
        recipe = said.get("recipe", value["model"])
        return Result(file.name, recipe, frames, said.get("seed"), said.get("epochs"), figures, missing)
    return None


def load(folder: Path) -> list[Result]:
    """All stored results, by file name."""
    return [one for file in sorted(folder.glob("*.json")) if (one := read(file)) is not None]


def shown(values: list[float]) -> str:
    """Mean ± standard deviation, the latter from two runs on."""
    text = f"{statistics.fmean(values):.4f}"
    return f"{text} ± {statistics.stdev(values):.4f} (n={len(values)})" if len(values) > 1 else text


def counted(entry: dict[str, Any]) -> dict[str, str]:
    """Parameters and multiply-adds of the row's network, at the paper's size of the set."""
    if "network" not in entry:
        return {}
    import torch

    from edgeseg.nets import build
    from edgeseg.nets.count import cost

    with torch.device("meta"):
        found = cost(build(entry["network"], options=entry.get("options")), *entry.get("size", (288, 384)))
    return {"parameters_m": f"{found.parameters / 1e6:.2f}", "gmac": f"{found.gmac_with_bn:.2f}"}


def cost_row(block: str, folder: Path) -> tuple[dict[str, str], str]:
    """Times of Table 4, from the best machine there is a file of; and what that file lacks."""
    for name in ("nonlocal-cuda.json", "nonlocal-cpu.json"):
        if (folder / name).is_file():
            value = json.loads((folder / name).read_text())
            said = value.get("provenance", {}) | {key: value[key] for key in ("machine",) if key in value}
            missing = [key for key in KEYS if key not in said]
            ours = {
                f"ms_{point['side']}": f"{1e3 * point['seconds']:.1f}"
                for point in value["points"]
                if (point["what"], point["block"]) == ("block", block) and point["side"] in (96, 192)
            }
            note = f"{name}, {value['machine']}; the paper: batch 4 on a GPU"
            if "ms_192" not in ours:
                needed = value["summary"].get("one NL map at 192, computed GB per image")
                note += "; 192x192 not timed there" + (f": one map takes {needed:.1f} GB an image" if needed else "")
            return ours, note + (f"; incomplete: no {', '.join(missing)}" if missing else "")
    return {}, "no stored result"


def make(entry: dict[str, Any], columns: list[str], stored: list[Result], folder: Path) -> Row:
    """One row from its entry in papers.toml."""
    shares = {"iou", "dice", *POOLED}
    paper = {key: f"{value:.4f}" if key in shares else str(value) for key, value in entry.get("paper", {}).items()}
    row = Row(entry["of"], entry["table"], entry["name"], entry.get("recipe", ""), "", paper)
    row.ours = {key: value for key, value in counted(entry).items() if key in columns}
    if "why" in entry:
        row.status = f"cannot be run: {entry['why']}"
    elif "cost" in entry:
        more, row.status = cost_row(entry["cost"], folder)
        row.ours |= more
    else:
        found = [one for one in stored if (one.recipe, one.frames) == (entry["recipe"], entry["frames"])]
        if "file" in entry:  # several chains may end with one recipe
            found = [one for one in found if one.file == entry["file"]]
        for key in columns:
            values = [one.figures[key] for one in found if one.figures.get(key) is not None]
            if values:
                row.ours[key] = shown(values)
        row.status = "no stored result"
        if found:
            seeds = {one.seed for one in found}
            row.status = f"{len(found)} run{'s' if len(found) > 1 else ''}: {', '.join(one.file for one in found)}"
            epochs = sorted({one.epochs for one in found if one.epochs is not None})
            # A chain's earlier parts are beside its commands in results/README.md.
            row.status += f"; {' and '.join(map(str, epochs))} epochs, in the last training" if epochs else ""
            if len(seeds) < len(found):
                row.status += "; seeds not told apart"
            row.status += "".join(f"; {one.file}: {one.note}" for one in found if one.note)
            missing = sorted({key for one in found for key in one.missing})
            row.status += f"; incomplete: no {', '.join(missing)}" if missing else ""
    return row


def rows(results: Path) -> list[Row]:
    """All rows in the papers' order."""
    table = tomllib.loads((HERE / "papers.toml").read_text(encoding="utf-8"))
    stored = load(results)
    out = [make(entry, table[entry["of"]]["columns"], stored, results) for entry in table["row"]]
    for part in table["ablation"]:
        for name, switches in zip(part["names"], part["recipes"], strict=True):
            # A line of the recipe's options; the paper's full row is DNL-Net itself.
            entry = {"of": "dnlnet", "table": "?", "name": f"ablation: {name}", "frames": "drive test"}
            context, attention = switches.split("-")
            entry |= {"network": "dnlnet", "options": {"context": context, "attention": attention}}
            recipe = "dnlnet-drive-paper" if name == "full" else f"dnlnet-drive-paper-{switches}"
            out.append(make(entry | {"recipe": recipe}, table["dnlnet"]["columns"], stored, results))
    for part in table["comparator"]:
        for name, network in zip(part["names"], part["networks"], strict=True):
            entry = {"of": "dnlnet", "table": "?", "name": f"comparator: {name}", "frames": "drive test"}
            entry |= {"network": network, "recipe": f"{network}-drive-paper"}
            out.append(make(entry, table["dnlnet"]["columns"], stored, results))
    for part in table["open"]:
        out += [Row("dnlnet", "?", f"comparator: {name}", "", f"open: {part['why']}") for name in part["names"]]
    return out


def lines(found: list[Row], of: str, columns: list[str]) -> tuple[list[str], list[list[str]]]:
    """Head and cells of one paper's table; a cell is "paper → ours"."""
    head = ["table", "row", *(key.replace("_", " ") for key in columns), "recipe", "where ours is from"]
    body = []
    for row in found:
        if row.of == of:
            cells = [f"{row.paper.get(key, UNKNOWN)} → {row.ours.get(key, '–')}" for key in columns if key]
            asked = [
                "" if key not in row.paper and key not in row.ours and not wanted(row, key) else cell
                for key, cell in zip(columns, cells, strict=True)
            ]
            body.append([row.table, row.name, *asked, row.recipe, row.status])
    return head, body


def wanted(row: Row, key: str) -> bool:
    """Whether the paper's table has such a column for the row."""
    if row.of == "npnet":
        return row.table == "1" or key in ("iou", "dice")
    return row.table != "4" and key in (*POOLED, "parameters_m")


def main() -> None:
    """Prints the tables."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--markdown", action="store_true", help="as Markdown instead of boxes")
    parser.add_argument("--json", metavar="PATH|-", dest="json_to", help="rows as JSON")
    parser.add_argument("--results", type=Path, default=HERE / "results")
    words = parser.parse_args()
    found = rows(words.results)
    if words.json_to:
        from edgeseg.console import write_json

        write_json({"rows": [asdict(row) for row in found]}, words.json_to)
        if words.json_to == "-":
            return
    from rich.console import Console
    from rich.table import Table

    screen = Console()
    papers = tomllib.loads((HERE / "papers.toml").read_text(encoding="utf-8"))
    for of in ("npnet", "dnlnet"):
        head, body = lines(found, of, papers[of]["columns"])
        title = f"{papers[of]['title']}: the paper → ours ({UNKNOWN}: not in our sources)"
        if words.markdown or not screen.is_terminal:
            print(f"## {title}\n\n| " + " | ".join(head) + " |\n" + "|---" * len(head) + "|")
            print("\n".join("| " + " | ".join(cells) + " |" for cells in body) + "\n")
            continue
        table = Table(*head, title=title, title_justify="left", show_lines=True)
        for cells in body:
            table.add_row(*cells)
        screen.print(table)


if __name__ == "__main__":
    main()
