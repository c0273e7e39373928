"""`edgeseg zoo [NAME]`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from edgeseg.commands import options
from edgeseg.errors import UsageError

if TYPE_CHECKING:
    from rich.table import Table

    from edgeseg.manifest import Manifest


def command(
    name: Annotated[str | None, typer.Argument(help="A zoo name; all if left out.")] = None,
    json_to: options.Json = None,
    quiet: options.Quiet = False,
) -> None:
    """The bundles shipped with edgeseg, their figures and terms."""
    from rich.table import Table

    from edgeseg import console
    from edgeseg.bundle import open_bundle, require_manifest, zoo_names

    names = zoo_names()
    if name is not None and name not in names:
        raise UsageError(f"no zoo bundle {name!r}; there are {', '.join(names) or 'none'}")
    table = Table("name", "network", "input", "MB", "Dice on test frames, float")
    rows: list[dict[str, object]] = []
    notices = []
    total = 0
    for one in [name] if name else names:
        source = open_bundle(one)
        manifest = require_manifest(source)
        rates = {
            e.data: e.per_image.dice for e in manifest.evaluations if e.purpose == "report" and e.subject == "float"
        }
        figures = "\n".join(f"{dice:.4f} {data}" for data, dice in rates.items())
        size = f"{manifest.frame.height}x{manifest.frame.width}"
        held = sum(file.stat().st_size for file in source.path.rglob("*") if file.is_file())
        total += held
        table.add_row(one, manifest.task.network, size, f"{held / 1e6:.1f}", figures)
        notices.append(f"{one}: {manifest.terms.notice}")
        rows.append(manifest.model_dump(by_alias=True, exclude_none=True) | {"bytes": held})
    screen = console.console(json_to, quiet=quiet)
    screen.print(table)
    for notice in notices:
        screen.print(notice)
    if name is None:
        screen.print(f"{total / 1e6:.1f} MB in all; edgeseg zoo NAME shows a bundle's graphs")
    else:
        screen.print(_graphs(manifest))
    console.write_json({"zoo": rows}, json_to)


def _graphs(manifest: Manifest) -> Table:
    """Each graph with its gate and, on every backend, its figures on test frames."""
    from rich.table import Table

    table = Table("graph", "gate", "on", "test frames", "Dice", "points lost")
    for graph in manifest.graphs:
        found = [e for e in manifest.evaluations if e.purpose == "report" and e.subject == graph.name]
        for number, row in enumerate(found):
            lost = "" if row.dice_drop is None else f"{100 * row.dice_drop + 0.0:.2f}"
            head = (graph.name, graph.gate) if number == 0 else ("", "")
            table.add_row(*head, row.backend, row.data, f"{row.per_image.dice:.4f}", lost)
        if not found:
            table.add_row(graph.name, graph.gate, "", "", "", "")
    return table
