"""Which frames train, which choose, which only report.

Explicit lists win; what they do not give is drawn with a seed and written down. Validation frames
always come from the training part, whole sequences or patients where known: neighbouring frames
of one polyp on both sides would flatter every choice made from them.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from edgeseg.data.dataset import Dataset, Pair, read_list
from edgeseg.errors import DataError

TEST_FRACTION = 0.2
VAL_FRACTION = 0.1


@dataclass(frozen=True)
class Splits:
    """Stems of each part, sorted; ``test`` is empty where a list was given and nothing says what it holds out."""

    train: tuple[str, ...]
    val: tuple[str, ...]
    test: tuple[str, ...]

    def of(self, name: str) -> tuple[str, ...]:
        return {"train": self.train, "val": self.val, "test": self.test}[name]


def resolve(
    dataset: Dataset, seed: int, *, train_list: Path | None = None, val_fraction: float = VAL_FRACTION
) -> Splits:
    """Splits a data set for training.

    Args:
        dataset: from :func:`edgeseg.data.layouts.open_dataset`.
        seed: of every draw.
        train_list: a file of stems that replaces the set's own training part (such as ``train_seq.txt``).
        val_fraction: least share of the training part that becomes validation, if no ``val.txt`` says.

    Raises:
        DataError: a part is empty, a stem is in two of them, or ``train_list`` holds test frames.
    """
    part, test = training_part(dataset, seed, train_list)
    both = sorted(set(part) & set(test)) if train_list is not None else []
    if train_list is not None and both:
        raise DataError(
            f"{train_list}: {len(both)} of its frames (such as {both[0]}) are in the test split of {dataset.root}, "
            f"which only reports; take them out, or say in {counterpart(train_list)} what this training holds out"
        )
    listed = dataset.lists.get("val") if train_list is None else None
    pairs = dataset.subset(part)
    train, val = (part, listed) if listed is not None else draw(pairs, math.ceil(val_fraction * len(pairs)), seed)
    splits = Splits(tuple(sorted(train)), tuple(sorted(val)), tuple(sorted(test)))
    for a, b in (("train", "val"), ("train", "test"), ("val", "test")):
        shared = sorted(set(splits.of(a)) & set(splits.of(b)))
        if shared:
            raise DataError(f"{dataset.root}: {shared[0]} is in both the {a} and the {b} split; list it once")
    for name in ("train", "val"):
        if not splits.of(name):
            raise DataError(f"{dataset.root}: the {name} split is empty; more frames are needed")
    dataset.subset((*splits.train, *splits.val, *splits.test))
    return splits


def training_part(dataset: Dataset, seed: int, train_list: Path | None = None) -> tuple[Iterable[str], tuple[str, ...]]:
    """Stems of the training part, validation frames still in it, and of the test part.

    Raises:
        DataError: ``train_list`` cannot be read.
    """
    if train_list is not None:
        return read_list(train_list), held_out(dataset, train_list)
    if "train" in dataset.lists:
        return dataset.lists["train"], dataset.lists.get("test", ())
    if "test" in dataset.lists:
        kept = set(dataset.lists["test"]) | set(dataset.lists.get("val", ()))
        return [pair.stem for pair in dataset.pairs if pair.stem not in kept], dataset.lists["test"]
    pairs = [pair for pair in dataset.pairs if pair.stem not in set(dataset.lists.get("val", ()))]
    return draw(pairs, math.ceil(TEST_FRACTION * len(pairs)), seed)


def counterpart(train_list: Path) -> Path:
    """The list of what a training list holds out, by its name: ``train_seq.txt`` → ``test_seq.txt`` beside it."""
    name = train_list.name
    return train_list.with_name(name.replace("train", "test") if "train" in name else f"test_{name}")


def held_out(dataset: Dataset, train_list: Path) -> tuple[str, ...]:
    """Stems that a training on ``train_list`` must not see: its counterpart's, else those of the set's own test list.

    Raises:
        DataError: the counterpart cannot be read.
    """
    other = counterpart(train_list)
    return read_list(other) if other.is_file() else dataset.lists.get("test", ())


def draw(pairs: list[Pair], count: int, seed: int) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """Draws whole groups until at least ``count`` frames are taken; (rest, taken), sorted.

    Frames without a group are groups of one. At least one group stays in the rest.
    """
    groups: dict[str, list[str]] = {}
    for pair in pairs:
        groups.setdefault(f"g:{pair.group}" if pair.group is not None else f"s:{pair.stem}", []).append(pair.stem)
    names = sorted(groups)
    order = np.random.default_rng(seed).permutation(len(names))
    taken: list[str] = []
    left = len(names)
    for index in order:
        if len(taken) >= count or left <= 1:
            break
        taken += groups[names[index]]
        left -= 1
    chosen = set(taken)
    return tuple(sorted(p.stem for p in pairs if p.stem not in chosen)), tuple(sorted(chosen))


def list_sha256(stems: Iterable[str]) -> str:
    """SHA-256 of the sorted stems, one a line."""
    return hashlib.sha256("".join(f"{stem}\n" for stem in sorted(stems)).encode()).hexdigest()
