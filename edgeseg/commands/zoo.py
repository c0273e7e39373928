"""`edgeseg zoo [NAME]`."""

from __future__ import annotations

from typing import Annotated

import typer

from edgeseg.commands import options
from edgeseg.errors import UsageError


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
    table = Table()
    for heading in ("name", "network", "input", "MB", "graphs", "Dice on test frames", "terms"):
        table.add_column(heading, no_wrap=heading == "name")
    rows: list[dict[str, object]] = []
    total = 0
    for one in [name] if name else names:
        source = open_bundle(one)
        manifest = require_manifest(source)
        # Once for float and once for each INT8 graph; what it is on every backend and on validation is in the card.
        reported = {(e.subject, e.data): e.per_image.dice for e in manifest.evaluations if e.purpose == "report"}
        figures = [f"{dice:.3f} {data}, {subject}" for (subject, data), dice in reported.items()]
        graphs = "\n".join(f"{graph.name} {graph.gate}" for graph in manifest.graphs)
        size = f"{manifest.frame.height}x{manifest.frame.width}"
        held = sum(file.stat().st_size for file in source.path.rglob("*") if file.is_file())
        total += held
        table.add_row(
            one, manifest.task.network, size, f"{held / 1e6:.1f}", graphs, "\n".join(figures), manifest.terms.notice
        )
        rows.append(manifest.model_dump(by_alias=True, exclude_none=True) | {"bytes": held})
    if name is None:
        table.caption = f"{total / 1e6:.1f} MB in all"
    console.console(json_to, quiet=quiet).print(table)
    console.write_json({"zoo": rows}, json_to)
