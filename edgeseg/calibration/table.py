"""The calibration table: what every activation of the float graph did on the calibration frames.

``calibration.json`` in a bundle. Its head is the manifest's ``calibration``; its four hashes say what
it belongs to, and it is reused only when all of them match.
"""

from __future__ import annotations

import json
from typing import Annotated, Literal

from pydantic import Field, ValidationError

from edgeseg import manifest as mf
from edgeseg.errors import ModelError

MAX_BYTES = 64 << 20
BINS = 2048  # of a histogram
# What a hash stands for, in the order in which a difference is reported.
HASHES = {
    "weights_sha256": "the weights",
    "frame_spec_sha256": "the frame spec (size, fit)",
    "graph_sha256": "the float graph",
    "frames_sha256": "the calibration frames",
}


class Tensor(mf.Part):
    """One activation.

    Attributes:
        name: of the tensor in the float graph.
        signed: False where the graph proves it is never negative.
        low: least value seen.
        high: greatest value seen.
        range: what the method chose: [-t, t], or [0, t] where not signed.
        limit: the histogram spans [-limit, limit], or [0, limit] where not signed.
        histogram: counts of equal bins; empty where only the ends were recorded.
        channel_mean: mean per channel, for bias correction; empty for a tensor of three dimensions, which has none.
    """

    name: str
    signed: bool
    low: float
    high: float
    range: Annotated[list[float], Field(min_length=2, max_length=2)]
    limit: float
    histogram: Annotated[list[int], Field(max_length=BINS)] = Field(default_factory=list)
    channel_mean: list[float] = Field(default_factory=list)


class Table(mf.Part):
    """calibration.json."""

    format: Literal["edgeseg-calibration"] = "edgeseg-calibration"
    schema_: Annotated[Literal[1], Field(alias="schema")] = 1
    calibration: mf.Calibration
    tensors: list[Tensor]

    def ranges(self) -> dict[str, Tensor]:
        """Name → tensor."""
        return {one.name: one for one in self.tensors}


def make(calibration: mf.Calibration, tensors: list[Tensor]) -> Table:
    """A table of this version."""
    return Table.model_validate({"schema": 1, "calibration": calibration, "tensors": tensors})


def dump(table: Table) -> bytes:
    """The table as its file: the same table, the same bytes; one tensor a line."""
    value = table.model_dump(by_alias=True)
    lines = [json.dumps(one, separators=(",", ":"), allow_nan=False) for one in value.pop("tensors")]
    head = json.dumps(value, separators=(",", ":"), allow_nan=False)
    return (head[:-1] + ',"tensors":[\n' + ",\n".join(lines) + "\n]}\n").encode()


def parse(data: bytes, where: str) -> Table:
    """Reads a table.

    Args:
        data: the file.
        where: its name, for the error.

    Raises:
        ModelError: it is none.
    """
    if len(data) > MAX_BYTES:
        raise ModelError(f"{where}: is larger than any calibration table")
    try:
        return Table.model_validate(json.loads(data))
    except ValidationError as error:
        raise ModelError(f"{where}: is no calibration table ({mf.first_error(error)})") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{where}: is no calibration table (not JSON)") from error


def require_match(table: Table, expected: dict[str, str], where: str) -> None:
    """Compares the hashes that are known now with the table's.

    Args:
        table: to be reused.
        expected: of ``HASHES``, those that can be computed here.
        where: the table's name, for the error.

    Raises:
        ModelError: what changed, and what to do.
    """
    head = table.calibration.model_dump()
    changed = [words for key, words in HASHES.items() if key in expected and head[key] != expected[key]]
    if changed:
        raise ModelError(
            f"{where}: was calibrated for something else ({' and '.join(changed)} changed since); "
            "calibrate again with: edgeseg calibrate MODEL --data DIR"
        )
