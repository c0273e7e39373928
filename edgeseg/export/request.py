"""The options of `edgeseg export` → which graphs and engines are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from edgeseg.calibration.methods import METHODS
from edgeseg.errors import UsageError
from edgeseg.export import operating
from edgeseg.export import wanted as quantised
from edgeseg.export.engines import Wish
from edgeseg.export.targets import Precision, Target, load


@dataclass(frozen=True)
class Request:
    """What an export is asked for.

    Attributes:
        wanted: graphs beside the float one, and how INT8 is made.
        variants: of graphs, beside those for one frame: "-b8", "-dynamic", "-1080x1920".
        engines: to build.
        keeps: nothing in it changes graphs that a bundle already holds.
        triton: folder for a Triton model repository.
        threshold: another operating point.
        only_float: asked for (``--quantize 32``), not left out.
    """

    wanted: quantised.Wanted
    variants: tuple[str, ...]
    engines: tuple[Wish, ...]
    keeps: bool
    triton: Path | None = None
    threshold: str | float | None = None
    only_float: bool = False


def request(
    *,
    int8: bool = False,
    fp16: bool = False,
    quantize: int | None = None,
    targets: Sequence[str] = (),
    engine: bool = True,
    batch: int = 1,
    dynamic: bool = False,
    calibration: str | None = None,
    method: str | None = None,
    exclude: str | None = None,
    max_dice_drop: float = 0.5,
    triton: Path | None = None,
    threshold: str | None = None,
) -> Request:
    """Which graphs and engines the options ask for.

    Without ``--target`` every form of the asked precisions and no engine; with it the graphs and engines of the
    profiles, of the asked precisions or, where none is asked, of the profile's best.

    Raises:
        UsageError: a value that does not exist, or two that exclude each other.
    """
    if quantize not in (None, 8, 16, 32):
        raise UsageError(f"--quantize {quantize}: is 8 (--int8), 16 (--fp16) or 32 (neither)")
    if dynamic and batch > 1:
        raise UsageError(f"--dynamic takes any batch; leave --batch {batch} out")
    checked_method(method)
    int8, fp16, fp32 = int8 or quantize == 8, fp16 or quantize == 16, quantize == 32
    asked = [name for name, on in (("int8", int8), ("fp16", fp16), ("fp32", fp32)) if on]
    dynamic = dynamic or (triton is not None and batch == 1)  # the server forms batches
    variants = ["-dynamic"] if dynamic else [f"-b{batch}"] if batch > 1 else []
    graphs = [*(quantised.INT8 if int8 else ()), *(quantised.FP16 if fp16 else ())]
    wishes: list[Wish] = []
    if targets:
        graphs = []
        for profile in (load(name) for name in targets):
            for precision in profile.chosen(asked):
                graphs += [name for name in profile.graphs(precision) if name not in graphs]
                wishes += _wishes(profile, precision, variants)
    point = None if threshold is None else operating.parse(threshold)
    keeps = calibration is None and method is None and exclude is None and point is None
    wanted = quantised.Wanted(tuple(graphs), calibration, method, exclude, max_dice_drop)
    used = [*variants, *dict.fromkeys(wish.variant for wish in wishes if wish.variant not in ("", *variants))]
    return Request(
        wanted, tuple(used), tuple(wishes) if engine else (), keeps, triton, point, asked == ["fp32"] and not wishes
    )


def _wishes(profile: Target, precision: Precision, variants: Sequence[str]) -> list[Wish]:
    """An engine for one frame, one for each variant, and one for the profile's camera."""
    if profile.engine is None:
        return []
    camera = [f"-{profile.engine.camera[0]}x{profile.engine.camera[1]}"] if profile.engine.camera else []
    return [Wish(profile, precision, variant) for variant in ("", *variants, *camera)]


def checked_method(method: str | None) -> str | None:
    """``--method`` as given.

    Raises:
        UsageError: there is none of that name.
    """
    if method is not None and method not in METHODS:
        raise UsageError(f"--method {method}: there are {', '.join(METHODS)}")
    return method
