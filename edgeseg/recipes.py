"""Recipes of ``calibration/`` and ``export/targets/``: found in the package first, then in the checkout."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel, ConfigDict, ValidationError

from edgeseg.errors import InputError, UsageError
from edgeseg.manifest import first_error

_PACKAGE = Path(__file__).parent / "_recipes"
_CHECKOUT = Path(__file__).parents[1]


class RecipePart(BaseModel):
    """Unknown keys are refused: a misspelt setting must not be ignored."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


Shape = TypeVar("Shape", bound=RecipePart)


def folders(kind: str) -> list[Path]:
    """Where recipes of a kind (``calibration``, ``export/targets``) are looked for, best first."""
    return [folder for folder in (_PACKAGE / kind, _CHECKOUT / kind) if folder.is_dir()]


def names(kind: str) -> list[str]:
    """The shipped recipes of a kind."""
    return sorted({file.stem for folder in folders(kind) for file in folder.glob("*.toml")})


def find(kind: str, name: str) -> Path:
    """The file of a recipe: a shipped name, or a path that ends in ``.toml``.

    Raises:
        UsageError: there is none.
    """
    own = name.endswith(".toml")
    candidates = [Path(name)] if own else [folder / f"{name}.toml" for folder in folders(kind)]
    for file in candidates:
        if file.is_file():
            return file
    raise UsageError(
        f"no recipe {name!r} in {kind}; shipped are {', '.join(names(kind)) or 'none'}, or give a .toml file"
    )


def load(kind: str, name: str, shape: type[Shape]) -> Shape:
    """Reads a recipe.

    Raises:
        UsageError: there is none of that name.
        InputError: the file is not what it should be.
    """
    file = find(kind, name)
    try:
        value = tomllib.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:  # numbers of thousands of digits, brackets in brackets
        raise InputError(f"{file}: is not TOML ({error})") from error
    try:
        return shape.model_validate(value)
    except ValidationError as error:
        raise InputError(f"{file}: {first_error(error)}") from error
