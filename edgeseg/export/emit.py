"""Emits graphs that a bundle lacks from its own float graph and calibration table."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from edgeseg import golden
from edgeseg import manifest as mf
from edgeseg.bundle import Source
from edgeseg.errors import ModelError
from edgeseg.export import forms, int8, parity, variants
from edgeseg.export.papers import with_papers
from edgeseg.export.run import Form, float_graph, form_entry, phantom_frames

if TYPE_CHECKING:
    from edgeseg.export.check import Image
    from edgeseg.export.extend import Extended


def add(
    source: Source, bases: Sequence[str], missing: Sequence[str], out: Extended, step: Callable[[str], None]
) -> dict[str, bytes]:
    """New graphs with golden outputs, bill of materials and card; ``out.manifest`` then names them.

    Args:
        source: the bundle.
        bases: of ``forms.GRAPHS``.
        missing: variants, such as "fp16-trt-typed-b8".
        out: what was done so far.
        step: told what happens next.

    Raises:
        GateError: a graph does not mean what it must.
        ModelError, UsageError: no float graph, no table.
    """
    manifest = out.manifest
    base = float_graph(source, manifest, 17, [], step)
    data = {"float": base.data}
    frames = _frames(source, manifest)
    made = int8.Made()
    if any(name in int8.INT8 for name in bases):
        made.table = int8.find_table(base.data, manifest, source, int8.Wanted(tuple(bases)), [], step)
        made.float_layers = next((one.float_layers for one in manifest.graphs if one.precision == "int8"), [])
    new = []
    for name in bases:
        step(f"emitting {name}")
        emitted = forms.emit(name, base.data, made.table, made.float_layers).data
        runners = parity.chosen_runners(parity.backends(name, forms.GRAPHS[name].form))
        out.agreements += parity.check(name, emitted, frames, runners)
        holds = parity.fp16_holds if name in int8.FP16 else parity.int8_holds
        out.agreements += holds(name, emitted, base.data, frames)
        made.graphs[name] = data[name] = emitted
        new.append(Form(form_entry(name, made, manifest), emitted))
    for name in missing:
        step(f"emitting {name}")
        new.append(_variant(name, source, manifest, [*manifest.graphs, *(one.entry for one in new)], data, frames, out))
    out.manifest = manifest.model_copy(update={"graphs": [*manifest.graphs, *(one.entry for one in new)]})
    files = {one.entry.file: one.data for one in new}
    out.manifest, more = _with_golden(source, out.manifest, new)
    out.manifest, papers = _with_papers(out.manifest)
    return files | more | papers


def _frames(source: Source, manifest: mf.Manifest) -> list[Image]:
    kept = [golden.read_fitted(source, one, manifest.frame) for one in manifest.golden]
    return [*kept, *phantom_frames(manifest, 4)]


def _variant(
    name: str, source: Source, manifest: mf.Manifest, entries: Sequence[mf.Graph], data: dict[str, bytes],
    frames: Sequence[Image], out: Extended,
) -> Form:  # fmt: skip
    candidates = [one for one in entries if name.startswith(f"{one.name}-") and one.resize == "host"]
    if not candidates:
        raise ModelError(f"graph {name} is a variant of one that the bundle lacks; ask for its precision too")
    entry = max(candidates, key=lambda one: len(one.name))
    if entry.name not in data:
        data[entry.name] = source.read(entry.file, entry.sha256, entry.size)
    graph, shape = variants.make(data[entry.name], name.removeprefix(entry.name), manifest)
    out.agreements.append(variants.check(name, graph, data[entry.name], shape, frames, manifest))
    camera = shape[1:3] != [manifest.frame.height, manifest.frame.width]
    changed = {
        "name": name, "input": shape, "resize": "engine" if camera else "host", "gate": "parity",
        "file": f"graphs/{name}.onnx", "size": len(graph), "sha256": mf.sha256(graph),
    }  # fmt: skip
    return Form(entry.model_copy(update=changed), graph)


def _with_golden(source: Source, manifest: mf.Manifest, new: Sequence[Form]) -> tuple[mf.Manifest, dict[str, bytes]]:
    """Golden outputs of the new graphs on the frames that are there."""
    frames = [
        golden.GoldenFrame(
            one.name, one.source, golden.read_frame(source, one), golden.read_fitted(source, one, manifest.frame)
        )
        for one in manifest.golden
    ]
    graphs = {one.entry.name: (one.entry.form, one.data) for one in new if one.entry.resize == "host"}
    with tempfile.TemporaryDirectory() as folder:
        written = golden.write(Path(folder), frames, graphs)
        files = {e.file: Path(folder, e.file).read_bytes() for one in written for e in one.expected}
    merged = [
        old.model_copy(update={"expected": [*old.expected, *fresh.expected]})
        for old, fresh in zip(manifest.golden, written, strict=True)
    ]
    return manifest.model_copy(update={"golden": merged}), files


def _with_papers(manifest: mf.Manifest) -> tuple[mf.Manifest, dict[str, bytes]]:
    """Bill of materials and card name the new graphs; the report stays: its figures are of what was measured then."""
    kept = [one for one in manifest.documents if one.role not in ("sbom", "card")]
    manifest = manifest.model_copy(update={"documents": kept})
    manifest, papers = with_papers(manifest, None)
    return manifest, {one.file: one.data for one in papers}
