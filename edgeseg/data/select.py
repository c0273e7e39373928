"""Which labelled frames a command means: ``--data DIR --split FILE|train|val|test`` against a model's own training."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgeseg import manifest as mf
from edgeseg.data.dataset import Dataset, Pair, read_list
from edgeseg.data.layouts import open_dataset
from edgeseg.data.splits import draw, held_out, list_sha256, resolve, training_part
from edgeseg.errors import DataError, UsageError

NAMES = ("train", "val", "test")


@dataclass(frozen=True)
class Selection:
    """Frames of one data set; ``split`` is "train", "val", "test", "all" or a list's file name."""

    dataset: Dataset
    split: str
    pairs: tuple[Pair, ...]


def select(data: list[Path], split: str | None, default: str, manifest: mf.Manifest | None) -> list[Selection]:
    """Resolves DATA of the contract for a model.

    Splits the model was trained with are taken from the lists in the folder or redrawn from the
    training seed, and must hash to what the manifest says. A folder without any lists that the
    model was not trained on gives all its pairs.

    Args:
        data: folders.
        split: as given, or None.
        default: "train", "val" or "test".
        manifest: of the model; None for a bare graph.

    Raises:
        UsageError: a folder given twice, whose frames would count twice.
        DataError: nothing there, or a split that cannot be found again.
    """
    places = [root.resolve() for root in data]
    for root, place in zip(data, places, strict=True):
        if places.count(place) > 1:
            raise UsageError(f"--data {root}: is given twice; its frames would count twice")
    out = [_select(open_dataset(root), split, default, manifest) for root in data]
    if not any(selection.pairs for selection in out):
        raise DataError(f"{', '.join(map(str, data))}: the {split or default} split is empty")
    return out


def to_choose(data: list[Path], split: str | None, manifest: mf.Manifest) -> list[Selection]:
    """Frames that something may be chosen on, such as the layers that stay in float: never test frames.

    Args:
        data: folders.
        split: as given, or None for the validation split.
        manifest: of the model.

    Raises:
        UsageError: test frames.
        DataError: as :func:`select`.
    """
    rule = "the test split only reports, nothing may be chosen on it; leave --split out to use the validation split"
    if split == "test":
        raise UsageError(f"--split test: {rule}")
    out = select(data, split, "val", manifest)
    for one in out:
        test = _test_stems(one.dataset, manifest)
        shared = sorted(pair.stem for pair in one.pairs if pair.stem in test)
        if shared:
            raise UsageError(
                f"--split {one.split}: {len(shared)} of its frames (such as {shared[0]}) are test frames of "
                f"{one.dataset.root}; {rule}"
            )
    return out


def _test_stems(dataset: Dataset, manifest: mf.Manifest) -> set[str]:
    """What is held out from the model as test frames, or by the set itself; empty where nothing says."""
    with contextlib.suppress(DataError):
        return set(_trained_split(dataset, "test", manifest.training, manifest.name) or dataset.lists.get("test", ()))
    return set(dataset.lists.get("test", ()))


def seen(selection: Selection, manifest: mf.Manifest | None) -> tuple[int, int]:
    """How many frames of a selection the model was trained on, and how many others are of the same groups.

    Groups are sequences or patients. What the models before it were trained on counts too. As far as the splits can be
    found again: 0 and 0 where they cannot.
    """
    if manifest is None:
        return 0, 0
    trained: set[str] = set()
    for one in manifest.training.lineage:
        with contextlib.suppress(DataError):
            trained |= set(_trained_split(selection.dataset, "train", one, manifest.name) or ())
    groups = {pair.group for pair in selection.dataset.pairs if pair.stem in trained} - {None}
    others = [pair for pair in selection.pairs if pair.stem not in trained]
    return len(selection.pairs) - len(others), sum(pair.group in groups for pair in others)


def check_parent(
    option: str,
    name: str,
    data: list[Path],
    seed: int,
    train_list: Path | None,
    val_fraction: float,
    manifest: mf.Manifest | None = None,
) -> None:
    """Whether a training may begin with a model or learn from it: what is held out now must not have shaped that.

    Args:
        option: that named the model, for the error.
        name: of the model: a run's folder, whose ``splits/`` say what it was trained on itself, or a bundle.
        data: folders of the training to come.
        seed: of its draws.
        train_list: its ``--split``.
        val_fraction: its recipe's.
        manifest: of the model, which says what the models before it saw, and of a bundle what this one saw; None for a
            run of which only the weights are there.

    Raises:
        UsageError: the model or one before it was trained on, or chose by, frames that are held out now; or nothing
            says by which.
        DataError: as :func:`edgeseg.data.splits.resolve`.
    """
    for dataset in map(open_dataset, data):
        now = resolve(dataset, seed, train_list=train_list, val_fraction=val_fraction)
        for whose, saw in _saw_before(f"{option} {name}", Path(name), dataset, manifest):
            for then, held in (("train", "test"), ("train", "val"), ("val", "test")):
                shared = sorted(saw.get(then, set()) & set(now.of(held)))
                if shared:
                    raise UsageError(
                        f"{option} {name}: {len(shared)} frames of {dataset.name} (such as {shared[0]}) were in "
                        f"{whose} {then} split and are in this training's {held} split; take that run's --seed and "
                        "--split, and a val_fraction that is not larger"
                    )


