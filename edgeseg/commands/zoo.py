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
    table = Table("name", "network", "input", "graphs", "Dice", "terms")
    rows = []
    for one in [name] if name else names:
        manifest = require_manifest(open_bundle(one))
        figures = [f"{e.per_image.dice:.3f} ({e.subject}, {e.data} {e.split})" for e in manifest.evaluations]
        graphs = ", ".join(f"{graph.precision} {graph.gate}" for graph in manifest.graphs)
        size = f"{manifest.frame.height}x{manifest.frame.width}"
        table.add_row(one, manifest.task.network, size, graphs, "\n".join(figures), manifest.terms.notice)
        rows.append(manifest.model_dump(by_alias=True, exclude_none=True))
    console.console(json_to, quiet=quiet).print(table)
    console.write_json({"zoo": rows}, json_to)
