"""TensorRT (8.6, 10, 11) and TensorRT for RTX behind one record: which is installed, and what it can do.

What a library can do is asked of the library (``hasattr``), never concluded from its version.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import platform
import re
from collections import deque
from dataclasses import dataclass
from functools import cache
from typing import Any, Literal

from edgeseg.errors import BackendError

Flavour = Literal["tensorrt", "rtx"]
MODULES: dict[Flavour, str] = {"tensorrt": "tensorrt", "rtx": "tensorrt_rtx"}
TITLES: dict[Flavour, str] = {"tensorrt": "TensorRT", "rtx": "TensorRT for RTX"}
INSTALL: dict[Flavour, str] = {
    "tensorrt": "on a Jetson it comes with JetPack; elsewhere run: "
    "pip install tensorrt --extra-index-url https://pypi.nvidia.com",
    "rtx": "run: pip install 'edgeseg[rtx]'",
}


@dataclass(frozen=True)
class Capabilities:
    """What a library offers.

    Attributes:
        explicit_batch: networks must be asked for with that flag (8.6; later ones accept or lack it).
        strongly_typed: types come from the graph.
        precision_flags: types come from builder flags FP16 and INT8 (8.6 to 10).
        progress: a monitor is told how far a build is, and can cancel it.
        timing_cache: measured kernels can be kept from one build to the next.
        compute_capabilities: engines are built for a list of cards, which need not be here.
        hardware_compatible: engines for later cards too.
        version_compatible: engines for later libraries too.
        dla: deep learning accelerators of a Jetson.
        runtime_config: an execution context takes options.
        runtime_cache: kernels compiled on the card can be kept.
        validity: a plan can be judged before it is deserialised.
    """

    explicit_batch: bool
    strongly_typed: bool
    precision_flags: bool
    progress: bool
    timing_cache: bool
    compute_capabilities: bool
    hardware_compatible: bool
    version_compatible: bool
    dla: bool
    runtime_config: bool
    runtime_cache: bool
    validity: bool


@dataclass(frozen=True)
class Library:
    """An installed library: its module, which of the two it is, its version as engines record it."""

    module: Any
    flavour: Flavour
    version: str
    can: Capabilities

    @property
    def title(self) -> str:
        """Such as "TensorRT for RTX 1.7.1.116"."""
        return f"{TITLES[self.flavour]} {self.version}"


def capabilities(module: Any) -> Capabilities:
    """Asks a module (or a stand-in for one) what it offers."""

    def has(path: str) -> bool:
        value = module
        for part in path.split("."):
            if not hasattr(value, part):
                return False
            value = getattr(value, part)
        return True

    # Builds for listed cards need none here. The same library accepts timing caches, DLA and hardware
    # compatibility without doing anything with them, and its version compatibility wants a lean runtime it lacks.
    listed = has("IBuilderConfig.set_compute_capability")
    return Capabilities(
        explicit_batch=has("NetworkDefinitionCreationFlag.EXPLICIT_BATCH"),
        strongly_typed=has("NetworkDefinitionCreationFlag.STRONGLY_TYPED"),
        precision_flags=has("BuilderFlag.FP16") and has("BuilderFlag.INT8"),
        progress=has("IProgressMonitor") and has("IBuilderConfig.progress_monitor"),
        timing_cache=has("IBuilderConfig.create_timing_cache") and not listed,
        compute_capabilities=listed,
        hardware_compatible=has("HardwareCompatibilityLevel.AMPERE_PLUS") and not listed,
        version_compatible=has("BuilderFlag.VERSION_COMPATIBLE") and not listed,
        dla=has("DeviceType.DLA") and not listed,
        runtime_config=has("ICudaEngine.create_runtime_config"),
        runtime_cache=has("IRuntimeConfig.create_runtime_cache"),
        validity=has("Runtime.get_engine_validity"),
    )


@cache
def find(flavour: Flavour) -> Library:
    """The installed library of a flavour.

    Raises:
        BackendError: missing or broken, with the command that helps.
    """
    name = MODULES[flavour]
    try:
        module = importlib.import_module(name)
    except ImportError as error:
        missing = isinstance(error, ModuleNotFoundError) and error.name == name
        why = "is not installed" if missing else f"does not load ({_line(error)})"
        raise BackendError(f"{TITLES[flavour]} {why}; {INSTALL[flavour]}") from error
    except Exception as error:  # PyPI's "tensorrt" without NVIDIA's index is a stub that raises what it likes
        raise BackendError(f"{TITLES[flavour]} does not load ({_line(error)}); {INSTALL[flavour]}") from error
    numbers = re.match(r"\d+(\.\d+)*", str(getattr(module, "__version__", "")))
    if numbers is None or not hasattr(module, "Builder"):
        raise BackendError(f"{TITLES[flavour]}: the module {name} is something else; {INSTALL[flavour]}")
    return Library(module, flavour, numbers[0], capabilities(module))


def installed() -> list[Library]:
    """The flavours that load here, the full library first."""
    out = []
    for flavour in MODULES:
        try:
            out.append(find(flavour))
        except BackendError:
            continue
    return out


def same_version(engine: str, library: str) -> bool:
    """Whether an engine's version is the library's; either may lack the build number ("10.3.0" is "10.3.0.26")."""
    a, b = engine.split("."), library.split(".")
    return a[: min(len(b), 4)] == b[: min(len(a), 4)] if min(len(a), len(b)) >= 3 else a == b


def this_platform() -> str:
    """As manifests write it: linux-x86_64 or linux-aarch64."""
    return f"linux-{'aarch64' if platform.machine() in ('aarch64', 'arm64') else 'x86_64'}"


def driver_floor(library: Library, driver: int | None) -> int:
    """The oldest CUDA driver that engines of this library run on, as cuDriverGetVersion counts.

    Within a major release any driver runs what was made with a later minor one. RTX packages carry the major
    release in their name; else it is the installed driver's.
    """
    for name in ("tensorrt_rtx_cu13", "tensorrt_rtx_cu12") if library.flavour == "rtx" else ():
        try:
            importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
        return int(name[-2:]) * 1000
    return (driver or 12000) // 1000 * 1000


class Log:
    """What a library says: the last lines, and every line while somebody collects them.

    A library keeps the first logger it is given for the life of the process; so there is one for each.
    """

    def __init__(self, module: Any) -> None:
        severity = module.ILogger.Severity
        log = self

        class Logger(module.ILogger):  # type: ignore[misc]
            def __init__(self) -> None:
                module.ILogger.__init__(self)

            def log(self, level: Any, message: str) -> None:
                log.put(str(level).rpartition(".")[2], message, worth=level <= severity.WARNING)

        self.lines: list[tuple[str, str]] | None = None
        self._last: deque[tuple[str, str]] = deque(maxlen=8)
        self.logger = Logger()

    def put(self, level: str, message: str, *, worth: bool) -> None:
        """Called by the library, from any of its threads."""
        if self.lines is not None:
            self.lines.append((level, message))
        if worth:
            self._last.append((level, message))

    def clear(self) -> None:
        """Forgets what was said."""
        self._last.clear()

    def last(self) -> str:
        """The first error since :meth:`clear` on one line; else the last warning; else "no message"."""
        said = list(self._last)
        errors = [message for level, message in said if level in ("ERROR", "INTERNAL_ERROR")]
        chosen = errors[0] if errors else said[-1][1] if said else "no message"
        return " ".join(chosen.split())[:300]


_logs: dict[int, Log] = {}


def log_of(library: Library) -> Log:
    """The one log of a library."""
    key = id(library.module)
    if key not in _logs:
        _logs[key] = Log(library.module)
    return _logs[key]


def _line(error: BaseException) -> str:
    return (" ".join(str(error).split()) or type(error).__name__)[:200]
