"""An emitted graph → a TensorRT engine (a *plan*), with whichever TensorRT is installed.

Precision lives in the graph: strongly typed where the library offers it. Only where it does not (8.6, early 10)
and the graph is of form trt-legacy, builder flags allow FP16 and INT8.
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from edgeseg.backends.tensorrt_library import TITLES, Library, Log, log_of
from edgeseg.errors import BackendError
from edgeseg.export import tensorrt_errors as errors
from edgeseg.export.tensorrt_cache import TimingCache
from edgeseg.export.tensorrt_progress import Progress, monitor

MIB = 1 << 20
# A build of NPNet peaks at 330 MiB in TensorRT for RTX; the full library's kernels alone want about 2 GiB.
HOST_MIB: dict[str, int] = {"rtx": 512, "tensorrt": 2048}
Shape = tuple[int, int, int, int]


@dataclass(frozen=True)
class Settings:
    """How an engine is built.

    Attributes:
        name: of the engine, for messages.
        typed: types come from the graph (else from flags, for ``precision``).
        precision: "fp32", "fp16" or "int8".
        shapes: smallest, usual and largest input [batch, height, width, 3].
        compute_capabilities: cards to build for, where the library takes a list.
        workspace_mib: most scratch memory.
        level: of the builder's search, 0 to 5.
        hardware_compatible: "none", "ampere-plus" or "same-cc".
        version_compatible: for later libraries too.
        dla_core: accelerator instead of the GPU.
    """

    name: str
    typed: bool
    precision: str
    shapes: tuple[Shape, Shape, Shape]
    compute_capabilities: tuple[str, ...] = ()
    workspace_mib: int = 1024
    level: int = 3
    hardware_compatible: Literal["none", "ampere-plus", "same-cc"] = "none"
    version_compatible: bool = False
    dla_core: int | None = None


@dataclass(frozen=True)
class Built:
    """A plan, and every line the library said while building it (its layers among them)."""

    plan: bytes
    log: list[tuple[str, str]]


def build(
    graph: bytes, library: Library, settings: Settings, *, progress: Progress | None = None, card: str = ""
) -> Built:
    """Builds an engine. The work is done in a thread, so that Ctrl-C is heard and cancels it.

    Args:
        graph: ONNX, one file; its hash was compared by the caller.
        library: that builds.
        settings: how.
        progress: told how far it is.
        card: name of the GPU that kernels are timed on, for the timing cache; "" keeps none.

    Raises:
        BackendError: the library lacks what is asked for, refuses the graph, or memory runs out.
        KeyboardInterrupt: Ctrl-C; nothing is left behind.
    """
    check_offers(library, settings)
    check_memory(library, settings, len(graph))
    log = log_of(library)
    told = progress or Progress()
    result: list[Built | BaseException] = []

    def work() -> None:
        try:
            result.append(_build(graph, library, settings, log, told, card))
        except BaseException as error:  # noqa: BLE001 - raised again in the caller's thread
            result.append(error)

    thread = threading.Thread(target=work, name=f"build {settings.name}", daemon=True)
    thread.start()
    try:
        thread.join()
    except BaseException:
        told.cancelled = True
        thread.join()
        raise
    outcome = result[0]
    if isinstance(outcome, BaseException):
        raise outcome
    return outcome


def check_offers(library: Library, settings: Settings) -> None:
    """What the library lacks is refused, not ignored (some accept settings that do nothing).

    Raises:
        BackendError: names the setting.
    """
    can, who = library.can, library.title
    wanted = {
        "a DLA core": (settings.dla_core is not None, can.dla),
        "engines for later cards (hardware_compatible)": (
            settings.hardware_compatible != "none",
            can.hardware_compatible,
        ),
        "engines for later versions (version_compatible)": (settings.version_compatible, can.version_compatible),
        "strongly typed graphs": (settings.typed, can.strongly_typed),
        "precision flags, which form trt-legacy needs": (
            not settings.typed and settings.precision != "fp32" and not can.strongly_typed,
            can.precision_flags,
        ),
    }
    for what, (asked, offered) in wanted.items():
        if asked and not offered:
            raise BackendError(f"{settings.name}: {who} has no {what}; change the target profile or the library")
    if settings.precision == "fp16" and not settings.typed and not can.precision_flags:
        raise BackendError(f"{settings.name}: {who} takes FP16 from the graph only; use a target of form trt-typed")


def check_memory(library: Library, settings: Settings, graph_bytes: int) -> None:
    """Asks before a long build whether memory will do.

    Raises:
        BackendError: it will not.
    """
    need = HOST_MIB[library.flavour] + 8 * graph_bytes // MIB
    free = available_mib()
    if free is not None and free < need:
        raise BackendError(
            f"{settings.name}: building takes about {need} MiB of memory and {free} MiB are free; "
            "close other programs or add swap"
        )


def available_mib() -> int | None:
    """Memory that programs can still have, in MiB; None where Linux does not say."""
    try:
        lines = Path("/proc/meminfo").read_text(encoding="ascii").splitlines()
    except OSError:
        return None
    row = next((line for line in lines if line.startswith("MemAvailable:")), None)
    return int(row.split()[1]) // 1024 if row else None


def _build(graph: bytes, library: Library, settings: Settings, log: Log, progress: Progress, card: str) -> Built:
    trt = library.module
    log.clear()
    lines: list[tuple[str, str]] = []
    log.lines = lines
    try:
        builder = trt.Builder(log.logger)
        network = builder.create_network(_network_flags(trt, library, settings))
        parser = trt.OnnxParser(network, log.logger)
        if not parser.parse(graph):
            raise errors.refused(parser, library, settings.name, log)
        config = builder.create_builder_config()
        _configure(config, builder, network, library, settings)
        if library.can.progress:
            config.progress_monitor = monitor(trt, progress)
        with TimingCache(config, library, card):
            plan = builder.build_serialized_network(network, config)
        if progress.cancelled:
            raise KeyboardInterrupt
        if plan is None:
            raise errors.not_built(library, settings.name, settings.workspace_mib, log)
        return Built(bytes(memoryview(plan)), lines)
    except (RuntimeError, TypeError, ValueError, MemoryError) as error:  # what the bindings raise
        raise BackendError(
            f"{library.title} cannot build {settings.name}: {errors.one_line(error)}; {log.last()}"
        ) from error
    finally:
        log.lines = None


def _network_flags(trt: Any, library: Library, settings: Settings) -> int:
    names = trt.NetworkDefinitionCreationFlag
    flags = 0
    # Form trt-legacy parses as a typed graph too (FP32 and INT8); its flags are for libraries without typing.
    if library.can.strongly_typed and (settings.typed or not library.can.precision_flags):
        flags |= 1 << int(names.STRONGLY_TYPED)
    elif library.can.explicit_batch:
        flags |= 1 << int(names.EXPLICIT_BATCH)
    return flags


def _configure(config: Any, builder: Any, network: Any, library: Library, settings: Settings) -> None:
    trt, can = library.module, library.can
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED
    config.set_memory_pool_limit(trt.MemoryPoolType.WORKSPACE, settings.workspace_mib * MIB)
    if hasattr(config, "builder_optimization_level"):
        config.builder_optimization_level = settings.level
    if not settings.typed and can.precision_flags:
        if settings.precision in ("fp16", "int8"):
            config.set_flag(trt.BuilderFlag.FP16)
        if settings.precision == "int8":
            config.set_flag(trt.BuilderFlag.INT8)
    if can.compute_capabilities and settings.compute_capabilities:
        config.num_compute_capabilities = len(settings.compute_capabilities)
        for index, one in enumerate(settings.compute_capabilities):
            config.set_compute_capability(_capability(trt, library, settings, one), index)
    if settings.hardware_compatible == "ampere-plus":
        config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.AMPERE_PLUS
    elif settings.hardware_compatible == "same-cc":
        level = getattr(trt.HardwareCompatibilityLevel, "SAME_COMPUTE_CAPABILITY", None)
        if level is None:
            raise BackendError(f"{settings.name}: {library.title} has no hardware compatibility same-cc; use none")
        config.hardware_compatibility_level = level
    if settings.version_compatible:
        config.set_flag(trt.BuilderFlag.VERSION_COMPATIBLE)
    if settings.dla_core is not None:
        if settings.dla_core >= builder.num_DLA_cores:
            raise BackendError(
                f"{settings.name}: asks for DLA core {settings.dla_core}, this machine has {builder.num_DLA_cores}; "
                "build on the Jetson, or leave dla_core out"
            )
        config.default_device_type = trt.DeviceType.DLA
        config.DLA_core = settings.dla_core
        config.set_flag(trt.BuilderFlag.GPU_FALLBACK)
    smallest, usual, largest = settings.shapes
    entry = network.get_input(0)
    if any(size < 0 for size in entry.shape):
        profile = builder.create_optimization_profile()
        profile.set_shape(entry.name, smallest, usual, largest)
        config.add_optimization_profile(profile)
    elif tuple(entry.shape) != largest:
        raise BackendError(
            f"{settings.name}: its graph takes {list(entry.shape)}, not {list(largest)}; "
            "export with --dynamic or --batch"
        )


def _capability(trt: Any, library: Library, settings: Settings, text: str) -> Any:
    name = f"SM{text.replace('.', '')}"
    found = getattr(trt.ComputeCapability, name, None)
    if found is None:
        known = [f"{one[2:-1]}.{one[-1]}" for one in trt.ComputeCapability.__members__ if one.startswith("SM")]
        raise BackendError(
            f"{settings.name}: {TITLES[library.flavour]} {library.version} does not build for compute "
            f"capability {text} (it knows {', '.join(known)}); use a target of flavour tensorrt on the device itself"
        )
    return found
