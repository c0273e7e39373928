"""The run folder: weights, manifest, curves and a contact sheet."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

import edgeseg
from edgeseg import manifest as mf
from edgeseg.atomic import atomic_write
from edgeseg.errors import InputError, UsageError
from edgeseg.names import legal_name
from edgeseg.nets.count import cost
from edgeseg.strict_json import MAX_STRING
from edgeseg.train import pictures
from edgeseg.train.checkpoint import weights_bytes
from edgeseg.train.operating import choose_area, operating_points

if TYPE_CHECKING:
    from edgeseg.data.labelled import Labelled
    from edgeseg.nets.frame import FrameNet
    from edgeseg.train.frames import Frames
    from edgeseg.train.load import Start
    from edgeseg.train.recipe import Recipe
    from edgeseg.train.recorder import Recorder
    from edgeseg.train.teacher import Teacher

# Population stability index at which a stream's grey histogram is called drifted: the usual rule of thumb.
PSI_WARN = 0.2
ROOT = Path(__file__).parents[2]


def write_run(
    out: Path,
    recipe: Recipe,
    recipe_sha256: str,
    seed: int,
    net: FrameNet,
    recorder: Recorder,
    data: list[Labelled],
    train_set: Frames,
    val_set: Frames,
    start: Start | None = None,
    teacher: Teacher | None = None,
) -> None:
    """Writes everything a run holds beside ``last.ckpt`` and ``metrics.csv``; the manifest last."""
    weights = weights_bytes(net, recipe.network.options)
    atomic_write(out / "weights.safetensors", weights)
    pictures.curves(recorder.rows, out / "curves.png")
    pictures.predictions(net, val_set, recipe, out / "predictions.png")
    classes, points = operating_points(net, val_set, recipe, "+".join(one.dataset.name for one in data))
    manifest = run_manifest(out, recipe, recipe_sha256, seed, net, recorder, data, train_set, weights, start, teacher)
    output = manifest.output
    if recipe.train.min_area_rule == "max dice":
        area = choose_area(net, val_set, [one.threshold or 128 for one in classes[1:]])
        output = output.model_copy(update={"min_area": area})
    manifest = manifest.model_copy(update={"classes": classes, "operating_points": points, "output": output})
    write_manifest(out, manifest)


def write_manifest(folder: Path, manifest: mf.Manifest) -> None:
    """manifest.json and, after it, manifest.sha256 (so that ``sha256sum -c manifest.sha256`` works).

    Raises:
        InputError: it is none that edgeseg would read again.
    """
    data = mf.dump(manifest)
    try:
        mf.parse(data)
    except ValueError as error:
        raise InputError(f"{folder / 'manifest.json'}: is not written: {error}") from error
    atomic_write(folder / "manifest.json", data)
    atomic_write(folder / "manifest.sha256", f"{mf.sha256(data)}  manifest.json\n")


def run_manifest(
    out: Path,
    recipe: Recipe,
    recipe_sha256: str,
    seed: int,
    net: FrameNet,
    recorder: Recorder,
    data: list[Labelled],
    train_set: Frames,
    weights: bytes,
    start: Start | None = None,
    teacher: Teacher | None = None,
) -> mf.Manifest:
    """What the run says about itself; `export` copies it unchanged into bundles."""
    from edgeseg.train.run import frame_of, versions

    height, width = recipe.input.height, recipe.input.width
    counted = cost(net.net, height, width)
    commit, dirty = recorder.commit
    training = mf.Training(
        recipe=recipe.name,
        recipe_sha256=recipe_sha256,
        seed=seed,
        epochs=len(recorder.rows),
        epoch=recorder.epoch,
        commit=commit,
        dirty=dirty,
        weights_sha256=mf.sha256(weights),
        parent_sha256=None if start is None else start.sha256,
        teacher_sha256=None if teacher is None else teacher.manifest.training.weights_sha256,
        parameters=counted.parameters,
        gmac=round(counted.gmac, 6),
        versions=[mf.Version(name=name, version=version) for name, version in versions().items()],
        data=[
            mf.DataUse(name=s.name, listing_sha256=s.listing_sha256, terms=s.terms)
            for s in (one.dataset for one in data)
        ],
        splits=[split for one in data for split in _splits(one)],
        ancestors=ancestors(made_from(start, teacher)),
    )
    return mf.Manifest(
        kind="run",
        name=legal_name(out.resolve().name, recipe.name),
        created=mf.now(),
        writer=f"edgeseg {edgeseg.__version__}",
        task=mf.Task(kind="segmentation", modality=recipe.modality, network=recipe.network.name),
        classes=list(recipe.classes),
        frame=frame_of(recipe),
        output=mf.Output(channels=len(recipe.classes) - 1, height=height, width=width, min_area=recipe.min_area),
        training=training,
        input_statistics=input_statistics(train_set),
        terms=terms(recipe, made_from(start, teacher)),
        use=recipe.use,
        documents=[
            mf.Document(role="weights", file="weights.safetensors", size=len(weights), sha256=mf.sha256(weights))
        ],
    )


def made_from(*models: Start | Teacher | None) -> list[mf.Manifest]:
    """What the models that a training begins with or learns from say of themselves, as far as they do."""
    return [one.manifest for one in models if one is not None and one.manifest is not None]


def terms(recipe: Recipe, before: list[mf.Manifest]) -> mf.Terms:
    """The recipe's together with those of the models that the training begins with or learns from.

    Licences are joined as SPDX writes that all of them hold; notices stand behind each other, each once.

    Raises:
        UsageError: the notices or licences together are too long for a manifest.
    """
    licence, notice = recipe.terms.weights_licence, recipe.terms.notice
    for one in before:
        theirs = one.terms
        parts = [part for each in (licence, theirs.weights_licence) for part in _grouped(each).split(" AND ")]
        licence = licence if licence == theirs.weights_licence else " AND ".join(dict.fromkeys(parts))
        if notice in theirs.notice:
            notice = theirs.notice
        elif theirs.notice not in notice:
            notice = f"{notice} Made from {one.name}: {theirs.notice}"
        for key, text in (("notice", notice), ("weights_licence", licence)):
            if len(text.encode()) > MAX_STRING:
                raise UsageError(
                    f"recipe {recipe.name}: its {key} and that of {one.name}, which binds too, are longer than "
                    f"{MAX_STRING} bytes together; shorten [terms] {key}"
                )
    research_only = recipe.terms.research_only or any(one.terms.research_only for one in before)
    return mf.Terms(weights_licence=licence, research_only=research_only, notice=notice)


def _grouped(licence: str) -> str:
    """An SPDX expression that may stand beside AND, which binds closer than OR."""
    return f"({licence})" if " OR " in licence and "(" not in licence else licence


def ancestors(before: list[mf.Manifest]) -> list[mf.Ancestor] | None:
    """The trainings of models that a training has before it, and those before them; None where there are none."""
    trainings = [one.training for one in before]
    nearest = [
        mf.Ancestor(
            recipe=one.recipe,
            seed=one.seed,
            weights_sha256=one.weights_sha256,
            parent_sha256=one.parent_sha256,
            teacher_sha256=one.teacher_sha256,
            data=one.data,
            splits=one.splits,
        )
        for one in trainings
    ]
    found = nearest + [further for one in trainings for further in one.ancestors or ()]
    return list({one.weights_sha256: one for one in found}.values()) or None


def _splits(labelled: Labelled) -> list[mf.SplitUse]:
    from edgeseg.data.splits import list_sha256

    return [
        mf.SplitUse(
            data=labelled.dataset.name,
            split=name,
            images=len(labelled.splits.of(name)),
            list_sha256=list_sha256(labelled.splits.of(name)),
        )
        for name in ("train", "val", "test")
        if labelled.splits.of(name)
    ]


def input_statistics(frames: Frames) -> mf.InputStatistics:
    """Grey levels of the fitted training frames, unaugmented, for drift."""
    number = len(frames.names)
    means, deviations = np.zeros((number, 3)), np.zeros((number, 3))
    histogram = np.zeros(16)
    for index in range(number):
        frame, _ = frames.cache[index]
        means[index], deviations[index] = frame.mean((0, 1)), frame.std((0, 1))
        grey = frame.astype(np.uint16).sum(2) // 3
        histogram += np.bincount((grey // 16).ravel(), minlength=16) / grey.size
    return mf.InputStatistics(
        split="train",
        frames=number,
        mean=_rounded(means.mean(0)),
        mean_sd=_rounded(means.std(0)),
        std=_rounded(deviations.mean(0)),
        std_sd=_rounded(deviations.std(0)),
        histogram=_rounded(histogram / number, 6),
        psi_warn=PSI_WARN,
    )


def _rounded(values: np.ndarray[tuple[int, ...], np.dtype[np.float64]], digits: int = 3) -> list[float]:
    return [round(float(value), digits) for value in values]


def git_state(root: Path = ROOT) -> tuple[str, bool]:
    """Commit of the checkout that edgeseg runs from and whether it is dirty; "none" where installed from a wheel.

    A machine to which the files of a checkout were sent without ``.git`` is told by ``EDGESEG_COMMIT``, with "-dirty"
    behind it if they were changed.

    Raises:
        UsageError: that is no commit.
    """
    if not (root / ".git").exists():
        given = os.environ.get("EDGESEG_COMMIT", "")
        found = re.fullmatch("([0-9a-f]{7,40})(-dirty)?", given)
        if given and not found:
            raise UsageError(f"EDGESEG_COMMIT={given} is no commit; give 7 to 40 of its digits, with -dirty if changed")
        return (found[1], bool(found[2])) if found else ("none", False)
    try:
        commit = _git(root, "rev-parse", "--short=12", "HEAD")
        return commit or "none", bool(_git(root, "status", "--porcelain", "--untracked-files=no"))
    except (OSError, subprocess.SubprocessError):
        return "none", False


def _git(root: Path, *words: str) -> str:
    call = ["git", "-C", str(root), *words]
    return subprocess.run(call, capture_output=True, text=True, check=True).stdout.strip()  # noqa: S603 - no shell
