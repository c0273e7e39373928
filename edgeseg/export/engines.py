"""Engines of a bundle: built from its own graphs for device profiles, and rebuilt where they do not fit a machine.

Runs on the device too, so nothing here needs torch or onnx.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from edgeseg import manifest as mf
from edgeseg.backends import fingerprint
from edgeseg.backends.cuda import Card, find_card
from edgeseg.backends.tensorrt_library import Library, driver_floor, find, this_platform
from edgeseg.bundle import Source, open_model, require_manifest
from edgeseg.errors import BackendError, EdgesegError, ModelError
from edgeseg.export import rewrite
from edgeseg.export.targets import Precision, Target, load
from edgeseg.export.tensorrt import Settings, Shape, build
from edgeseg.export.tensorrt_progress import Progress

Step = Callable[[str], None]
LARGEST_DYNAMIC = 8


@dataclass(frozen=True)
class Wish:
    """An engine to build.

    Attributes:
        target: for which device.
        precision: of the engine.
        variant: of the graph: "" for one fitted frame, "-b8", "-dynamic", or "-1080x1920" for a camera's frames.
    """

    target: Target
    precision: Precision
    variant: str = ""

    @property
    def name(self) -> str:
        return f"{self.precision}-{self.target.name}{self.variant}"

    @property
    def graph(self) -> str:
        return f"{self.target.graph(self.precision)}{self.variant}"

    def command(self, bundle: str) -> str:
        """What builds it on the device."""
        return f"edgeseg export {bundle} --target {self.target.name} --{self.precision}"


@dataclass(frozen=True)
class Plan:
    """An engine on its way into the bundle."""

    entry: mf.Engine
    data: bytes
    log: list[tuple[str, str]]
    seconds: float


def check(wishes: Sequence[Wish], bundle: str, device: int = 0) -> None:
    """Says before any work what cannot be built here.

    Raises:
        BackendError: names the command for the device.
    """
    for wish in wishes:
        builder(wish, bundle, device)


def builder(wish: Wish, bundle: str, device: int = 0) -> tuple[Library, Card | None]:
    """The library that builds a wish on this machine, and the GPU it builds on (None where it needs none).

    Raises:
        BackendError: it cannot be built here.
    """
    profile, target = wish.target.engine, wish.target
    if profile is None:
        raise BackendError(f"--target {target.name}: runs graphs on {target.backend}; it has no engines")
    elsewhere = f"add --no-engine here, and on the device run: {wish.command(bundle)}"
    if target.platform != this_platform():
        raise BackendError(
            f"--target {target.name}: its engines are built on {target.platform}, this machine is {this_platform()}; "
            f"{elsewhere}"
        )
    try:
        library = find(profile.flavour)
        if library.can.compute_capabilities:
            return library, None
        card = find_card(device)
    except BackendError as error:
        raise BackendError(f"--target {target.name}: {error}; or {elsewhere}") from error
    later = profile.hardware_compatible == "ampere-plus" and int(card.capability.split(".")[0]) >= 8
    if card.capability not in profile.compute_capabilities and not later:
        raise BackendError(
            f"--target {target.name}: is for compute capability {' or '.join(profile.compute_capabilities)}, "
            f"this machine's {card.name} has {card.capability}; choose its own target, or {elsewhere}"
        )
    return library, card


def make(
    wish: Wish,
    manifest: mf.Manifest,
    graphs: Mapping[str, bytes],
    library: Library,
    card: Card | None,
    *,
    progress: Progress | None = None,
    capabilities: Sequence[str] | None = None,
) -> Plan:
    """Builds one engine; its gate is pending until its device has run it.

    Args:
        wish: which.
        manifest: of the bundle.
        graphs: name → bytes, hashes compared.
        library: from :func:`builder`.
        card: the GPU that kernels are timed on, where the library needs one.
        progress: told how far it is.
        capabilities: instead of the profile's.

    Raises:
        ModelError: the bundle lacks the graph.
        BackendError: the library refuses.
    """
    profile = wish.target.engine
    graph = next((one for one in manifest.graphs if one.name == wish.graph), None)
    if graph is None or profile is None:
        has = ", ".join(one.name for one in manifest.graphs)
        raise ModelError(f"engine {wish.name} is built from graph {wish.graph}, which the bundle lacks (it has {has})")
    listed = tuple(capabilities or profile.compute_capabilities)
    shapes = _shapes(graph)
    settings = Settings(
        name=wish.name,
        typed=profile.form == "trt-typed",
        precision=wish.precision,
        shapes=shapes,
        compute_capabilities=listed,
        workspace_mib=profile.workspace_mib,
        level=profile.level,
        hardware_compatible=profile.hardware_compatible,
        version_compatible=profile.version_compatible,
        dla_core=profile.dla_core,
    )
    start = time.perf_counter()
    built = build(graphs[wish.graph], library, settings, progress=progress, card=card.name if card else "")
    smallest, usual, largest = (list(one) for one in shapes)
    entry = mf.Engine(
        name=wish.name,
        target=wish.target.name,
        graph=graph.name,
        graph_sha256=graph.sha256,
        backend="tensorrt",
        flavour=library.flavour,
        version=library.version,
        precision=wish.precision,
        platform=wish.target.platform,
        compute_capabilities=list(listed) if card is None else [card.capability],
        cuda_driver_min=driver_floor(library, card.driver if card else None),
        version_compatible=profile.version_compatible,
        hardware_compatible=profile.hardware_compatible,
        dla_core=profile.dla_core,
        profile=mf.Profile(min=smallest, opt=usual, max=largest),
        resize=graph.resize,
        gate="pending",
        file=f"engines/{wish.name}.engine",
        size=len(built.plan),
        sha256=mf.sha256(built.plan),
    )
    return Plan(entry, built.plan, built.log, time.perf_counter() - start)


def _shapes(graph: mf.Graph) -> tuple[Shape, Shape, Shape]:
    batch, height, width, channels = graph.input
    if batch:
        fixed = (batch, height, width, channels)
        return fixed, fixed, fixed
    rest = (height, width, channels)
    return (1, *rest), (1, *rest), (LARGEST_DYNAMIC, *rest)


def with_engines(manifest: mf.Manifest, plans: Sequence[Plan]) -> tuple[mf.Manifest, dict[str, bytes]]:
    """The manifest with new engines in place of older ones of their names, and their files."""
    fresh = {plan.entry.name for plan in plans}
    kept = [one for one in manifest.engines if one.name not in fresh]
    entries = [*kept, *(plan.entry for plan in plans)]
    return manifest.model_copy(update={"engines": entries}), {plan.entry.file: plan.data for plan in plans}


def rebuilt(source: Source, *, device: int = 0, step: Step = lambda _: None) -> Source:
    """Rebuilds the engines that do not fit this machine from the bundle's own graphs, and writes the bundle.

    An engine goes to the library of its flavour that is installed here, else to the other one.

    Raises:
        BackendError: nothing here builds or runs engines.
        ModelError: a profile or a graph is missing.
        OutputError: the bundle cannot be written.
    """
    from edgeseg.backends.engines import this_machine

    manifest = require_manifest(source)
    here = this_machine(device)
    plans, bad = [], []
    for entry in manifest.engines:
        fits = fingerprint.misfit(entry, here) is None and not fingerprint.graph_changed(entry, manifest)
        if fits and not _changed(source, entry):
            continue
        wish = _wish(entry)
        library = here.library(entry.flavour)
        if library is None or wish.target.platform != here.platform:
            bad.append(f"{entry.name} ({fingerprint.misfit(entry, here)})")
            continue
        graph = next((one for one in manifest.graphs if one.name == wish.graph), None)
        if graph is None:
            raise ModelError(f"{source.path}: engine {entry.name} is built from graph {wish.graph}, which it lacks")
        step(f"rebuilding {entry.name}")
        data = {graph.name: source.read(graph.file, graph.sha256, graph.size)}
        card = None if library.can.compute_capabilities else here.card
        plans.append(make(wish, manifest, data, library, card, capabilities=[here.card.capability]))
    if not plans:
        if bad:
            raise BackendError(f"{source.path}: none of its engines can be rebuilt here: {', '.join(bad)}")
        return source
    manifest, files = with_engines(manifest, plans)
    rewrite.write(source, manifest, files)
    return open_model(str(source.path))


def _changed(source: Source, entry: mf.Engine) -> bool:
    try:
        source.read(entry.file, entry.sha256, entry.size)
    except EdgesegError:
        return True
    return False


def _wish(entry: mf.Engine) -> Wish:
    """What an engine was built for, from its manifest entry and the profile of that name."""
    if entry.precision == "bf16":
        raise ModelError(f"engine {entry.name}: no profile builds bf16")
    target = load(entry.target)
    wish = Wish(target, entry.precision)
    return Wish(target, entry.precision, entry.graph.removeprefix(wish.graph))
