"""`edgeseg sources`."""

from __future__ import annotations

from dataclasses import asdict

from edgeseg.commands import options


def command(json_to: options.Json = None, quiet: options.Quiet = False) -> None:
    """List what --stream can open on this machine."""
    from rich.table import Table

    from edgeseg import console
    from edgeseg.stream.machine import available

    found = available()
    table = Table("source", "--stream", "here", "")
    for one in found:
        table.add_row(one.name, one.example, "yes" if one.works else "no", one.detail)
    console.console(json_to, quiet=quiet).print(table)
    console.write_json({"sources": [asdict(one) for one in found]}, json_to)
