"""The data sets of a training, opened and split."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from edgeseg.data.dataset import Dataset, Pair
from edgeseg.data.layouts import open_dataset
from edgeseg.data.select import refuse_copies
from edgeseg.data.splits import Splits, resolve
from edgeseg.errors import UsageError


@dataclass(frozen=True)
class Labelled:
    """A data set and what each of its frames is for."""

    dataset: Dataset
    splits: Splits

    def pairs(self, split: str) -> list[Pair]:
        return self.dataset.subset(self.splits.of(split))


def open_labelled(data: list[Path], seed: int, train_list: Path | None, val_fraction: float) -> list[Labelled]:
    """Opens and splits every data set.

    Args:
        data: folders.
        seed: of the draws.
        train_list: a file of stems that replaces the sets' training part.
        val_fraction: as :func:`edgeseg.data.splits.resolve` takes it.

    Raises:
        DataError: any of them is not what it should be.
        UsageError: two have the same name, or the same files.
    """
    out = []
    for root in data:
        dataset = open_dataset(root)
        out.append(Labelled(dataset, resolve(dataset, seed, train_list=train_list, val_fraction=val_fraction)))
    names = [one.dataset.name for one in out]
    if len(set(names)) != len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise UsageError(f"two data sets are named {twice}; rename one of their folders, or give --data once")
    refuse_copies([one.dataset for one in out])
    return out
