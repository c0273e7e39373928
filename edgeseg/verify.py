"""`edgeseg verify`: does a bundle on this machine still do what it did when it was made?

Hashes, fit, golden frames, parity, and (with labelled frames) accuracy, on every engine that runs here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2

from edgeseg import backends, golden, skipped
from edgeseg import manifest as mf
from edgeseg.backends.base import EngineOptions
from edgeseg.bundle import Source, require_manifest
from edgeseg.data.select import Selection, select
from edgeseg.errors import BackendError, EdgesegError, GateError, ModelError
from edgeseg.export import check, gate, parity
from edgeseg.folder import Folder

Step = Callable[[str], None]


@dataclass(frozen=True)
class Check:
    """One question and its answer."""

    name: str
    subject: str
    passed: bool
    detail: str


@dataclass
class Verified:
    """Everything `verify` found; ``engine_gates`` are what engines that ran here have earned."""

    manifest: mf.Manifest
    checks: list[Check] = field(default_factory=list)
    measured: list[gate.Measured] = field(default_factory=list)
    engine_gates: dict[str, mf.Gate] = field(default_factory=dict)

    @property
    def passed(self) -> bool:
        return all(one.passed for one in self.checks)

    def json(self, evaluations: Sequence[mf.Evaluation]) -> dict[str, Any]:
        checks = [vars(one) for one in self.checks]
        return {
            "passed": self.passed,
            "checks": checks,
            "evaluations": [one.model_dump(exclude_none=True) for one in evaluations],
        }


def verify(
    source: Source,
    data: list[Path],
    split: str | None,
    *,
    budget: float = gate.MAX_DICE_DROP,
    device: int = 0,
    step: Step = lambda _: None,
) -> Verified:
    """Checks a bundle on this machine.

    Args:
        source: the bundle.
        data: labelled frames; none leaves accuracy out.
        split: of them; the test split by default.
        budget: Dice points that INT8 may lose to float.
        device: index of the GPU that engines run on.
        step: told what happens next.

    Raises:
        ModelError: the manifest itself is rejected, or a graph or golden file is not what it says.
        DataError: the frames are.
    """
    manifest = require_manifest(source)
    out = Verified(manifest)
    step("comparing hashes")
    out.checks += hashes(source, manifest)
    if not out.passed:
        return out  # nothing that changed is parsed
    graphs = {one.name: source.read(one.file, one.sha256, one.size) for one in manifest.graphs}
    for entry in manifest.graphs:
        takes_its_frames(source, manifest, entry, graphs[entry.name])
    step("fitting golden frames")
    out.checks += refitted(source, manifest)
    selections = select(data, split, "test", manifest) if data else []
    pairs = [pair for selection in selections for pair in selection.pairs]
    frames = check.fitted_frames(pairs, manifest.frame, 8) if pairs else _golden_frames(source, manifest)
    if all(entry.resize == "engine" for entry in manifest.graphs):
        why = "no graph takes a fitted frame, so no golden frame was compared"
        out.checks.append(Check("golden", "bundle", passed=False, detail=why))
    for entry in manifest.graphs:
        step(f"golden frames and parity of {entry.name}")
        out.checks.append(stays_finite(entry, graphs[entry.name]))
        if entry.resize == "engine":
            continue  # takes a camera's frames: its engine answers to this graph below
        out.checks += replayed(source, manifest, entry, graphs[entry.name])
        if entry.input[0] == 1:
            out.checks.append(same_meaning(entry, graphs, frames))
    reference: list[gate.Measured] = []
    if selections:
        reference = accuracy(out, graphs, selections, budget / 100, step)
    if manifest.engines:
        from edgeseg import verify_engines

        verify_engines.run(source, out, graphs, frames, reference, budget / 100, device, step)
    return out


def takes_its_frames(source: Source, manifest: mf.Manifest, entry: mf.Graph, graph: bytes) -> None:
    """Raises: ModelError if a file is no graph, or one that takes other frames than the manifest says."""
    from edgeseg.export.finite import parsed

    where, frame = source.path / entry.file, [manifest.frame.height, manifest.frame.width, 3]
    if entry.resize == "host" and entry.input[1:] != frame:
        raise ModelError(f"{where}: takes {entry.input[1:]}, but the manifest's frame is {frame}; export it again")
    try:
        parsed(graph, entry.input)
    except ModelError as error:
        raise ModelError(f"{where}: {error}") from error


def refitted(source: Source, manifest: mf.Manifest) -> Iterator[Check]:
    """The golden frames through fit and steps, as `infer` does it, against what came of them at export."""
    for one in manifest.golden:
        kept = golden.read_fitted(source, one, manifest.frame)
        worst = int(cv2.absdiff(golden.fitted(golden.read_frame(source, one), manifest.frame), kept).max())
        detail = f"at most {worst} grey levels off after fit and steps, {golden.FIT_LEVELS} is allowed"
        yield Check("fit", one.name, worst <= golden.FIT_LEVELS, detail)


def stays_finite(entry: mf.Graph, graph: bytes) -> Check:
    """Every tensor on black, white, noise and a checkerboard."""
    from edgeseg.export.finite import first_overflow

    bad = first_overflow(graph, entry.input)
    return Check("finite", entry.name, bad is None, f"{bad} is not finite" if bad else "on four extreme frames")


def hashes(source: Source, manifest: mf.Manifest) -> Iterator[Check]:
    """Every file the manifest lists, and that there is no other."""
    listed: dict[str, tuple[str, int | None]] = dict(_golden_files(manifest))
    for part in (manifest.graphs, manifest.engines, manifest.documents):
        listed |= {one.file: (one.sha256, one.size) for one in part}
    listed |= {file: (digest, None) for _, files in skipped.entries(source) for file, digest in files.items()}
    bad = []
    with Folder(source.path) as folder:
        for name, (digest, size) in listed.items():
            try:
                folder.checked(name, digest, size)
            except ModelError as error:
                bad.append(str(error))
    yield Check("hashes", f"{len(listed)} files", not bad, bad[0] if bad else "all as the manifest says")
    known = {*listed, "manifest.json", "manifest.sha256"}
    found = {file.relative_to(source.path).as_posix() for file in source.path.rglob("*") if not file.is_dir()}
    stray = sorted(found - known)
    yield Check("files", "bundle", not stray, f"{stray[0]} is not listed" if stray else "no file that is not listed")


def _golden_files(manifest: mf.Manifest) -> Iterator[tuple[str, tuple[str, None]]]:
    for one in manifest.golden:
        yield one.file, (one.sha256, None)
        yield one.fitted_file, (one.fitted_sha256, None)
        for expected in one.expected:
            yield expected.file, (expected.sha256, None)


def _golden_frames(source: Source, manifest: mf.Manifest) -> list[check.Image]:
    return [golden.read_fitted(source, one, manifest.frame) for one in manifest.golden]


def replayed(source: Source, manifest: mf.Manifest, entry: mf.Graph, graph: bytes) -> Iterator[Check]:
    """The golden frames on each backend that runs the graph."""
    for backend in parity.backends(entry.name, entry.form):
        if backend not in check.ENGINES:
            continue
        try:
            engine = check.ENGINES[backend](graph, EngineOptions())
        except BackendError as error:
            yield Check("golden", f"{entry.name} on {backend}", passed=False, detail=str(error))
            continue
        try:
            passed, detail = golden.replay_all(source, manifest, entry.name, engine)
        finally:
            engine.close()
        yield Check("golden", f"{entry.name} on {backend}", passed, detail)


def same_meaning(entry: mf.Graph, graphs: dict[str, bytes], frames: Sequence[check.Image]) -> Check:
    """Parity on every backend that runs the graph here; INT8 must be near the float graph too."""
    graph = graphs[entry.name]
    try:
        found = parity.check(entry.name, graph, frames, parity.chosen_runners(parity.backends(entry.name, entry.form)))
        if entry.precision == "int8" and "float" in graphs:
            found += parity.int8_holds(entry.name, graph, graphs["float"], frames)
    except (GateError, BackendError) as error:
        return Check("parity", entry.name, passed=False, detail=str(error))
    detail = ", ".join(f"{one.backend} {one.snr_db:.0f} dB" for one in found)
    return Check("parity", entry.name, passed=True, detail=detail)


def accuracy(
    out: Verified, graphs: dict[str, bytes], selections: list[Selection], budget: float, step: Step
) -> list[gate.Measured]:
    """Every CPU graph against the float graph on the same frames; the float graph's figures."""
    reference: list[gate.Measured] = []
    entries = [one for one in out.manifest.graphs if one.form in ("float", "cpu") and backends.takes_one(one)]
    for entry in sorted(entries, key=lambda one: one.form != "float"):
        for backend in check.ENGINES:
            if not backends.runs_here(entry.name, entry.form, backend):
                continue
            if entry.form != "float" and not reference:
                why = "no float graph ran here to compare with"
                out.checks.append(Check("accuracy", f"{entry.name} on {backend}", passed=False, detail=why))
                continue
            step(f"{entry.name} on {backend}")
            try:
                found = gate.measure(entry.name, backend, graphs[entry.name], selections, out.manifest)
            except EdgesegError as error:
                out.checks.append(Check("accuracy", f"{entry.name} on {backend}", passed=False, detail=str(error)))
                continue
            if entry.form == "float":
                reference = reference or found
                out.measured += found
                continue
            compared = gate.against(found, reference)
            out.measured += compared
            for one in compared:
                detail = f"Dice points to float: {one.points()}"
                where = f"{entry.name} on {backend}, {one.selection.dataset.name} {one.selection.split}"
                out.checks.append(Check("accuracy", where, one.drop <= budget, detail))
    return reference
