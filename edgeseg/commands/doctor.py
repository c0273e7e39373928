"""`edgeseg doctor`."""

from __future__ import annotations

import typer

from edgeseg.commands import options

SIGNS = {"ok": ("✓", "green"), "missing": ("–", "yellow"), "broken": ("✗", "red")}


def command(json_to: options.Json = None, quiet: options.Quiet = False) -> None:
    """What works here, what is missing, and the command that adds it."""
    from rich.table import Table
    from rich.text import Text

    from edgeseg import console
    from edgeseg.doctor import examine

    checks = examine()
    table = Table("", "what", "found", "to add it", box=None)
    for check in checks:
        table.add_row(Text(*SIGNS[check.status]), check.name, check.detail, check.fix)
    console.console(json_to, quiet=quiet).print(table)
    console.write_json({"checks": [check.json() for check in checks]}, json_to)
    if any(check.status == "broken" for check in checks):
        raise typer.Exit(6)
