"""The accuracy gate names the layer whose range was sabotaged, and putting it back to float cures it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from edgeseg import manifest as mf
from edgeseg.bundle import Spec
from edgeseg.calibration import sensitivity
from edgeseg.calibration.table import Table
from edgeseg.data.layouts import open_dataset
from edgeseg.data.select import Selection
from edgeseg.errors import GateError
from edgeseg.export import forms, gate, parity


@pytest.fixture
def labelled(small: Any, tmp_path: Path) -> tuple[Spec, Selection]:
    """The small graph's own masks as truth, so that float has Dice 1."""
    outputs = parity.meaning(small.graph, small.frames)
    level = int(np.median(outputs))
    for name in ("images", "masks"):
        (tmp_path / name).mkdir()
    for index, (frame, output) in enumerate(zip(small.frames, outputs, strict=True)):
        cv2.imwrite(str(tmp_path / "images" / f"f{index}.png"), frame)
        cv2.imwrite(str(tmp_path / "masks" / f"f{index}.png"), (output[0] >= level).astype(np.uint8) * 255)
    dataset = open_dataset(tmp_path)
    spec = Spec(
        task=mf.Task(kind="segmentation", modality="other", network="npnet"),
        classes=[mf.Class(name="background", color="#000000"), mf.Class(name="x", color="#ffffff", threshold=level)],
        frame=mf.Frame(height=48, width=64, fit=mf.Fit(region="frame", mode="resize")),
        output=mf.Output(channels=1, height=48, width=64),
    )
    return spec, Selection(dataset, "val", dataset.pairs)


def sabotaged(table: Table, tensor: str, factor: float = 0.02) -> Table:
    rows = [
        one.model_copy(update={"range": [end * factor for end in one.range]}) if one.name == tensor else one
        for one in table.tensors
    ]
    return table.model_copy(update={"tensors": rows})


def search(small: Any, table: Table, labelled: tuple[Spec, Selection], budget: float) -> tuple[gate.Outcome, list[str]]:
    spec, selection = labelled
    said: list[str] = []
    reference = gate.measure("float", "onnxruntime", small.graph, [selection], spec)
    outcome = gate.search(
        lambda layers: {"int8-cpu-7bit": forms.emit("int8-cpu-7bit", small.graph, table, layers).data},
        reference,
        spec,  # type: ignore[arg-type]
        budget=budget,
        rank=lambda: sensitivity.rank(small.graph, table, sensitivity.subset(selection.pairs), spec, cache=False),
        step=said.append,
    )
    return outcome, said


def test_a_sabotaged_layer_is_named_and_cured(small: Any, labelled: tuple[Spec, Selection]) -> None:
    outcome, said = search(small, sabotaged(small.table, "join.relu"), labelled, 0.08)
    assert outcome.float_layers == ["head"]
    assert outcome.ranking[0].layer == "head"
    assert any("layer head goes back to float" in line for line in said)
    assert max(one.drop for one in outcome.measured) <= 0.08
    assert {one.backend for one in outcome.measured} == {"onnxruntime", "openvino"}


def test_a_sound_table_keeps_every_layer(small: Any, labelled: tuple[Spec, Selection]) -> None:
    outcome, said = search(small, small.table, labelled, 0.08)
    assert outcome.float_layers == said == []


def test_frames_without_a_target_measure_no_masks(small: Any, labelled: tuple[Spec, Selection]) -> None:
    spec, selection = labelled
    for empty, told in ((False, True), (True, False)):
        for pair in selection.pairs if empty else ():
            cv2.imwrite(str(pair.mask), np.zeros((48, 64), np.uint8))
        (one,) = gate.measure("float", "onnxruntime", small.graph, [selection], spec)
        assert one.has_targets == told


def test_a_budget_that_cannot_hold_is_exit_7(small: Any, labelled: tuple[Spec, Selection]) -> None:
    with pytest.raises(GateError, match="every layer is back in float") as caught:
        search(small, small.table, labelled, -1.0)
    assert caught.value.exit_code == 7
