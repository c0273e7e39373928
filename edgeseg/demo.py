"""`edgeseg demo`: the whole path on synthetic frames, in minutes and without any data of one's own."""

from __future__ import annotations

import shutil
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path
from typing import TYPE_CHECKING, Any

import cv2

from edgeseg import console, pictures
from edgeseg.atomic import atomic_folder, disk_errors
from edgeseg.data.layouts import open_dataset
from edgeseg.data.phantom import PHANTOMS
from edgeseg.errors import OutputError
from edgeseg.evaluate import evaluate
from edgeseg.outputs import check_outside

if TYPE_CHECKING:
    from rich.console import Console

    from edgeseg.evaluate import Comparison, Image
    from edgeseg.metrics import Tally
    from edgeseg.model import Model

# The network trains on these scenes and is judged on one it has never seen.
TRAIN_SEEDS, FRAMES_EACH, TEST_SEED, TEST_FRAMES = range(1, 17), 16, 100, 96
TRAIN_SIZE, TEST_SIZE = (256, 192), (480, 360)
RECIPE, EPOCHS = "npnet-phantom", 20
MARK = ".edgeseg-demo"
# All that it makes in its folder; what else is there is somebody's own.
MADE = ("data", "unseen", "run", "demo.edgeseg", "overlay.mp4", "predictions.png")


@dataclass(frozen=True)
class Demo:
    """What the demo ends with; ``dice`` is the mean over the unseen clip's frames, those without polyp included."""

    dice: float
    frames_without_polyp: int
    false_alarms: int
    fps: float
    video: Path
    picture: Path
    bundle: Path
    seconds: float

    def json(self) -> dict[str, Any]:
        return {name: str(value) if isinstance(value, Path) else value for name, value in vars(self).items()}


def demo(out: Path, screen: Console, *, quiet: bool = False) -> Demo:
    """Phantom data → short training → export → stream.

    Args:
        out: a folder for everything; an earlier demo in it is replaced.
        screen: where the steps are told.
        quiet: no progress bars.

    Raises:
        OutputError: ``out`` holds something else, or the disk.
    """
    console.require("train", "torch", "lightning", "monai", "onnx", "tomli_w")
    begin = time.perf_counter()
    _prepare(out)
    screen.print(f"1/4 rendering {len(TRAIN_SEEDS)} synthetic colonoscopies to learn from, and an unseen one")
    render_training_set(out / "data", quiet=quiet)
    from edgeseg.data.phantom.write import write_clip

    write_clip("colonoscopy", out / "unseen", TEST_SIZE, TEST_FRAMES, 25.0, TEST_SEED, quiet=quiet)
    screen.print("2/4 training NPNet")
    from edgeseg.data.labelled import open_labelled
    from edgeseg.train import recipe as recipes
    from edgeseg.train.run import train

    recipe, sha256 = recipes.load(RECIPE)
    recipe = recipe.model_copy(update={"train": recipe.train.model_copy(update={"epochs": EPOCHS})})
    labelled = open_labelled([out / "data"], 0, None, recipe.train.val_fraction)
    run = train(recipe, sha256, labelled, out / "run", quiet=quiet)
    screen.print("3/4 exporting the frame graph and checking it against the network")
    from edgeseg.bundle import open_model
    from edgeseg.export.run import export_run

    bundle = export_run(open_model(run), [out / "data"], None, out / "demo.edgeseg", opset=17).path
    screen.print("4/4 segmenting the unseen clip")
    from edgeseg.stream.infer import Outputs, infer, opened
    from edgeseg.stream.sources.base import SourceOptions

    video = out / "overlay.mp4"
    clip = str(out / "unseen" / "clip.mp4")
    with open_model(bundle).load() as model:
        shown = Outputs(out=video)
        infer(model, opened(clip, shown, SourceOptions()), shown, quiet=quiet)
        # Speed is that of the model on the clip; encoding the annotated video is for people to look at.
        summary, _ = infer(model, opened(clip, Outputs(), SourceOptions()), Outputs(), quiet=quiet)
        tally, picture = _judge(model, out)
    empty = [image for image in tally.images if image.counts.tp + image.counts.fn == 0]
    return Demo(
        dice=round(tally.per_image()["dice"], 4),
        frames_without_polyp=len(empty),
        false_alarms=sum(image.counts.fp > 0 for image in empty),
        fps=round(summary.fps, 1),
        video=video,
        picture=picture,
        bundle=bundle,
        seconds=round(time.perf_counter() - begin, 1),
    )


def _prepare(out: Path) -> None:
    check_outside("--out", out, folder=True)
    with disk_errors(out):
        if out.exists() and any(out.iterdir()):
            if not (out / MARK).is_file():
                raise OutputError(f"{out} exists and is no demo; choose another --out")
            for path in (out / name for name in MADE):
                if path.is_dir() and not path.is_symlink():
                    shutil.rmtree(path)
                else:
                    path.unlink(missing_ok=True)
        out.mkdir(parents=True, exist_ok=True)
        (out / MARK).touch()


def render_training_set(folder: Path, *, quiet: bool = False) -> None:
    """Frames of all training scenes as one ``folder`` data set, each scene a group of its own."""
    groups = ["stem,group"]
    with atomic_folder(folder) as place, console.progress(quiet=quiet) as bar:
        for name in ("images", "masks"):
            (place / name).mkdir()
        task = bar.add_task("phantom", total=len(TRAIN_SEEDS), note="")
        # Fresh processes: by now this one may have threads that do not survive a fork.
        with ProcessPoolExecutor(2, mp_context=get_context("spawn")) as pool:
            for stems in pool.map(_render_scene, TRAIN_SEEDS, [place] * len(TRAIN_SEEDS)):
                groups += [f"{stem},{stem.split('-')[0]}" for stem in stems]
                bar.advance(task)
        (place / "groups.csv").write_text("\n".join(groups) + "\n")


def _render_scene(seed: int, place: Path) -> list[str]:
    clip = PHANTOMS["colonoscopy"](FRAMES_EACH * 6, *TRAIN_SIZE, seed)
    stems = []
    for index in range(0, len(clip), 6):
        frame = clip[index]
        stems.append(f"s{seed:03d}-{index:04d}")
        cv2.imwrite(str(place / "images" / f"{stems[-1]}.png"), frame.image)
        cv2.imwrite(str(place / "masks" / f"{stems[-1]}.png"), frame.mask)
    return stems


def _judge(model: Model, out: Path) -> tuple[Tally, Path]:
    """Figures against the truth of the unseen clip, and a contact sheet of every eighth frame."""
    tiles: list[Image] = []

    def each(one: Comparison) -> None:
        if (len(seen) % (TEST_FRAMES // 12)) == 0:
            label = f"{one.pair.stem}  Dice {one.figures.figures['dice']:.2f}"
            tiles.append(pictures.compare_tile(one.frame, one.truth, one.predicted, label))
        seen.append(one.pair.stem)

    seen: list[str] = []
    dataset = open_dataset(out / "unseen")
    tally = evaluate(dataset.pairs, model.run, model.spec, model.thresholds, each=each)
    picture = out / "predictions.png"
    pictures.write_png(picture, pictures.sheet(tiles))
    return tally, picture
