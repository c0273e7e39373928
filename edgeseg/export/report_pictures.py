"""The report of `verify --report FILE`: the bundle's, with the worst images side by side; never in a bundle."""

from __future__ import annotations

import base64
from pathlib import Path

import cv2

from edgeseg import manifest as mf
from edgeseg.atomic import atomic_write
from edgeseg.backends.base import EngineOptions
from edgeseg.bundle import Source
from edgeseg.evaluate import Comparison, evaluate
from edgeseg.export import report
from edgeseg.export.check import ENGINES
from edgeseg.export.gate import Measured
from edgeseg.pictures import compare_tile, same_size, sheet

WORST = 8


def write(source: Source, manifest: mf.Manifest, findings: report.Findings, file: Path) -> None:
    """Writes the page.

    Args:
        source: the bundle.
        manifest: of the bundle, with this machine's evaluations.
        findings: what was measured; the pictures are added.
        file: outside the bundle.

    Raises:
        OutputError: the disk.
    """
    findings.pictures += pictures(source, manifest, list(findings.measured))
    atomic_write(file, report.write(manifest, findings))


def pictures(source: Source, manifest: mf.Manifest, measured: list[Measured]) -> list[tuple[str, str]]:
    """FP32 and INT8 side by side for the images with the lowest INT8 Dice; PNG as data URI."""
    if not measured:
        return []
    subject = next(iter(report.int8_rows(measured)), measured[0])
    worst = {one.name for one in subject.tally.worst(WORST)}
    pairs = [pair for pair in subject.selection.pairs if pair.stem in worst]
    thresholds = [one.threshold or 128 for one in manifest.classes[1:]]
    shown: dict[str, list[tuple[str, Comparison]]] = {pair.stem: [] for pair in pairs}
    for name in dict.fromkeys(("float", subject.subject)):
        entry = next(one for one in manifest.graphs if one.name == name)
        engine = ENGINES[subject.backend](source.read(entry.file, entry.sha256, entry.size), EngineOptions())

        def keep(one: Comparison, name: str = name) -> None:
            shown[one.pair.stem].append((name, one))

        evaluate(pairs, lambda x, engine=engine: engine.run(x[None])[0], manifest, thresholds, each=keep)  # type: ignore[misc]
        engine.close()
    out = []
    for stem, rows in shown.items():
        tiles = [
            compare_tile(one.frame, one.truth, one.predicted, f"{name}  Dice {one.figures.figures['dice']:.3f}")
            for name, one in rows
        ]
        ok, png = cv2.imencode(".jpg", sheet(same_size(tiles, 216, 288), 2), [cv2.IMWRITE_JPEG_QUALITY, 85])
        if ok:
            out.append((stem, "data:image/jpeg;base64," + base64.b64encode(png.tobytes()).decode()))
    return out
