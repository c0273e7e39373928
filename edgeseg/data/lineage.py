"""What the models before a training were shaped by, and whether what is held out now is new to all of them."""

from __future__ import annotations

import contextlib
from pathlib import Path

from edgeseg import manifest as mf
from edgeseg.data.dataset import Dataset, read_list
from edgeseg.data.labelled import Labelled
from edgeseg.data.select import called, trained_split
from edgeseg.data.splits import Splits, list_sha256
from edgeseg.errors import DataError, UsageError

Saw = dict[str, set[str]]


def check_parent(
    option: str,
    name: str,
    data: list[Labelled],
    train_list: Path | None,
    manifest: mf.Manifest | None = None,
) -> None:
    """Whether a training may begin with a model or learn from it: what is held out now must not have shaped that.

    Args:
        option: that named the model, for the error.
        name: of the model: a run's folder, whose ``splits/`` say what it was trained on itself, or a bundle.
        data: of the training to come.
        train_list: its ``--split``.
        manifest: of the model, which says what it and the models before it saw; None for a run of which only the
            weights are there.

    Raises:
        UsageError: the model or one before it was trained on, or chose by, frames that are held out now; or nothing
            says by which.
    """
    who = f"{option} {name}"
    for labelled in data:
        dataset, now = labelled.dataset, labelled.splits
        if manifest is None:
            _compare(who, "its", _files(Path(name), dataset.name), now, dataset.name, None)
            continue
        run = Path(name) if manifest.kind == "run" else None
        saw = _of_model(who, run, dataset, manifest, train_list)
        _compare(who, "its", saw, now, dataset.name, manifest.training.seed)
        for one in manifest.training.ancestors or ():
            before = _found(dataset, one, manifest.name, train_list)
            if before is not None:
                _compare(who, f"an earlier training's ({one.recipe})", before, now, dataset.name, one.seed)
            elif not _held_out_then(now, saw, _hashes(dataset, one)):
                raise UsageError(_nothing_says(f"{who}, an earlier training ({one.recipe})", dataset, one))


def _compare(who: str, whose: str, saw: Saw, now: Splits, data: str, seed: int | None) -> None:
    for then, held in (("train", "test"), ("train", "val"), ("val", "test")):
        shared = sorted(saw.get(then, set()) & set(now.of(held)))
        if shared:
            was = "" if seed is None else f" ({seed})"
            raise UsageError(
                f"{who}: {len(shared)} frames of {data} (such as {shared[0]}) were in {whose} {then} split and are in "
                f"this training's {held} split; take that training's --seed{was}, its --split and no larger "
                f"val_fraction, or copy its run's splits/{data}.test.txt and {data}.val.txt into the data set's folder "
                "as test.txt and val.txt"
            )


def _of_model(
    who: str, run: Path | None, dataset: Dataset, manifest: mf.Manifest, train_list: Path | None
) -> dict[str, set[str]]:
    """Splits of the model's own training: a run's files, as far as they are those it tells of; else as found again."""
    hashes = _hashes(dataset, manifest.training)
    if run is not None:
        files = _files(run, called(dataset, manifest.training) or dataset.name)
        if all(split in files and list_sha256(files[split]) == sha256 for split, sha256 in hashes.items()):
            return files
    found = _found(dataset, manifest.training, manifest.name, train_list)
    if found is None:
        raise UsageError(_nothing_says(who, dataset, manifest.training))
    return found


def _files(run: Path, data: str) -> Saw:
    """What a run's ``splits/`` list of a data set."""
    files = {name: run / "splits" / f"{data}.{name}.txt" for name in ("train", "val", "test")}
    return {name: set(read_list(file)) for name, file in files.items() if file.is_file()}


def _hashes(dataset: Dataset, training: mf.Training | mf.Ancestor) -> dict[str, str]:
    """Of the splits of a set of these files or, where there is none, of this name; empty where it saw no such set."""
    data = called(dataset, training) or dataset.name
    return {one.split: one.list_sha256 for one in training.splits if one.data == data}


def _found(dataset: Dataset, training: mf.Training | mf.Ancestor, model: str, train_list: Path | None) -> Saw | None:
    """A training's splits of this set, by the lists at hand; empty where it saw no such set, None if not found."""
    out: Saw = {}
    for split in _hashes(dataset, training):
        stems = None
        with contextlib.suppress(DataError):
            stems = trained_split(dataset, split, training, model, train_list)
        if stems is None:
            return None
        out[split] = set(stems)
    return out


def _held_out_then(now: Splits, saw: Saw, hashes: dict[str, str]) -> bool:
    """Whether an earlier training, of other files or lists, held out what is held out now.

    By its own lists' hashes; or since the model held it out, and had been checked against that training then.
    """
    test, val = saw.get("test", set()), saw.get("val", set())
    return (list_sha256(now.test) == hashes.get("test") or set(now.test) <= test) and (
        list_sha256(now.val) in (hashes.get("val"), hashes.get("test")) or set(now.val) <= val | test
    )


def _nothing_says(who: str, dataset: Dataset, training: mf.Training | mf.Ancestor) -> str:
    data = called(dataset, training) or dataset.name
    return (
        f"{who}: was trained on a data set {data}, and nothing in {dataset.root} says on which of its frames, since "
        f"files or lists are others; copy what it held out, its run's splits/{data}.test.txt and {data}.val.txt, into "
        "the folder as test.txt and val.txt, or rename the folder if these are other frames"
    )
