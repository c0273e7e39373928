"""Where a figure comes from: what every stored result carries beside it."""

from __future__ import annotations

import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from edgeseg.machine import describe

if TYPE_CHECKING:
    from edgeseg.manifest import Manifest

KEYS = ("command", "seed", "commit", "machine", "date")


def provenance(manifest: Manifest | None) -> dict[str, Any]:
    """Command as typed, machine, date and, of a model with a manifest, its training: recipe, seed, commit, weights."""
    from edgeseg.manifest import now

    out: dict[str, Any] = {"command": _command(), "machine": describe(), "date": now()}
    if manifest is not None:
        training = manifest.training
        out |= {"recipe": training.recipe, "seed": training.seed, "epochs": training.epochs}
        out |= {"commit": training.commit, "weights_sha256": training.weights_sha256}
    return out


def _command() -> str:
    program, spec = Path(sys.argv[0]), getattr(sys.modules["__main__"], "__spec__", None)
    typed = [program.name]
    if program.suffix == ".py":
        typed = ["python", "-m", spec.name] if spec else ["python", program.name]
    return shlex.join([*typed, *sys.argv[1:]])