def _saw_before(
    option: str, run: Path, dataset: Dataset, manifest: mf.Manifest | None
) -> Iterator[tuple[str, dict[str, set[str]]]]:
    """Whose, and the stems of each split: of the model itself, then of each model before it."""
    if manifest is None or manifest.kind == "run":
        yield "its", _splits_of(run, (manifest and _called(dataset, manifest.training)) or dataset.name)
    else:
        yield "its", _saw(option, dataset, manifest.training, manifest.name)
    if manifest is None:
        return
    known = {name for one in manifest.training.data for name in (one.name, one.listing_sha256)}
    for one in manifest.training.ancestors or ():
        whose = f"an earlier training's ({one.recipe})"
        try:
            yield whose, _saw(f"{option}, an earlier training ({one.recipe})", dataset, one, manifest.name)
        except UsageError:
            # The set has grown since: what the model held out of it had been checked against that training then.
            if not known & {dataset.name, dataset.listing_sha256}:
                raise


def _splits_of(run: Path, data: str) -> dict[str, set[str]]:
    """What a run was trained on, and chose by, of a data set."""
    files = {name: run / "splits" / f"{data}.{name}.txt" for name in ("train", "val")}
    return {name: set(read_list(file)) for name, file in files.items() if file.is_file()}


def _saw(who: str, dataset: Dataset, training: mf.Training | mf.Ancestor, name: str) -> dict[str, set[str]]:
    """Likewise by a manifest, as far as the training was on a set of this name or of these very files."""
    data = _called(dataset, training) or dataset.name
    known = {one.split for one in training.splits if one.data == data} & {"train", "val"}
    out = {}
    for split in known:
        stems = None
        with contextlib.suppress(DataError):
            stems = _trained_split(dataset, split, training, name)
        if stems is None:
            raise UsageError(
                f"{who}: was trained on a data set {data}, and {dataset.root} has other files or "
                "lists, so that nothing says which of these frames it has seen; begin with its run, or rename the "
                "folder if these are other frames"
            )
        out[split] = set(stems)
    return out


def _select(dataset: Dataset, split: str | None, default: str, manifest: mf.Manifest | None) -> Selection:
    name = split or default
    if name not in NAMES:
        file = Path(name)
        if not file.is_file():
            raise DataError(f"--split {name}: is neither train, val, test nor a file of stems")
        return Selection(dataset, file.name, tuple(dataset.subset(read_list(file))))
    trained = None if manifest is None else _trained_split(dataset, name, manifest.training, manifest.name)
    if trained is not None:
        return Selection(dataset, name, tuple(dataset.subset(trained)))
    if name in dataset.lists:
        return Selection(dataset, name, tuple(dataset.subset(dataset.lists[name])))
    if split is None and not dataset.lists:
        if manifest is not None and any(one.name == dataset.name for one in manifest.training.data):
            raise DataError(
                f"{dataset.root}: {manifest.name} was trained on a data set of this name, but its files have changed "
                "and no list says which frames the model has not seen; give --split FILE, as in the run's splits/"
            )
        return Selection(dataset, "all", dataset.pairs)
    raise DataError(
        f"{dataset.root}: has no {name}.txt and the model was not trained on it; give --split FILE with a list of stems"
    )


def _called(dataset: Dataset, training: mf.Training | mf.Ancestor) -> str | None:
    """What a training called the set of these very frames, however its folder is named now; None: it had no such."""
    return next((one.name for one in training.data if one.listing_sha256 == dataset.listing_sha256), None)


def _trained_split(
    dataset: Dataset, name: str, training: mf.Training | mf.Ancestor, model: str
) -> tuple[str, ...] | None:
    """The split the model was trained with, found again by its hash; None if it was trained on other frames.

    A test split that the manifest does not name is the one that goes with the training list that was used.
    """
    data = _called(dataset, training)
    known = {one.split: one for one in training.splits if one.data == data}
    if not known:
        return None
    by = known.get(name) or known.get("train")
    for stems in _candidates(dataset, training.seed, known):
        if by is not None and list_sha256(stems[by.split]) == by.list_sha256:
            if not stems[name] or (name == "test" and set(stems["test"]) & {*stems["train"], *stems["val"]}):
                raise DataError(
                    f"{dataset.root}: {model} was trained on it and no frames are known that it has not seen; "
                    "give --split FILE with a list of such stems"
                )
            return stems[name]
    raise DataError(
        f"{dataset.root}: the {name} split that {model} was trained with cannot be found again "
        "(its lists have changed); give --split FILE, such as the run's splits/ holds"
    )


def _candidates(dataset: Dataset, seed: int, known: dict[str, mf.SplitUse]) -> Iterator[dict[str, tuple[str, ...]]]:
    """The set's own lists first, then every other list in the folder as training part."""
    parts = [training_part(dataset, seed)]
    stems_here = {pair.stem for pair in dataset.pairs}
    for file in sorted(dataset.root.glob("*.txt")):
        with contextlib.suppress(DataError):  # a README.txt is no list
            listed = read_list(file)
            if stems_here.issuperset(listed):
                parts.append((listed, held_out(dataset, file)))
    for part, test in parts:
        if "val" in dataset.lists:
            yield {"train": tuple(part), "val": dataset.lists["val"], "test": tuple(test)}
        train, val = draw(dataset.subset(part), known["val"].images if "val" in known else 0, seed)
        yield {"train": train, "val": val, "test": tuple(test)}
