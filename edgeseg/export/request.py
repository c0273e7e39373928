"""The options of `edgeseg export` → which graphs are wanted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from edgeseg import recipes
from edgeseg.calibration.methods import METHODS
from edgeseg.errors import UsageError
from edgeseg.export import int8 as quantised

KIND = "export/targets"


class Target(recipes.RecipePart):
    """A device profile: which graphs it runs.

    Attributes:
        name: of the profile.
        description: the device, in words.
        backend: what runs there.
        graphs: names of emitted graphs; the float graph is always in the bundle.
        precision: what the device is meant to run.
    """

    name: str
    description: str
    backend: Literal["openvino", "onnxruntime", "tensorrt"]
    precision: Literal["fp32", "bf16", "fp16", "int8"]
    graphs: list[str]


def wanted(
    *,
    int8: bool = False,
    fp16: bool = False,
    quantize: int | None = None,
    targets: Sequence[str] = (),
    calibration: str | None = None,
    method: str | None = None,
    exclude: str | None = None,
    max_dice_drop: float = 0.5,
) -> quantised.Wanted:
    """Which graphs the options ask for.

    Without ``--target`` every form of the asked precisions; with it only those of the profiles, of
    the asked precisions or, where none is asked, of the profile's own.

    Raises:
        UsageError: a value that does not exist.
    """
    if quantize not in (None, 8, 16, 32):
        raise UsageError(f"--quantize {quantize}: is 8 (--int8), 16 (--fp16) or 32 (neither)")
    checked_method(method)
    int8, fp16 = int8 or quantize == 8, fp16 or quantize == 16
    graphs = [*(quantised.INT8 if int8 else ()), *(quantised.FP16 if fp16 else ())]
    if targets:
        profiles = [recipes.load(KIND, name, Target) for name in targets]
        of_profiles = {graph for profile in profiles for graph in profile.graphs}
        every = [*quantised.INT8, *quantised.FP16]
        unknown = sorted(of_profiles - set(every))
        if unknown:
            raise UsageError(f"target profile: there is no graph {unknown[0]}; there are {', '.join(every)}")
        graphs = [name for name in (graphs or every) if name in of_profiles]
    return quantised.Wanted(tuple(graphs), calibration, method, exclude, max_dice_drop)


def checked_method(method: str | None) -> str | None:
    """``--method`` as given.

    Raises:
        UsageError: there is none of that name.
    """
    if method is not None and method not in METHODS:
        raise UsageError(f"--method {method}: there are {', '.join(METHODS)}")
    return method
