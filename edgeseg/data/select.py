"""Which labelled frames a command means: ``--data DIR --split FILE|train|val|test`` against a model's own training."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeseg import manifest as mf
from edgeseg.data.dataset import Dataset, Pair, read_list
from edgeseg.data.layouts import open_dataset
from edgeseg.data.splits import draw, held_out, list_sha256, training_part
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

    Splits the model, or one before it, was trained with are taken from the lists in the folder or redrawn from the
    training seed, and must hash to what the manifest says. A folder without any lists that the
    model was not trained on gives all its pairs.

    Args:
        data: folders.
        split: as given, or None.
        default: "train", "val" or "test".
        manifest: of the model; None for a bare graph.

    Raises:
        UsageError: a folder given twice, or a copy of it, whose frames would count twice.
        DataError: nothing there, or a split that cannot be found again.
    """
    places = [root.resolve() for root in data]
    for root, place in zip(data, places, strict=True):
        if places.count(place) > 1:
            raise UsageError(f"--data {root}: is given twice; its frames would count twice")
    sets = [open_dataset(root) for root in data]
    refuse_copies(sets)
    out = [_select(dataset, split, default, manifest) for dataset in sets]
    if not any(selection.pairs for selection in out):
        raise DataError(f"{', '.join(map(str, data))}: the {split or default} split is empty")
    return out


def refuse_copies(sets: Sequence[Dataset]) -> None:
    """Raises: UsageError if two sets hold the same files, however their folders are named."""
    if len(sets) < 2:
        return  # all files need not be read just for this
    first = {one.listing_sha256: one for one in reversed(sets)}
    for one in sets:
        same = first[one.listing_sha256]
        if same is not one:
            raise UsageError(f"--data {one.root}: holds the files of {same.root}; its frames would count twice")


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
        return set(trained_split(dataset, "test", manifest.training, manifest.name) or dataset.lists.get("test", ()))
    return set(dataset.lists.get("test", ()))


def seen(selection: Selection, manifest: mf.Manifest | None) -> tuple[int, int] | None:
    """How many frames of a selection the model was trained on, and how many others are of the same groups.

    Groups are sequences or patients. What the models before it were trained on counts too. None where that is not
    known: one of them was trained on a set of this name or of these files, and its split cannot be found again; or
    it is a bare graph, of which nothing is.
    """
    if manifest is None:
        return None
    trained: set[str] = set()
    for one in manifest.training.lineage:
        try:
            found = trained_split(selection.dataset, "train", one, "")
        except DataError:
            return None
        if found is None and any(use.name == selection.dataset.name for use in one.data):
            return None
        trained |= set(found or ())
    groups = {pair.group for pair in selection.dataset.pairs if pair.stem in trained} - {None}
    others = [pair for pair in selection.pairs if pair.stem not in trained]
    return len(selection.pairs) - len(others), sum(pair.group in groups for pair in others)


def _select(dataset: Dataset, split: str | None, default: str, manifest: mf.Manifest | None) -> Selection:
    name = split or default
    if name not in NAMES:
        file = Path(name)
        if not file.is_file():
            raise DataError(f"--split {name}: is neither train, val, test nor a file of stems")
        return Selection(dataset, file.name, tuple(dataset.subset(read_list(file))))
    lineage = [] if manifest is None else manifest.training.lineage
    for one in lineage:
        trained = trained_split(dataset, name, one, manifest.name if manifest is not None else "")
        if trained is not None:
            return Selection(dataset, name, tuple(dataset.subset(trained)))
    if name in dataset.lists:
        return Selection(dataset, name, tuple(dataset.subset(dataset.lists[name])))
    if split is None and not dataset.lists:
        if manifest is not None and any(one.name == dataset.name for each in lineage for one in each.data):
            raise DataError(
                f"{dataset.root}: {manifest.name} was trained on a data set of this name, but its files have changed "
                "and no list says which frames the model has not seen; give --split FILE, as in the run's splits/"
            )
        return Selection(dataset, "all", dataset.pairs)
    raise DataError(
        f"{dataset.root}: has no {name}.txt and the model was not trained on it; give --split FILE with a list of stems"
    )


def called(dataset: Dataset, training: mf.Training | mf.Ancestor) -> str | None:
    """What a training called the set of these very frames, however its folder is named now; None: it had no such."""
    names = [one.name for one in training.data if one.listing_sha256 == dataset.listing_sha256]
    return dataset.name if dataset.name in names else next(iter(names), None)


def trained_split(
    dataset: Dataset,
    name: str,
    training: mf.Training | mf.Ancestor,
    model: str,
    train_list: Path | None = None,
) -> tuple[str, ...] | None:
    """The split a model was trained with, found again by its hash; None if it was trained on other frames.

    A test split that the manifest does not name is the one that goes with the training list that was used.

    Args:
        dataset: at hand.
        name: "train", "val" or "test".
        training: the model's, or one before it.
        model: its name, for the error.
        train_list: that may have been used, beside those in the folder.

    Raises:
        DataError: it was trained on these frames, and by no list at hand.
    """
    data = called(dataset, training)
    known = {one.split: one for one in training.splits if one.data == data}
    if not known:
        return None
    by = known.get(name) or known.get("train")
    for stems in _candidates(dataset, training.seed, known, train_list):
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


def _candidates(
    dataset: Dataset, seed: int, known: dict[str, mf.SplitUse], train_list: Path | None
) -> Iterator[dict[str, tuple[str, ...]]]:
    """The set's own lists first, then every other list in the folder and the one given as training part."""
    parts = [training_part(dataset, seed)]
    stems_here = {pair.stem for pair in dataset.pairs}
    for file in [*sorted(dataset.root.glob("*.txt")), *([] if train_list is None else [train_list])]:
        with contextlib.suppress(DataError):  # a README.txt is no list
            listed = read_list(file)
            if stems_here.issuperset(listed):
                parts.append((listed, held_out(dataset, file)))
    for part, test in parts:
        if "val" in dataset.lists:
            yield {"train": tuple(part), "val": dataset.lists["val"], "test": tuple(test)}
        train, val = draw(dataset.subset(part), known["val"].images if "val" in known else 0, seed)
        yield {"train": train, "val": val, "test": tuple(test)}
