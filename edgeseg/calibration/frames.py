"""Which frames calibrate: recipes in ``calibration/*.toml``, or drawn by hash from the training split.

Frames are drawn by the hash of their bytes, so the draw does not depend on file names or order.
Frames the model is tested or validated on are refused: the gate would measure its own calibration.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from edgeseg import manifest as mf
from edgeseg import recipes
from edgeseg.data.dataset import Dataset, Pair
from edgeseg.data.layouts import open_dataset
from edgeseg.data.select import called, select
from edgeseg.errors import DataError, UsageError
from edgeseg.names import legal_name

KIND = "calibration"
FRAMES = 128
Method = Literal["minmax", "percentile", "entropy", "mse"]
METHOD: Method = "mse"


def _no_test(split: str) -> str:
    if split in ("test", "val"):
        raise ValueError("calibration frames come from train or a list of your own, never from val or test")
    return split


class FrameSource(recipes.RecipePart):
    """Frames of one data set.

    Attributes:
        data: name of the data set, "any" for whichever is given.
        split: "train", or "all" for folders without lists.
        frames: how many.
        sha256: hashes of the image files, once frozen; empty draws by (seed, hash).
    """

    data: str = "any"
    split: Annotated[str, AfterValidator(_no_test)] = "train"
    frames: Annotated[int, Field(ge=1, le=4096)]
    sha256: list[mf.Hash] = Field(default_factory=list)


class Recipe(recipes.RecipePart):
    """A calibration set."""

    name: mf.Name
    description: str
    method: Method = METHOD
    seed: int = 0
    sources: Annotated[list[FrameSource], Field(min_length=1)]


@dataclass(frozen=True)
class Frame:
    """A calibration frame: its data set, the hash of its file, and where it is."""

    data: str
    sha256: str
    pair: Pair


@dataclass(frozen=True)
class Chosen:
    """The frames of a calibration, sorted by hash, with what the table says about them."""

    recipe: Recipe
    frames: tuple[Frame, ...]
    split: str

    @property
    def data(self) -> str:
        return "+".join(sorted({one.data for one in self.frames}))

    @property
    def frames_sha256(self) -> str:
        """Listing hash of the image files."""
        lines = sorted((f"{f.pair.image.parent.name}/{f.pair.image.name}", f.sha256) for f in self.frames)
        return hashlib.sha256("".join(f"{digest}  {path}\n" for path, digest in lines).encode()).hexdigest()


def default_recipe(datasets: Iterable[str], frames: int | None = None) -> Recipe:
    """The shipped recipe for these data sets, or a draw of ``frames`` from whatever is given."""
    known = sorted(datasets)
    for name in recipes.names(KIND):
        recipe = recipes.load(KIND, name, Recipe)
        if frames is None and sorted(source.data for source in recipe.sources) == known:
            return recipe
    each = -(-(frames or FRAMES) // max(1, len(known)))
    sources = [FrameSource(data=name, frames=each) for name in known]
    return Recipe(name="drawn", description="Drawn from the training split by hash.", sources=sources)


def choose(recipe: Recipe, data: list[Path], manifest: mf.Manifest, *, most: bool = False) -> Chosen:
    """Finds the recipe's frames.

    Args:
        recipe: which.
        data: folders of data sets.
        manifest: of the model: its training split is drawn from, its val and test splits are refused.
        most: take what is there where it is fewer than asked (for draws nobody asked a number of).

    Raises:
        DataError: a data set or frame is missing, too few, or belongs to the val or test split.
        UsageError: two sets of one name.
    """
    datasets: dict[str, Dataset] = {}
    for dataset in map(open_dataset, data):
        if dataset.name in datasets:
            raise UsageError(
                f"--data {dataset.root}: is called {dataset.name} as {datasets[dataset.name].root} is, and a table "
                "names its sets; rename one of the folders"
            )
        datasets[dataset.name] = dataset
    found: list[Frame] = []
    splits = set()
    for source in recipe.sources:
        for dataset in _datasets(source, datasets, recipe):
            split, picked = _pick(source, dataset, recipe, manifest, most=most)
            splits.add(split)
            found += picked
    found.sort(key=lambda one: (one.sha256, one.pair.stem))
    return Chosen(recipe, tuple(found), "+".join(sorted(splits)))


def _names(source: FrameSource, datasets: dict[str, Dataset]) -> list[str]:
    return sorted(datasets) if source.data == "any" else [source.data]


def _datasets(source: FrameSource, datasets: dict[str, Dataset], recipe: Recipe) -> list[Dataset]:
    names = _names(source, datasets)
    missing = [name for name in names if name not in datasets]
    if missing:
        raise DataError(
            f"calibration recipe {recipe.name} wants frames of {missing[0]}, but --data gives "
            f"{', '.join(sorted(datasets)) or 'none'}; add its folder or choose another --calibration"
        )
    return [datasets[name] for name in names]


def _pick(
    source: FrameSource, dataset: Dataset, recipe: Recipe, manifest: mf.Manifest, *, most: bool
) -> tuple[str, list[Frame]]:
    """Split and frames of one source in one data set."""
    kept = _held_out(dataset, manifest)
    if source.sha256:
        return source.split, _pinned(source, dataset, recipe, manifest, kept)
    split = select([dataset.root], None, "train", manifest)[0]
    frames = [Frame(dataset.name, _sha256(pair), pair) for pair in split.pairs if pair.stem not in kept]
    if len(frames) < source.frames and not (most and frames):
        raise DataError(
            f"{dataset.root}: calibration wants {source.frames} frames, but the {split.split} split has only "
            f"{len(frames)}; ask for fewer with --frames or give more data"
        )
    order = sorted(frames, key=lambda one: hashlib.sha256(f"{recipe.seed}:{one.sha256}".encode()).digest())
    return split.split, order[: source.frames]


def _pinned(
    source: FrameSource, dataset: Dataset, recipe: Recipe, manifest: mf.Manifest, kept: dict[str, str]
) -> list[Frame]:
    """The frames whose hashes the recipe lists."""
    hashed = {_sha256(pair): pair for pair in dataset.pairs}
    missing = [digest for digest in source.sha256 if digest not in hashed]
    if missing:
        raise DataError(
            f"{dataset.root}: {len(missing)} of the {len(source.sha256)} frames of calibration recipe {recipe.name} "
            f"are not there (such as sha256 {missing[0][:12]}…); get the same data or freeze a recipe of your own"
        )
    picked = [Frame(dataset.name, digest, hashed[digest]) for digest in source.sha256]
    bad = next((one.pair for one in picked if one.pair.stem in kept), None)
    if bad is not None:
        raise DataError(
            f"{bad.image}: calibration recipe {recipe.name} lists it, but it is in the {kept[bad.stem]} split of "
            f"{manifest.name}; calibrate on other frames"
        )
    return picked


def _held_out(dataset: Dataset, manifest: mf.Manifest) -> dict[str, str]:
    """Stem → split of the frames that the model is validated or tested on."""
    kept: dict[str, str] = {}
    name = called(dataset, manifest.training)  # whatever the folder is called now
    for split in ("val", "test"):
        known = any(one.data == name and one.split == split for one in manifest.training.splits)
        if known or split in dataset.lists:
            kept |= {pair.stem: split for pair in select([dataset.root], split, split, manifest)[0].pairs}
    return kept


def _sha256(pair: Pair) -> str:
    try:
        return hashlib.sha256(pair.image.read_bytes()).hexdigest()
    except OSError as error:
        raise DataError(f"{pair.image}: cannot be read ({error.strerror})") from error


def to_toml(chosen: Chosen, name: str, method: str) -> str:
    """A recipe that pins exactly these frames; ``name``: its file's."""
    import tomli_w

    recipe = chosen.recipe
    sources = []
    for data in sorted({one.data for one in chosen.frames}):
        hashes = [one.sha256 for one in chosen.frames if one.data == data]
        sources.append({"data": data, "split": chosen.split, "frames": len(hashes), "sha256": hashes})
    value = {
        "name": legal_name(name, recipe.name),
        "description": recipe.description,
        "method": method,
        "seed": recipe.seed,
        "sources": sources,
    }
    return tomli_w.dumps(value)
