"""Training recipes: TOML files beside this module (``recipes/``) or a path of one's own."""

from __future__ import annotations

import hashlib
import json
import tomllib
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgeseg import strict_json
from edgeseg.errors import InputError, UsageError
from edgeseg.manifest import (
    Class,
    Fit,
    Fraction,
    Name,
    Pixels,
    Step,
    Terms,
    Use,
    Window,
    check_classes,
    first_error,
)

FOLDER = Path(__file__).parent / "recipes"


class Part(BaseModel):
    """Unknown keys are refused: a misspelt setting must not be ignored. Neither is ``true`` a number."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, allow_inf_nan=False)


class OwnFit(Fit):
    """The manifest's, but an unknown key is refused; so for the next five."""

    model_config = ConfigDict(extra="forbid")


class OwnClass(Class):
    """See :class:`OwnFit`."""

    model_config = ConfigDict(extra="forbid")


class OwnStep(Step):
    """See :class:`OwnFit`. Of no limit, 0 or less, OpenCV makes none at all."""

    model_config = ConfigDict(extra="forbid")
    clip_limit: Annotated[float, Field(gt=0)]


class OwnWindow(Window):
    """See :class:`OwnFit`."""

    model_config = ConfigDict(extra="forbid")


class OwnTerms(Terms):
    """See :class:`OwnFit`."""

    model_config = ConfigDict(extra="forbid")


class OwnUse(Use):
    """See :class:`OwnFit`."""

    model_config = ConfigDict(extra="forbid")


Positive = Annotated[float, Field(gt=0)]
Share = Annotated[float, Field(ge=0)]
Count = Annotated[int, Field(ge=1, le=10**6)]
Angle = Annotated[float, Field(ge=0, le=180)]
Stretch = Annotated[float, Field(ge=0, le=0.9)]  # at 1 an axis may become a point
Factor = Annotated[float, Field(ge=0, le=3)]  # less 1: up to 4 times, as far as `near` goes
# What of a recipe a run's manifest repeats.
REPEATED = {"name", "modality", "classes", "input", "terms", "use"}


class Network(Part):
    """A key of ``edgeseg.nets.NETS`` and that network's own keywords."""

    name: str
    options: dict[str, str | int | float | bool] = {}


class Input(Part):
    """Network input and its normalisation, B, G, R of values 0 to 1; host ``steps`` and CT ``window``, if any."""

    height: Pixels
    width: Pixels
    fit: OwnFit
    mean: Annotated[list[float], Field(min_length=3, max_length=3)] = [0.5, 0.5, 0.5]
    std: Annotated[list[Positive], Field(min_length=3, max_length=3)] = [0.25, 0.25, 0.25]
    steps: list[OwnStep] = []
    window: OwnWindow | None = None


class Optimise(Part):
    """How the weights are found.

    ``keep``: "last" epoch, or the "best" mean Dice or pooled AUC ("best auc") of the validation frames.
    ``threshold_rule``, ``min_area_rule``: how the classes' thresholds and the least area of a component are found on
    them, see :mod:`edgeseg.train.operating`; "fixed" is what the recipe says. ``patch``: side of the squares that are
    drawn from the frames (0: whole frames), ``patches`` of them (or draws of the whole) from each frame in an epoch.
    ``distil``: share of the ``--teacher`` run's probability in the loss, ``hint``: weight of its features' error, see
    :mod:`edgeseg.train.teacher`. ``deep``: weight of the loss of inner layers, see
    :mod:`edgeseg.train.deep`. ``centre``: after training the
    mean probability is set to the share of targets, see :mod:`edgeseg.train.centre`. ``pretrained``: begin with
    published weights, where the network has some (``effunet``). ``freeze_norms``: batch norms keep the mean and
    deviation that they begin with, and normalise by them in training too: it then trains the very function that runs.
    ``stay``: share of the weights it began with in those it ends with, the batch norms' mean and variance likewise
    (Wortsman et al., arXiv 2109.01903, their 1 - α).
    """

    epochs: Count
    batch: Count
    optimizer: Literal["adam", "adamw"] = "adam"
    lr: Positive
    betas: Annotated[list[Annotated[float, Field(ge=0, lt=1)]], Field(min_length=2, max_length=2)] = [0.9, 0.999]
    weight_decay: Share = 0.0
    schedule: Literal["constant", "poly", "cosine"] = "constant"
    warmup_steps: Annotated[int, Field(ge=0, le=10**6)] = 0
    loss: Literal["ce", "dice_ce", "dice_focal", "frame_dice_ce", "every_frame_dice_ce"] = "ce"
    positive_weight: Positive = 1.0
    ema: Annotated[float, Field(ge=0, lt=1)] = 0.0
    keep: Literal["last", "best", "best auc"] = "best"
    val_fraction: Annotated[float, Field(gt=0, lt=0.5)] = 0.1
    threshold_rule: Literal["fixed", "max dice", "sensitive"] = "fixed"
    min_area_rule: Literal["fixed", "max dice"] = "fixed"
    patch: Annotated[int, Field(ge=0, le=10**6)] = 0
    patches: Count = 1
    distil: Fraction = 0.0
    hint: Share = 0.0
    deep: Share = 0.0
    centre: bool = False
    pretrained: bool = False
    freeze_norms: bool = False
    stay: Fraction = 0.0

    @property
    def taught(self) -> bool:
        """Whether it needs a teacher."""
        return bool(self.distil or self.hint)


