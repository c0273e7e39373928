"""What an export is asked for, by names only: reading options needs no onnx, which a device lacks."""

from __future__ import annotations

from dataclasses import dataclass

MAX_DICE_DROP = 0.5  # points
INT8 = ("int8-cpu", "int8-cpu-7bit", "int8-trt-typed", "int8-trt-legacy")
FP16 = ("fp16-trt-typed",)


@dataclass(frozen=True)
class Wanted:
    """What an export is asked for beside the float graph.

    Attributes:
        graphs: names of ``forms.GRAPHS``.
        calibration: a recipe's name, a recipe file or a table (``.json``); None for what fits the data.
        method: over the recipe's.
        exclude: layers whose name this regular expression finds stay in float.
        max_dice_drop: points.
    """

    graphs: tuple[str, ...] = ()
    calibration: str | None = None
    method: str | None = None
    exclude: str | None = None
    max_dice_drop: float = MAX_DICE_DROP

    @property
    def int8(self) -> bool:
        return any(name in INT8 for name in self.graphs)
