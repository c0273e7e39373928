"""`edgeseg verify BUNDLE`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgeseg.commands import options


def command(
    model: Annotated[str, typer.Argument(metavar="BUNDLE", help="A bundle or zoo name.")],
    data: Annotated[
        list[Path] | None, typer.Option("--data", help="Labelled frames; may be given several times.")
    ] = None,
    split: options.Split = None,
    max_dice_drop: options.MaxDiceDrop = 0.5,
    update: Annotated[
        bool, typer.Option("--update", help="Write what was measured into the bundle (a whole new one).")
    ] = False,
    report: Annotated[
        Path | None, typer.Option("--report", metavar="FILE.html", help="Report with pictures, outside the bundle.")
    ] = None,
    device: options.Device = 0,
    rebuild: options.Rebuild = False,
    json_to: options.Json = None,
    quiet: options.Quiet = False,
) -> None:
    """Check a bundle on this machine: hashes, golden frames, parity, accuracy."""
    from edgeseg import console

    console.require("train", "onnx")
    from rich.table import Table

    from edgeseg import verify
    from edgeseg.bundle import ZOO, open_bundle
    from edgeseg.errors import GateError, ModelError, UsageError
    from edgeseg.export import papers, report_pictures
    from edgeseg.export.report import Findings
    from edgeseg.export.run import evaluation
    from edgeseg.outputs import check_files

    source = open_bundle(model)
    if update and source.path.parent == ZOO:
        raise UsageError(
            f"--update: {source.path} is shipped and not written to; update a copy (edgeseg export {model})"
        )
    if report is not None:
        if report.resolve().is_relative_to(source.path.resolve()):
            raise UsageError(f"--report {report}: holds pictures of patients and must stand outside the bundle")
        check_files({"--report": report, "--json": console.json_file(json_to)})
    screen = console.console(json_to, quiet=quiet)
    with screen.status("") as status:
        if rebuild:
            from edgeseg.export.engines import rebuilt

            source = rebuilt(source, device=device, step=status.update)
        found = verify.verify(source, data or [], split, budget=max_dice_drop, device=device, step=status.update)
    table = Table("", "check", "of", "found", title=f"{source.name} on this machine", title_justify="left")
    for one in found.checks:
        table.add_row("✓" if one.passed else "✗", one.name, one.subject, one.detail)
    screen.print(table)
    evaluations = [evaluation(one, "report") for one in found.measured]
    findings = Findings(found.measured)
    if report is not None:
        shown = found.manifest
        if data:  # else the figures that the bundle holds
            shown = shown.model_copy(update={"evaluations": evaluations})
        report_pictures.write(source, shown, findings, report)
        screen.print(f"report: {report}")
    if update and found.passed:
        papers.update(source, evaluations, Findings(found.measured), found.engine_gates)
        screen.print(f"updated: {source.path}")
    console.write_json(found.json(evaluations), json_to)
    bad = next((one for one in found.checks if not one.passed), None)
    if bad is not None:
        error = ModelError if bad.name in ("hashes", "files") else GateError
        raise error(f"{source.path}: {bad.name} of {bad.subject}: {bad.detail}")
