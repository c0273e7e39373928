"""The model card: a bundle in one page of Markdown, from its manifest alone."""

from __future__ import annotations

from edgeseg import manifest as mf
from edgeseg.export.gate import dice_points

# Of a model whose parent or teacher came from an edgeseg that wrote no lineage, or as weights alone.
UNRECORDED = "A model before it has no record of what it was trained on, nor under which terms."


def write(manifest: mf.Manifest) -> bytes:
    """card.md."""
    training, use = manifest.training, manifest.use
    targets = ", ".join(one.name for one in manifest.classes[1:])
    size = f"{manifest.frame.width}x{manifest.frame.height} (width x height)"
    lines = [
        f"# {manifest.name}",
        "",
        f"{manifest.task.network} for {manifest.task.modality}: {targets} against {manifest.classes[0].name}.",
        f"Input {size}, {training.parameters:,} parameters, {training.gmac:.2f} GMAC.",
        "",
        f"**{manifest.terms.notice}** Weights: {manifest.terms.weights_licence}.",
        "",
    ]
    if use is not None:
        lines += ["## Use", "", f"Intended: {use.intended}", "", f"Not intended: {', '.join(use.not_intended)}.", "",
                  f"Figures hold for: {use.frames}.", ""]  # fmt: skip
    lines += ["## Data", ""]
    for each in training.lineage:
        before = "" if each is training else f"before that, recipe {each.recipe}, weights {each.weights_sha256[:12]}: "
        for data in each.data:
            parts = ", ".join(f"{one.images} {one.split}" for one in each.splits if one.data == data.name)
            lines += [f"- {before}{data.name}: {parts}. Terms: {data.terms}."]
    if not training.whole:
        lines += [f"- {UNRECORDED}"]
    lines += ["", "## Training", ""]
    lines += [
        f"- recipe {training.recipe}, seed {training.seed}, epoch {training.epoch + 1} of {training.epochs}",
        f"- weights sha256 `{training.weights_sha256}`",
        "",
    ]
    lines += _operating(manifest)
    if manifest.calibration is not None:
        one = manifest.calibration
        lines += [
            "## INT8",
            "",
            f"Calibrated on {one.frames} frames of {one.data} ({one.split}), method {one.method}.",
            "",
        ]
        kept = sorted({layer for graph in manifest.graphs for layer in graph.float_layers})
        lines += [f"Layers kept in float: {', '.join(kept)}." if kept else "All layers meant for INT8 are in INT8.", ""]
    lines += ["## Figures", ""]
    if manifest.evaluations:
        lines += [
            "| graph | runs on | frames | n | Dice | IoU | sensitivity | Dice points to float |",
            "|---|---|---|---|---|---|---|---|",
        ]
        lines += [_row(one) for one in manifest.evaluations]
    else:
        lines += ["None: the bundle was made without labelled frames."]
    lines += ["", "`edgeseg verify BUNDLE --data DIR` measures again; report.html shows more.", ""]
    return "\n".join(lines).encode()


def _operating(manifest: mf.Manifest) -> list[str]:
    """Where the probability is cut, what that was chosen on, and how far probability is frequency."""
    lines = []
    for point in manifest.operating_points or ():
        chosen = next(one.threshold for one in manifest.classes if one.name == point.class_)
        rule = "as given at export; measured on" if point.rule == "given" else f"by the rule {point.rule} on"
        text = (
            f"{point.class_}: {chosen} of 255, {rule} {point.data} {point.split}, where the "
            f"calibration error (ECE) of the pixels is {point.ece:.4f}."
        )
        lines += ["## Operating point", "", text, "", "| threshold | sensitivity | precision |", "|---|---|---|"]
        rows = zip(point.thresholds, point.sensitivity, point.precision, strict=True)
        lines += [f"| {level} | {sensitivity:.4f} | {precision:.4f} |" for level, sensitivity, precision in rows]
        lines += [""]
    return lines


def _row(one: mf.Evaluation) -> str:
    figures = [one.per_image.dice, one.per_image.iou, one.per_image.sensitivity]
    cells = ["–" if value is None else f"{value:.4f}" for value in figures]
    drop = "" if one.dice_drop is None else dice_points(-one.dice_drop)
    return f"| {one.subject} | {one.backend} | {one.data} {one.split} | {one.images} | {' | '.join(cells)} | {drop} |"
