"""`benchmarks/nonlocal.py` where a size does not fit a GPU's memory."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest

torch = pytest.importorskip("torch")


def test_a_size_that_does_not_fit_ends_its_kind_and_loses_nothing(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    table4 = importlib.import_module("benchmarks.nonlocal")  # a keyword of Python's
    tried: list[tuple[str, int]] = []

    def measure(net: object, _channels: int, side: int, batch: int, _device: str) -> tuple[float, int]:
        name = type(net).__name__
        tried.append((name, side))
        if name == "NonLocal" and side >= 128:
            raise torch.OutOfMemoryError("CUDA out of memory")
        power = 4 if name == "NonLocal" else 2
        return side**power * 1e-9, batch * side**power

    monkeypatch.setattr(table4, "measure", measure)
    points = table4.run("cuda", lambda _: None)
    assert [side for name, side in tried if name == "NonLocal"] == [48, 64, 96, 128]
    assert [p.side for p in points if (p.what, p.block) == ("block", "nl")] == [48, 64, 96]
    assert [p.side for p in points if (p.what, p.block) == ("block", "dnl")][-1] == 1024
    assert {p.batch for p in points} == {4}
    assert "block    nl    128x128  batch 4: does not fit" in capsys.readouterr().out
    figures = table4.summary(points)
    assert figures["block nl time exponent"] == pytest.approx(2)
    assert figures["block NL/DNL time at 96"] == pytest.approx(96**2)
    assert figures["one NL map at 192, computed GB per image"] == pytest.approx(5.436)


def test_what_was_measured_is_there_when_it_is_stopped(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    table4 = importlib.import_module("benchmarks.nonlocal")

    def measure(_net: object, _channels: int, side: int, *_rest: object) -> tuple[float, int]:
        if side == 96:
            raise KeyboardInterrupt
        return side * 1e-6, side

    monkeypatch.setattr(table4, "measure", measure)
    monkeypatch.setattr(sys, "argv", ["nonlocal.py", "--device", "cpu", "--out", str(tmp_path)])
    with pytest.raises(KeyboardInterrupt):
        table4.main()
    stored = json.loads((tmp_path / "nonlocal-cpu.json").read_text())
    assert [point["side"] for point in stored["points"]] == [32, 48, 64]
    assert stored["summary"]["one NL map at 192, computed GB per image"] == pytest.approx(5.436)
    assert "block NL/DNL time at 64" not in stored["summary"]  # DNL's turn had not come
