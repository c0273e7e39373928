"""What commands print: tables and progress for people, one JSON document for programs."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeseg.errors import BackendError, OutputError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress


def require(extra: str, *modules: str) -> None:
    """Checks that an extra is installed.

    Raises:
        BackendError: it is not, with the command that adds it.
    """
    missing = [name for name in modules if importlib.util.find_spec(name) is None]
    if missing:
        raise BackendError(f"{missing[0]} is not installed; run: pip install 'edgeseg[{extra}]'")


def console(json_to: str | None = None, *, quiet: bool = False) -> Console:
    """The console for tables, stderr where stdout carries JSON; brackets in file names are shown as they are.

    Raises:
        OutputError: ``json_to`` cannot be written, which is better known before the work than after it.
        UsageError: it lies in a bundle.
    """
    from rich.console import Console

    if json_to not in (None, "-"):
        from edgeseg.outputs import check_files

        check_files({"--json": json_file(json_to)})
    return Console(stderr=json_to == "-", quiet=quiet, soft_wrap=True, highlight=False, markup=False, emoji=False)


def json_file(json_to: str | None) -> Path | None:
    """The file of ``--json``; None for standard output, or where there is none."""
    return None if json_to in (None, "-") else Path(str(json_to))


def write_json(value: Any, json_to: str | None) -> None:
    """Writes a command's result where ``--json`` says; nothing if it was not given.

    Raises:
        OutputError: the file cannot be written.
    """
    if json_to is None:
        return
    text = json.dumps(value, indent=1, ensure_ascii=False, allow_nan=False) + "\n"
    if json_to == "-":
        if sys.stdout is None:
            raise OutputError("standard output is closed; give --json a file")
        sys.stdout.write(text)
        return
    from edgeseg.atomic import atomic_write

    atomic_write(Path(json_to), text)


def progress(*, quiet: bool = False) -> Progress:
    """A progress bar on a terminal's stderr, silent in a pipe."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeRemainingColumn(),
    )
    return Progress(*columns, console=Console(stderr=True), transient=True, disable=quiet or not sys.stderr.isatty())
