"""`edgeseg export` as a whole: a run or bundle → a bundle with its graphs and engines, or nothing."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from edgeseg import atomic, console, skipped
from edgeseg import manifest as mf
from edgeseg.bundle import SUFFIX, ZOO, Source, open_model, require_manifest
from edgeseg.errors import UsageError
from edgeseg.export import engines
from edgeseg.export.extend import Extended, extend
from edgeseg.export.request import Request
from edgeseg.export.wanted import FP16, INT8
from edgeseg.outputs import check_outside

if TYPE_CHECKING:
    from edgeseg.export import check, parity

Step = Callable[[str], None]


@dataclass
class Delivered:
    """Where the bundle is, and what was found on the way; ``measured``: its figures are of this export."""

    path: Path
    manifest: mf.Manifest
    agreements: Sequence[check.Agreement] = ()
    same: list[parity.Agreement] = field(default_factory=list)
    float_layers: Sequence[str] = ()
    plans: Sequence[engines.Plan] = ()
    notes: Sequence[str] = ()
    measured: bool = False


def deliver(
    source: Source,
    request: Request,
    data: list[Path],
    split: str | None,
    out: Path | None,
    *,
    opset: int = 17,
    imgsz: tuple[int, int] | None = None,
    device: int = 0,
    step: Step = lambda _: None,
) -> Delivered:
    """Exports. A bundle without labelled frames keeps what it holds and gets what it lacks.

    Raises:
        EdgesegError: see :func:`edgeseg.export.run.export_run` and :func:`edgeseg.export.extend.extend`.
    """
    head = require_manifest(source)
    if request.threshold is not None and source.kind == "bundle":
        request = all_that_is_held(request, head, source)
    wanted = request.wanted
    shaping = {"--calibration": wanted.calibration, "--method": wanted.method, "--exclude": wanted.exclude}
    ignored = [name for name, value in shaping.items() if value is not None and not wanted.int8]
    if ignored:
        raise UsageError(f"{ignored[0]} is for INT8 graphs, and none is asked for; give --int8, or leave it out")
    target = out or _place(source, head)
    check_outside("--out", target)
    if request.triton is not None:
        check_outside("--triton", request.triton, folder=True)
        if target.resolve() in (request.triton.resolve(), *request.triton.resolve().parents):
            raise UsageError(f"--triton {request.triton} lies in the bundle that is written; write somewhere else")
    if source.kind == "bundle" and opset not in (17, *(one.opset for one in head.graphs)):
        raise UsageError(f"{source.path}: an exported graph has one opset; give --opset with the run it came from")
    engines.check(request.engines, str(target), device)
    atomic.check_writable(target)
    more = bool(request.engines or request.variants)
    if source.kind == "bundle" and not data and request.keeps and imgsz is None and not request.only_float:
        if target.resolve() != source.path.resolve() and target.exists():
            from edgeseg.export.run import check_place

            check_place(target)
        done = _of(target, extend(source, request, target, device=device, step=step))
    else:
        if source.kind == "bundle" and target.resolve() == source.path.resolve():
            loses_nothing(request, head, source)
            skipped.refuse(source)
        console.require("train", "torch", "onnx", "onnxscript")
        done = _exported(source, request, data, split, target, opset, imgsz, device, step, more=more)
    if request.triton is not None:
        from edgeseg.export import triton

        step("writing the Triton model repository")
        triton.write(open_model(str(done.path)), request.triton)
    return done


def loses_nothing(request: Request, head: mf.Manifest, source: Source) -> None:
    """Whether a bundle that is made again in its place will hold all that it holds.

    Raises:
        UsageError: it would lose a graph or an engine that nobody asked for again.
    """
    bases = {"float", *request.wanted.graphs}
    graphs = bases | {name + variant for name in bases for variant in request.variants if "x" not in variant}
    kept = graphs | {wish.graph for wish in request.engines} | {wish.name for wish in request.engines}
    held = [*(one.name for one in head.graphs), *(one.name for one in head.engines)]
    lost = next((name for name in held if name not in kept), None)
    if lost is not None:
        raise UsageError(
            f"{source.path}: would be made again without {lost}, which it holds; ask for that too "
            "(--int8, --fp16, --batch, --dynamic, --target), or write another bundle with --out"
        )


def all_that_is_held(request: Request, head: mf.Manifest, source: Source) -> Request:
    """Another operating point for a bundle, where no graphs are asked for: for every graph that it holds.

    Raises:
        UsageError: it holds something that cannot be made again without being asked for.
    """
    if request.wanted.graphs or request.variants or request.engines:
        return request
    held = [one for one in head.graphs if one.name in (*INT8, *FP16)]
    others = [one.name for one in head.graphs if one not in held and one.name != "float"]
    others += [one.name for one in head.engines]
    if others:
        raise UsageError(
            f"{source.path}: {others[0]} keeps the old operating point; ask for what you want of the bundle again "
            "(--int8, --fp16, --batch, --dynamic, --target)"
        )
    exclude = request.wanted.exclude
    layers = sorted({layer for one in held for layer in one.float_layers})
    if exclude is None and layers:
        exclude = "|".join(f"^{re.escape(layer)}$" for layer in layers)
    wanted = replace(request.wanted, graphs=tuple(one.name for one in held), exclude=exclude)
    return replace(request, wanted=wanted)


def _exported(
    source: Source, request: Request, data: list[Path], split: str | None, target: Path, opset: int,
    imgsz: tuple[int, int] | None, device: int, step: Step, *, more: bool,
) -> Delivered:  # fmt: skip
    """A whole export; graphs' variants and engines are added beside its place before it takes it."""
    from edgeseg.export.run import check_place, export_run

    def run(place: Path) -> Delivered:
        one = export_run(
            source, data, split, place,
            opset=opset, wanted=request.wanted, imgsz=imgsz, threshold=request.threshold, step=step,
        )  # fmt: skip
        return Delivered(place, one.manifest, one.agreements, one.made.agreements, one.made.float_layers, measured=True)

    check_place(target)
    if not more:
        return run(target)
    with tempfile.TemporaryDirectory(prefix=".edgeseg-export-", dir=target.absolute().parent) as beside:
        first = run(Path(beside) / target.name)
        second = extend(open_model(str(first.path)), request, target, device=device, step=step)
    done = _of(target, second)
    done.measured = True
    done.agreements, done.float_layers = first.agreements, first.float_layers
    done.same = [*first.same, *done.same]
    return done


def _of(target: Path, one: Extended) -> Delivered:
    return Delivered(target, one.manifest, (), one.agreements, (), one.plans, one.notes)


def _place(source: Source, head: mf.Manifest) -> Path:
    if source.kind == "run":
        return source.path / f"{head.name}{SUFFIX}"
    if source.path.parent == ZOO:  # shipped files are not written to
        return Path.cwd() / f"{head.name}{SUFFIX}"
    return source.path
