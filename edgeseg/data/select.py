"""Which labelled frames a command means: ``--data DIR --split FILE|train|val|test`` against a model's own training."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from edgeseg import manifest as mf
from edgeseg.data.dataset import Dataset, Pair, read_list
from edgeseg.data.layouts import open_dataset
from edgeseg.data.splits import draw, list_sha256, training_part
from edgeseg.errors import DataError

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
        DataError: nothing there, or a split that cannot be found again.
    """
    out = [_select(open_dataset(root), split, default, manifest) for root in data]
    if not any(selection.pairs for selection in out):
        raise DataError(f"{', '.join(map(str, data))}: the {split or default} split is empty")
    return out


def _select(dataset: Dataset, split: str | None, default: str, manifest: mf.Manifest | None) -> Selection:
    name = split or default
    if name not in NAMES:
        file = Path(name)
        if not file.is_file():
            raise DataError(f"--split {name}: is neither train, val, test nor a file of stems")
        return Selection(dataset, file.name, tuple(dataset.subset(read_list(file))))
    trained = _trained_split(dataset, name, manifest)
    if trained is not None:
        return Selection(dataset, name, tuple(dataset.subset(trained)))
    if name in dataset.lists:
        return Selection(dataset, name, tuple(dataset.subset(dataset.lists[name])))
    if split is None and not dataset.lists:
        return Selection(dataset, "all", dataset.pairs)
    raise DataError(
        f"{dataset.root}: has no {name}.txt and the model was not trained on it; give --split FILE with a list of stems"
    )


def _trained_split(dataset: Dataset, name: str, manifest: mf.Manifest | None) -> tuple[str, ...] | None:
    """The split the model was trained with, found again by its hash; None if it was trained on other frames."""
    if manifest is None:
        return None
    training = manifest.training
    known = {one.split: one for one in training.splits if one.data == dataset.name}
    listings = {one.name: one.listing_sha256 for one in training.data}
    if name not in known or listings.get(dataset.name) != dataset.listing_sha256():
        return None
    for stems in _candidates(dataset, training.seed, known):
        if list_sha256(stems[name]) == known[name].list_sha256:
            return stems[name]
    raise DataError(
        f"{dataset.root}: the {name} split that {manifest.name} was trained with cannot be found again "
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
                parts.append((listed, ()))
    for part, test in parts:
        if "val" in dataset.lists:
            yield {"train": tuple(part), "val": dataset.lists["val"], "test": tuple(test)}
        train, val = draw(dataset.subset(part), known["val"].images if "val" in known else 0, seed)
        yield {"train": train, "val": val, "test": tuple(test)}