class Augmentation(Part):
    """Each 0 is off. Angles in degrees, the others as shares; see :mod:`edgeseg.data.augmentation`.

    A fraction is how often, or how far: 1 is as dark as black, a side of the frame, the whole range of grey.

    ``paste``: share of the frames that get another frame's target, see :mod:`edgeseg.data.paste`; whole frames only.
    """

    flip: bool = False
    rotate: Angle = 0.0
    zoom_out: Factor = 0.0
    zoom_in: Factor = 0.0
    stretch: Stretch = 0.0
    shift: Fraction = 0.0
    gain: Fraction = 0.0
    colour: Fraction = 0.0
    gamma: Factor = 0.0
    shade: Factor = 0.0
    blur: Fraction = 0.0
    noise: Fraction = 0.0
    border: Fraction = 0.0
    highlights: Fraction = 0.0
    jpeg: Fraction = 0.0
    cutout: Fraction = 0.0
    negative: Fraction = 0.0
    near: Fraction = 0.0
    paste: Fraction = 0.0


class Recipe(Part):
    """One training, whole. ``min_area``: components under this share of their class's pixels (voxels) are dropped."""

    name: Name
    description: str
    modality: Literal["colonoscopy", "dermoscopy", "fundus", "ct", "other"]
    network: Network
    classes: list[OwnClass]
    input: Input
    min_area: Fraction = 0.0
    train: Optimise
    augmentation: Augmentation = Augmentation()
    terms: OwnTerms
    use: OwnUse

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        check_classes(self.classes)
        if len(self.classes) > 2:  # bundles may have more, data sets' masks hold two values
            raise ValueError("classes: give the background and one more; masks tell no further classes apart")
        for name in ("negative", "near", "paste"):
            if getattr(self.augmentation, name) and self.train.patch:
                raise ValueError(f"{name} needs whole frames; take patch or {name} out")
        return self


def names() -> list[str]:
    """The shipped recipes."""
    return sorted(file.stem for file in FOLDER.glob("*.toml"))


def load(name: str) -> tuple[Recipe, str]:
    """A recipe by shipped name or path, and the SHA-256 of its file and, behind it, of those that it extends.

    Raises:
        UsageError: no such recipe.
        InputError: the file is no recipe.
    """
    file = _find(name, Path())
    if file is None:
        if name.endswith(".toml"):
            raise UsageError(f"{name}: no such file; a shipped recipe goes by its name, without .toml")
        raise UsageError(f"no recipe {name!r}; shipped are {', '.join(names())}, or give the path of a .toml file")
    value, data = _read(file, ())
    try:
        recipe = Recipe.model_validate(value)
    except ValidationError as error:
        raise InputError(f"{file}: {first_error(error)}") from error
    # A manifest is read under limits: what goes beyond them is told now, not when the trained run is opened.
    try:
        strict_json.loads(json.dumps(recipe.model_dump(mode="json", exclude_none=True, include=REPEATED)).encode())
    except ValueError as error:
        raise InputError(f"{file}: {error}") from error
    return recipe, hashlib.sha256(data).hexdigest()


def dump(recipe: Recipe) -> str:
    """A recipe as TOML, defaults and all: as it is now, whatever becomes of what it extended."""
    import tomli_w

    return tomli_w.dumps(recipe.model_dump(mode="json", exclude_none=True))


def _find(name: str, folder: Path) -> Path | None:
    own = name.endswith(".toml")
    file = folder / name if own else FOLDER / f"{name}.toml"
    return file if file.is_file() and (own or name in names()) else None


def _read(file: Path, above: tuple[Path, ...]) -> tuple[dict[str, Any], bytes]:
    """A file's tables over those of the recipe that it ``extends``; and the bytes of both files.

    ``above``: the files that extend this one.
    """
    try:
        data = file.read_bytes()
        value = tomllib.loads(data.decode("utf-8"))
    except OSError as error:
        raise InputError(f"{file}: cannot be read ({error.strerror})") from error
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, brackets in brackets
        raise InputError(f"{file}: is not TOML ({error})") from error
    if "extends" not in value:
        return value, data
    base = value.pop("extends")
    if not isinstance(base, str):
        raise InputError(f"{file}: extends: give the name of a shipped recipe, or the path of a .toml file")
    if "name" not in value:
        raise InputError(f"{file}: name: Field required; a recipe that extends another has a name of its own")
    found = _find(base, file.parent)
    if found is None:
        raise InputError(f"{file}: extends {base!r}, which is neither a shipped recipe nor a .toml file beside it")
    files = (*above, file.resolve())
    if found.resolve() in files:
        raise InputError(f"{file}: extends {base!r}, which extends this file in turn")
    theirs, more = _read(found, files)
    parts = (value.get("network"), theirs.get("network"))
    own, before = (part.get("name") if isinstance(part, dict) else None for part in parts)
    if own is not None and own != before:
        theirs.pop("network", None)  # options are one network's own
    return _over(theirs, value), data + more


def _over(base: dict[str, Any], own: dict[str, Any]) -> dict[str, Any]:
    """Tables are joined key by key; everything else, lists too, is replaced."""
    out = dict(base)
    for key, value in own.items():
        old = out.get(key)
        out[key] = _over(old, value) if isinstance(value, dict) and isinstance(old, dict) else value
    return out
