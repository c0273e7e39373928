"""report.html: one self-contained page for the person who signs a design file.

No frame of a data set is in it; pictures come only through :mod:`edgeseg.export.report_pictures`, outside a bundle.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from importlib import resources
from typing import TypeVar

from edgeseg import manifest as mf
from edgeseg.calibration.sensitivity import Cost
from edgeseg.export.card import UNRECORDED
from edgeseg.export.gate import Measured, dice_points

_Row = TypeVar("_Row", mf.Evaluation, Measured)

_SIDE = 320
_RUNTIMES = {"openvino": "OpenVINO", "onnxruntime": "ONNX Runtime"}
_GATES = {
    "passed": "parity and accuracy hold for this very file on the CPU runtimes under Figures",
    "parity": "the graph computes what it means; accuracy on its own runtime is still to be measured",
    "pending": "it could not run where the bundle was made",
}


@dataclass
class Findings:
    """What was measured, beside the manifest.

    Attributes:
        measured: per image, for the scatter.
        ranking: of layers, where the gate asked for it.
        float_cost_ms: what the layers kept in float cost in time, where there are some.
        pictures: name and data URI of comparison pictures.
    """

    measured: Sequence[Measured] = ()
    ranking: Sequence[Cost] = ()
    float_cost_ms: float | None = None
    pictures: list[tuple[str, str]] = field(default_factory=list)


def write(manifest: mf.Manifest, findings: Findings) -> bytes:
    """The page as UTF-8."""
    style = (resources.files("edgeseg.export") / "report.css").read_text(encoding="utf-8")
    body = "\n".join(
        part
        for part in (
            _head(manifest),
            _tiles(manifest),
            _use(manifest),
            _figures(manifest),
            _scatter(findings.measured),
            _graphs(manifest, findings),
            _training(manifest),
            _calibration(manifest),
            _pictures(findings.pictures),
            _lineage(manifest),
        )
        if part
    )
    title = f"{esc(manifest.name)} – edgeseg report"
    page = (
        f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><style>{style}</style></head>\n'
        f"<body><main>\n{body}\n</main></body></html>\n"
    )
    return page.encode()


def esc(text: object) -> str:
    """Text for HTML: what a manifest says is data, never markup."""
    return html.escape(str(text))


def _head(manifest: mf.Manifest) -> str:
    frame = manifest.frame
    classes = ", ".join(
        f'<span class="dot" style="background:{esc(one.color)}"></span>{esc(one.name)} at {one.threshold}/255'
        for one in manifest.classes[1:]
    )
    return (
        f"<header><p class=over>edgeseg bundle report</p><h1>{esc(manifest.name)}</h1>"
        f"<p class=lead>{esc(manifest.task.network)} for {esc(manifest.task.modality)}, input {frame.width} × {frame.height} "
        f"pixels. Segments {classes}.</p>"
        f"<p class=notice>{esc(manifest.terms.notice)} Weights: {esc(manifest.terms.weights_licence)}."
        f"{' Research only.' if manifest.terms.research_only else ''}</p></header>"
    )


def int8_rows(rows: Iterable[_Row]) -> list[_Row]:
    """Those of the INT8 graph that a report is about: as OpenVINO runs it, the 7-bit one on a CPU without VNNI."""
    found = list(rows)
    for wanted in (("int8-cpu", "openvino"), ("int8-cpu-7bit", "openvino"), ("int8-cpu", "onnxruntime")):
        if chosen := [one for one in found if (one.subject, one.backend) == wanted]:
            return chosen
    return []


def _tiles(manifest: mf.Manifest) -> str:
    floats = (one for one in manifest.evaluations if (one.subject, one.backend) == ("float", "openvino"))
    fp32, int8 = next(floats, None), next(iter(int8_rows(manifest.evaluations)), None)
    tiles = []
    if fp32 and fp32.per_image.dice is not None:
        note = f"{fp32.images} {fp32.split} images of {fp32.data}"
        tiles.append(("Dice, FP32", f"{fp32.per_image.dice:.4f}", note))
    if int8 and int8.per_image.dice is not None and int8.dice_drop is not None:
        tiles.append(("Dice, INT8", f"{int8.per_image.dice:.4f}", f"same images, {_RUNTIMES[int8.backend]}"))
        tiles.append(("INT8 costs", dice_points(-int8.dice_drop), f"Dice points{_interval(int8, '; 95 % {} to {}')}"))
    if int8 and int8.latency_p50_ms is not None:
        tiles.append(("One frame, INT8", f"{int8.latency_p50_ms:.1f} ms", f"median; {int8.machine}"))
    if not tiles:
        return "<p class=notice>No labelled frames were measured: there are no accuracy figures here.</p>"
    cells = "".join(
        f"<div><p>{esc(a)}</p><p class=big>{esc(b)}</p><p class=small>{esc(c)}</p></div>" for a, b, c in tiles
    )
    return f"<section class=tiles>{cells}</section>"


def _interval(one: mf.Evaluation, form: str) -> str:
    """The interval of the Dice points lost, in this form; empty where frames of one sequence or patient give none."""
    if one.dice_drop_ci95 is None:
        return ""
    low, high = one.dice_drop_ci95
    return form.format(dice_points(-high), dice_points(-low))


def _use(manifest: mf.Manifest) -> str:
    if manifest.use is None:
        return ""
    refused = "".join(f"<li>{esc(one)}</li>" for one in manifest.use.not_intended)
    return (
        f"<section class=two><div><h2>Intended use</h2><p>{esc(manifest.use.intended)}</p>"
        f"<p class=small>Figures hold for: {esc(manifest.use.frames)}.</p></div>"
        f"<div><h2>Not intended</h2><ul>{refused}</ul></div></section>"
    )


def _figures(manifest: mf.Manifest) -> str:
    if not manifest.evaluations:
        return ""
    head = ["Graph", "Runs on", "Frames", "Purpose", "n", "Dice", "IoU", "Sensitivity", "Specificity", "Points to FP32",
            "Worst image", "ms"]  # fmt: skip
    rows = []
    for one in manifest.evaluations:
        drop = "–"
        if one.dice_drop is not None:
            drop = f"{dice_points(-one.dice_drop)}{_interval(one, '<br><span class=small>{} … {}</span>')}"
        worst = (
            "–"
            if one.worst_dice is None
            else f"{one.worst_dice:.3f}<br><span class=small>{esc(one.worst_image)}</span>"
        )
        figures = one.per_image
        cells = [esc(one.subject), f"{esc(one.backend)}<br><span class=small>{esc(one.backend_version)}</span>",
                 f"{esc(one.data)}, {esc(one.split)}", "gate" if one.purpose == "gate" else "report", str(one.images),
                 *(_figure(v) for v in (figures.dice, figures.iou, figures.sensitivity, figures.specificity)), drop, worst,
                 "–" if one.latency_p50_ms is None else f"{one.latency_p50_ms:.1f}"]  # fmt: skip
        rows.append(cells)
    note = (
        f"Means over images at the mask's own size. <em>Gate</em> rows {_splits(manifest, 'gate')}decided what is in this "
        f"bundle; <em>report</em> rows {_splits(manifest, 'report')}were measured afterwards and chose nothing."
    )
    machines = ", ".join(sorted({esc(one.machine) for one in manifest.evaluations}))
    return (
        f"<section><h2>Figures</h2><p>{note}</p>{table(head, rows)}<p class=small>Measured on {machines}.</p></section>"
    )


def _splits(manifest: mf.Manifest, purpose: str) -> str:
    names = sorted({one.split for one in manifest.evaluations if one.purpose == purpose})
    return f"(frames: {esc(', '.join(names))}) " if names else ""


def _figure(value: float | None) -> str:
    return "–" if value is None else f"{value:.4f}"


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Cells are HTML already."""
    top = "".join(f"<th>{esc(one)}</th>" for one in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<div class=scroll><table><thead><tr>{top}</tr></thead><tbody>{body}</tbody></table></div>"


def _scatter(measured: Sequence[Measured]) -> str:
    """FP32 against INT8, one point an image, as SVG."""
    plots = []
    for one in int8_rows(measured):
        if not one.drops:
            continue
        points = []
        for image, drop in zip(one.tally.images, one.drops, strict=True):
            dice = image.figures["dice"] or 0.0
            x, y = (dice + drop) * _SIDE, (1 - dice) * _SIDE
            points.append(
                f'<circle cx="{x:.1f}" cy="{y:.1f}" r="3.2"><title>{esc(image.name)}: FP32 {dice + drop:.3f}, '
                f"INT8 {dice:.3f}</title></circle>"
            )
        ticks = "".join(
            f'<text x="{v * _SIDE / 4:.0f}" y="{_SIDE + 18}" text-anchor="middle">{v / 4:g}</text>'
            f'<text x="-8" y="{_SIDE - v * _SIDE / 4 + 4:.0f}" text-anchor="end">{v / 4:g}</text>'
            for v in range(5)
        )
        label = f"{esc(one.selection.dataset.name)}, {esc(one.selection.split)} ({len(points)} images)"
        plots.append(
            f'<figure><svg viewBox="-44 -10 {_SIDE + 64} {_SIDE + 54}" role="img" aria-label="FP32 against INT8 Dice">'
            f'<rect width="{_SIDE}" height="{_SIDE}" class="plot"/><line x1="0" y1="{_SIDE}" x2="{_SIDE}" y2="0"/>'
            f'<g class="points">{"".join(points)}</g><g class="ticks">{ticks}</g>'
            f'<text x="{_SIDE / 2}" y="{_SIDE + 38}" text-anchor="middle">Dice in FP32</text>'
            f'<text transform="translate(-34 {_SIDE / 2}) rotate(-90)" text-anchor="middle">Dice in INT8</text></svg>'
            f"<figcaption>{label}</figcaption></figure>"
        )
    if not plots:
        return ""
    return (
        "<section><h2>FP32 against INT8, image by image</h2><p>A point on the line lost nothing; below it, INT8 is worse. "
        f"</p><div class=plots>{''.join(plots)}</div></section>"
    )


def _graphs(manifest: mf.Manifest, findings: Findings) -> str:
    rows = [
        [esc(one.name), esc(one.form), esc(one.precision), str(one.opset),
         f'<span class="chip {esc(one.gate)}" title="{esc(_GATES[one.gate])}">{esc(one.gate)}</span>', f"{one.size / 1e6:.2f} MB",
         f"<code>{one.sha256[:16]}…</code>"]
        for one in manifest.graphs
    ]  # fmt: skip
    legend = "".join(f"<li><span class='chip {name}'>{name}</span> {esc(words)}</li>" for name, words in _GATES.items())
    kept = sorted({layer for one in manifest.graphs for layer in one.float_layers})
    if not any(one.precision == "int8" for one in manifest.graphs):
        floats = ""
    elif kept:
        cost = "" if findings.float_cost_ms is None else f" They cost {findings.float_cost_ms:+.2f} ms a frame."
        floats = f"<p>Kept in float: {', '.join(f'<code>{esc(one)}</code>' for one in kept)}.{cost}</p>"
    else:
        floats = "<p>Every layer meant for INT8 is in INT8; attention gates, softmax and the output stay in float by design.</p>"
    ranking = ""
    if findings.ranking:
        top = max(one.difference for one in findings.ranking) or 1.0
        bars = "".join(
            f"<tr><td><code>{esc(one.layer)}</code></td><td class=bar><span style='width:{100 * one.difference / top:.1f}%'></span></td>"
            f"<td>{100 * one.difference:.3f} %</td><td>{one.snr_db:.1f} dB</td></tr>"
            for one in findings.ranking
        )
        ranking = f"<h3>What each layer costs alone in INT8 (mean difference in probability)</h3><table class=bars>{bars}</table>"
    head = ["Graph", "Form", "Precision", "Opset", "Gate", "Size", "SHA-256"]
    return f"<section><h2>Graphs and gates</h2>{table(head, rows)}<ul class=legend>{legend}</ul>{floats}{ranking}</section>"


def _training(manifest: mf.Manifest) -> str:
    training = manifest.training
    rows = [
        [esc(each.recipe), esc(one.data), esc(one.split), str(one.images), f"<code>{one.list_sha256[:16]}…</code>"]
        for each in training.lineage
        for one in each.splits
    ]
    terms = "".join(f"<li>{esc(one.name)}: {esc(one.terms)}</li>" for one in training.all_data)
    if not training.whole:
        terms += f"<li>{UNRECORDED}</li>"
    return (
        f"<section><h2>Trained on</h2>{table(['Training', 'Data set', 'Split', 'Images', 'List SHA-256'], rows)}<ul class=small>{terms}</ul>"
        f"<p>Recipe {esc(training.recipe)}, seed {training.seed}, epoch {training.epoch + 1} of {training.epochs}, commit "
        f"<code>{esc(training.commit)}</code>{' with uncommitted changes' if training.dirty else ''}; "
        f"{training.parameters:,} parameters, {training.gmac:.2f} GMAC.</p></section>"
    )


def _calibration(manifest: mf.Manifest) -> str:
    one = manifest.calibration
    if one is None:
        return ""
    held_out = (
        "None of them is in the validation or test split."
        if one.split == "train"
        else "They are of a folder or list without a split of its own: frames under Figures may be among them."
    )
    return (
        f"<section><h2>Calibrated on</h2><p>{one.frames} frames of {esc(one.data)} ({esc(one.split)}), recipe "
        f"{esc(one.recipe)}, method {esc(one.method)}, seed {one.seed}. {held_out}</p></section>"
    )


def _pictures(pictures: Sequence[tuple[str, str]]) -> str:
    if not pictures:
        return ""
    shown = "".join(
        f'<figure><img src="{uri}" alt="{esc(name)}"><figcaption>{esc(name)}</figcaption></figure>'
        for name, uri in pictures
    )
    return (
        "<section><h2>Worst images</h2><p>Truth in green, prediction in orange. These pictures are frames of a data set: "
        f"do not pass this page on.</p><div class=pictures>{shown}</div></section>"
    )


def _lineage(manifest: mf.Manifest) -> str:
    training = manifest.training
    rows = [
        ["weights", f"<code>{training.weights_sha256}</code>"],
        ["training recipe", f"<code>{training.recipe_sha256}</code>"],
    ]
    rows += [[f"data set {esc(one.name)}", f"<code>{one.listing_sha256}</code>"] for one in training.all_data]
    if manifest.calibration is not None:
        rows += [["calibration frames", f"<code>{manifest.calibration.frames_sha256}</code>"],
                 ["frame spec", f"<code>{manifest.calibration.frame_spec_sha256}</code>"]]  # fmt: skip
    rows += [[esc(one.file), f"<code>{one.sha256}</code>"] for one in manifest.graphs]
    rows += [[esc(one.file), f"<code>{one.sha256}</code>"] for one in manifest.documents]
    versions = {one.name: one.version for one in training.versions}
    versions |= {one.backend: one.backend_version for one in manifest.evaluations}
    listed = ", ".join(f"{esc(name)} {esc(version)}" for name, version in sorted(versions.items()))
    return (
        f"<section><h2>Lineage</h2>{table(['What', 'SHA-256'], rows)}<p class=small>{listed}.</p>"
        f"<p class=small>Written by {esc(manifest.writer)} at {esc(manifest.created)}. The bill of materials is sbom.cdx.json; "
        "<code>sha256sum -c manifest.sha256</code> checks the manifest, which hashes every other file.</p></section>"
    )
