"""Does an engine fit this machine? Asked of the manifest, before a byte of the engine is read.

A plan is machine code for one library version and one kind of card, so anything that differs is refused with both
fingerprints and the command that rebuilds it.
"""

from __future__ import annotations

from dataclasses import dataclass

from edgeseg import manifest as mf
from edgeseg.backends.cuda import Card
from edgeseg.backends.tensorrt_library import TITLES, Library, same_version, this_platform


@dataclass(frozen=True)
class Machine:
    """What engines meet here: platform, the libraries that load, the GPU."""

    platform: str
    libraries: tuple[Library, ...]
    card: Card

    def library(self, flavour: str) -> Library | None:
        """The one of a flavour."""
        return next((one for one in self.libraries if one.flavour == flavour), None)

    def __str__(self) -> str:
        libraries = ", ".join(one.title for one in self.libraries) or "no TensorRT"
        return (
            f"{libraries}; {self.platform}; {self.card.name}, compute capability {self.card.capability}; "
            f"CUDA driver {_cuda(self.card.driver)}"
        )


def machine(card: Card, libraries: tuple[Library, ...]) -> Machine:
    """This machine."""
    return Machine(this_platform(), libraries, card)


def of(engine: mf.Engine) -> str:
    """An engine's fingerprint in words."""
    cards = " or ".join(engine.compute_capabilities)
    later = "" if engine.hardware_compatible == "none" else f" ({engine.hardware_compatible})"
    version = f"{engine.version}{' or later' if engine.version_compatible else ''}"
    return (
        f"{TITLES[engine.flavour]} {version}; {engine.platform}; "
        f"compute capability {cards}{later}; CUDA driver {_cuda(engine.cuda_driver_min)} or later"
    )


def misfit(engine: mf.Engine, here: Machine) -> str | None:
    """What does not fit, such as "is for compute capability 8.9, this machine has 8.6"; None if all does."""
    if engine.platform != here.platform:
        return f"is for {engine.platform}, this machine is {here.platform}"
    library = here.library(engine.flavour)
    if library is None:
        return f"is for {TITLES[engine.flavour]} {engine.version}, which is not installed"
    if not _version_fits(engine, library):
        return f"is for {TITLES[engine.flavour]} {engine.version}, this machine has {library.version}"
    if here.card.driver < engine.cuda_driver_min:
        return f"needs CUDA driver {_cuda(engine.cuda_driver_min)} or later, this machine has {_cuda(here.card.driver)}"
    if not _card_fits(engine, here.card.capability):
        wants = " or ".join(engine.compute_capabilities)
        return f"is for compute capability {wants}, this machine has {here.card.capability}"
    return None


def sentence(engine: mf.Engine, here: Machine, problem: str, bundle: str) -> str:
    """The refusal: what differs, both fingerprints, the command."""
    return (
        f'engine "{engine.name}" {problem} [engine: {of(engine)}] [here: {here}]; rebuild it here: '
        f"edgeseg export {bundle} --target {engine.target} --{engine.precision}, or add --rebuild"
    )


def graph_changed(engine: mf.Engine, manifest: mf.Manifest) -> bool:
    """Whether the engine was built from another graph than the bundle's of that name."""
    graph = next((one for one in manifest.graphs if one.name == engine.graph), None)
    return graph is None or graph.sha256 != engine.graph_sha256


def _version_fits(engine: mf.Engine, library: Library) -> bool:
    if same_version(engine.version, library.version):
        return True
    if not engine.version_compatible:
        return False
    built, here = (tuple(map(int, one.split(".")[:2])) for one in (engine.version, library.version))
    # Compatible plans go to later versions of the same major release and of the next, never back.
    return built <= here and here[0] - built[0] <= (2 if built[0] == 8 else 1)


def _card_fits(engine: mf.Engine, capability: str) -> bool:
    if capability in engine.compute_capabilities:
        return True
    return engine.hardware_compatible == "ampere-plus" and int(capability.split(".", maxsplit=1)[0]) >= 8


def _cuda(number: int) -> str:
    return f"{number // 1000}.{number % 1000 // 10}"
