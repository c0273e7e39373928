"""`edgeseg train RECIPE --data DIR`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgeseg.commands import options
from edgeseg.errors import UsageError


def command(
    recipe: Annotated[str, typer.Argument(help="A shipped recipe's name, or the path of a .toml file.")],
    data: options.Data,
    split: Annotated[
        Path | None, typer.Option("--split", metavar="FILE", help="Stems to train on instead of the set's own.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="The run folder; default runs/RECIPE.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the last finished epoch.")] = False,
    epochs: Annotated[
        int | None, typer.Option("--epochs", min=1, max=options.MOST, help="Instead of the recipe's.")
    ] = None,
    batch: Annotated[
        int | None, typer.Option("--batch", min=1, max=options.MOST, help="Frames a step, likewise.")
    ] = None,
    time: Annotated[
        float | None,
        typer.Option("--time", min=0.001, metavar="HOURS", help="Train for this long instead of --epochs."),
    ] = None,
    imgsz: options.ImageSize = None,
    seed: Annotated[
        int, typer.Option("--seed", min=0, max=options.LARGEST_SEED, help="Of splits, weights, order, augmentation.")
    ] = 0,
    devices: Annotated[int, typer.Option("--devices", min=1, help="Processes or GPUs (DDP), a batch each.")] = 1,
    start_from: Annotated[
        str | None,
        typer.Option(
            "--from", metavar="MODEL", help="A run, bundle or zoo name to begin with; a run's narrower network grows."
        ),
    ] = None,
    teacher: Annotated[
        Path | None, typer.Option("--teacher", help="A run to learn from, for recipes with distil or hint.")
    ] = None,
    quiet: options.Quiet = False,
) -> None:
    """Train a network on labelled frames; writes a run folder."""
    from edgeseg.console import require

    require("train", "torch", "lightning", "monai", "tomli_w")
    from edgeseg.data.labelled import open_labelled
    from edgeseg.data.layouts import OWNERS
    from edgeseg.data.lineage import check_parent
    from edgeseg.outputs import check_outside
    from edgeseg.train import recipe as recipes
    from edgeseg.train.load import open_start, open_teacher
    from edgeseg.train.run import check_settings, follows, train
    from edgeseg.train.write import made_from, terms

    options.check_finite({"--time": time})
    if time is not None and (epochs is not None or resume or devices > 1):
        raise UsageError("--time ends by one clock: give it without --epochs, --resume and --devices")
    loaded, sha256 = recipes.load(recipe)
    changes: dict[str, int] = {k: v for k, v in (("epochs", epochs), ("batch", batch)) if v is not None}
    if changes:
        loaded = loaded.model_copy(update={"train": loaded.train.model_copy(update=changes)})
    if imgsz:
        height, width = options.parse_size(imgsz)
        size = {"height": height, "width": width}
        loaded = loaded.model_copy(update={"input": loaded.input.model_copy(update=size)})
    folder = out or Path("runs") / loaded.name
    check_outside("--out", folder, folder=True)
    start = None if start_from is None else open_start(start_from)
    taught_by = None if teacher is None else open_teacher(teacher)
    check_settings(loaded, folder, resume=resume, devices=devices, start_from=start, teacher=taught_by)
    labelled = open_labelled(data, seed, split, loaded.train.val_fraction)
    if start is not None:
        check_parent("--from", str(start_from), labelled, split, start.manifest)
    if taught_by is not None:
        check_parent("--teacher", str(teacher), labelled, split, taught_by.manifest)
    before = made_from(start, taught_by)
    bound = terms(loaded, before)
    if not quiet and not follows(devices):
        if bound.model_dump() != loaded.terms.model_dump():
            names = " and ".join(one.name for one in before)
            only = ", for research only" if bound.research_only else ""
            typer.echo(f"terms of {names} bind what is made from it: {bound.weights_licence}{only}", err=True)
        own = [one.dataset.name for one in labelled if one.dataset.terms == OWNERS]
        if own and loaded.terms.research_only and not recipe.endswith(".toml"):
            typer.echo(
                f'bundles of this run will say "{loaded.terms.notice}", as {loaded.name} does; for {" and ".join(own)} '
                f'write [terms] and [use] of your own into a recipe that extends "{loaded.name}"',
                err=True,
            )
        if start is not None and start.manifest is None:
            typer.echo(f"nothing says what {start_from} was trained on, nor under which terms", err=True)
        if resume and not (folder / "last.ckpt").is_file():
            typer.echo(f"{folder}: holds no training to resume; begins a new one", err=True)
    train(
        loaded,
        sha256,
        labelled,
        folder,
        seed=seed,
        resume=resume,
        devices=devices,
        start_from=start,
        teacher=taught_by,
        seconds=None if time is None else time * 3600,
        quiet=quiet,
    )
    if not quiet and not follows(devices):
        typer.echo(f"run: {folder}")
