"""`edgeseg calibrate MODEL --data DIR`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from edgeseg.commands import options


def command(
    model: options.TrainedModel,
    data: options.Data,
    frames: Annotated[int | None, typer.Option("--frames", min=1, max=4096, help="How many; default 128.")] = None,
    method: options.Method = None,
    seed: Annotated[int | None, typer.Option("--seed", min=0, max=options.LARGEST_SEED, help="Of the draw.")] = None,
    calibration: Annotated[
        str | None, typer.Option("--calibration", metavar="RECIPE", help="A shipped recipe, or a .toml file.")
    ] = None,
    save_recipe: Annotated[
        Path | None, typer.Option("--save-recipe", metavar="FILE.toml", help="Freeze the frames into a recipe.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", metavar="TABLE.json", help="The calibration table.")] = None,
    json_to: options.Json = None,
    quiet: options.Quiet = False,
) -> None:
    """Choose calibration frames and record what every activation does on them."""
    from edgeseg import console

    console.require("train", "torch", "onnx", "onnxscript", *(["tomli_w"] if save_recipe else []))
    from edgeseg.atomic import atomic_write
    from edgeseg.bundle import open_model, require_manifest
    from edgeseg.calibration import frames as chosen_frames
    from edgeseg.calibration import run, table
    from edgeseg.errors import UsageError
    from edgeseg.export.int8 import choose_frames
    from edgeseg.export.request import checked_method
    from edgeseg.export.run import float_graph
    from edgeseg.outputs import check_files, check_suffix

    if out is None and save_recipe is None:
        raise UsageError("say what to write, --out TABLE.json or --save-recipe FILE.toml")
    if calibration is not None and frames is not None:
        raise UsageError(f"--frames {frames}: recipe {calibration} says which frames; give one of the two")
    check_files({"--out": out, "--save-recipe": save_recipe, "--json": console.json_file(json_to)})
    check_suffix("--out", out, ".json")  # --calibration takes either by its suffix
    check_suffix("--save-recipe", save_recipe, ".toml")
    source = open_model(model)
    manifest = require_manifest(source)
    chosen = choose_frames(data, calibration, frames, seed, manifest)
    if seed is not None and all(one.sha256 for one in chosen.recipe.sources):
        raise UsageError(
            f"--seed {seed}: recipe {chosen.recipe.name} lists its frames and draws none; leave --seed out"
        )
    used = checked_method(method) or chosen.recipe.method
    screen = console.console(json_to, quiet=quiet)
    result: dict[str, object] = {
        "frames": len(chosen.frames),
        "data": chosen.data,
        "frames_sha256": chosen.frames_sha256,
    }
    if save_recipe is not None:
        atomic_write(save_recipe, chosen_frames.to_toml(chosen, save_recipe.stem, used))
        screen.print(f"recipe: {save_recipe} ({len(chosen.frames)} frames of {chosen.data})")
    if out is not None:
        with console.progress(quiet=quiet) as bar:
            task = bar.add_task("calibrate", total=len(chosen.frames), note="")
            graph = float_graph(source, manifest, 17, [], lambda _: None).data
            made = run.calibrate(graph, manifest, chosen, used, each=lambda: bar.advance(task))
        atomic_write(out, table.dump(made))
        result |= made.calibration.model_dump()
        screen.print(
            f"table: {out} ({used}, {len(made.tensors)} tensors, {len(chosen.frames)} frames of {chosen.data})"
        )
    console.write_json(result, json_to)
