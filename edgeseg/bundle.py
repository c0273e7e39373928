"""Bundles, runs and bare graphs: what MODEL means in every command, opened and checked."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from functools import partial
from numbers import Integral, Real
from pathlib import Path
from typing import TYPE_CHECKING, Self

from pydantic import BaseModel, ValidationError, model_validator

from edgeseg import manifest as mf
from edgeseg import onnx_metadata, strict_json
from edgeseg.errors import ModelError, UsageError
from edgeseg.folder import MAX_FILE, Folder

if TYPE_CHECKING:
    from edgeseg.model import Model

ZOO = Path(__file__).parent / "zoo"
SUFFIX = ".edgeseg"
MAX_THREADS = 1024


class Spec(BaseModel):
    """What every model says, a bare graph included: how frames go in and what comes out."""

    task: mf.Task
    classes: list[mf.Class]
    frame: mf.Frame
    output: mf.Output

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        mf.check_spec(self.classes, self.frame, self.output)
        return self


@dataclass(frozen=True)
class Source:
    """A model on disk.

    ``kind`` is "bundle", "run" or "graph"; ``manifest`` is None for a bare graph, whose bytes are ``graph``.
    """

    kind: str
    name: str
    path: Path
    spec: Spec
    manifest: mf.Manifest | None = None
    manifest_sha256: str | None = None
    graph: bytes | None = None

    def read(self, file: str, sha256: str, size: int | None = None) -> bytes:
        """A file of the bundle or run whose hash the manifest gives.

        Raises:
            ModelError: changed or missing.
        """
        with Folder(self.path) as folder:
            return folder.checked(file, sha256, size)

    def load(
        self,
        backend: str = "auto",
        precision: str = "auto",
        *,
        device: int = 0,
        threads: int = 0,
        streams: int = 1,
        threshold: float | None = None,
        camera: tuple[int, int] | None = None,
        batch: int = 1,
        rebuild: bool = False,
        cuda_graph: bool | None = None,
    ) -> Model:
        """Loads an engine for this machine.

        Args:
            backend: "auto", "onnxruntime", "openvino" or "tensorrt".
            precision: "auto", "fp32", "bf16", "fp16" or "int8".
            device: index, where the backend has several.
            threads: CPU threads; 0 is all.
            streams: how many threads may use the model at once (throughput instead of latency).
            threshold: 0 to 1 for every class; None for the manifest's.
            camera: height and width of the frames to come, for engines that resize them.
            batch: frames a call, for servers and benchmarks.
            rebuild: first rebuild engines that do not fit this machine, in the bundle.
            cuda_graph: on a GPU: True or False; None for the faster.

        Raises:
            BackendError: what was asked for cannot run here.
            ModelError: the bundle's files changed, or it holds no such engine.
            UsageError: a number of threads, streams or frames that no machine has, or a threshold outside 0 to 1.
        """
        if not isinstance(threads, Integral) or not 0 <= threads <= MAX_THREADS:
            raise UsageError(f"threads={threads!r}: give 0 for all, or 1 to {MAX_THREADS}")
        whole = isinstance(streams, Integral) and isinstance(batch, Integral)
        if not whole or not 1 <= streams <= MAX_THREADS or batch < 1:
            raise UsageError(f"streams={streams!r}, batch={batch!r}: give 1 or more")
        if threshold is not None and (not isinstance(threshold, Real) or not 0 <= threshold <= 1):
            raise UsageError(f"threshold={threshold!r}: give a probability, 0 to 1")
        from edgeseg.backends import choose
        from edgeseg.model import Model

        source = self
        if rebuild:
            from edgeseg.export.engines import rebuilt

            source = rebuilt(self, device=device)
        load = partial(
            source.load, backend, precision, device=device, threads=threads, streams=streams, threshold=threshold,
            camera=camera, batch=batch, cuda_graph=cuda_graph,
        )  # fmt: skip
        loaded = choose(
            source, backend, precision, device=device, threads=threads, streams=streams, camera=camera,
            batch=batch, cuda_graph=cuda_graph,
        )  # fmt: skip
        return Model(source, loaded, threshold).loaded_by(load)


def zoo_names() -> list[str]:
    """Names of the bundles shipped with the package."""
    return sorted(folder.name.removesuffix(SUFFIX) for folder in ZOO.glob(f"*{SUFFIX}"))


def open_model(name: str | Path) -> Source:
    """Opens a zoo name, a bundle, a run or a bare graph; hashes of manifests are checked.

    A zoo name wins over a folder of that name: write ``./NAME`` for the folder.

    Raises:
        ModelError: nothing there, or it is rejected.
        UsageError: the name is empty, which as a path would be the current folder.
    """
    if name == "":
        raise UsageError("the model's name is empty; give a run, a bundle, an .onnx file or a zoo name")
    if isinstance(name, str) and name in zoo_names():
        return _open_folder(ZOO / f"{name}{SUFFIX}")
    path = Path(name)
    try:
        is_folder, is_file, exists = path.is_dir(), path.is_file(), path.exists()
    except OSError as error:
        raise ModelError(f"{str(name)[:60]}: no such model can be opened ({error.strerror})") from error
    if is_folder:
        return _open_folder(path)
    if path.suffix == ".onnx" and is_file:
        return _open_graph(path)
    if exists:
        raise ModelError(f"{path}: is no model; give a run, a bundle ({SUFFIX} folder), an .onnx file or a zoo name")
    zoo = ", ".join(zoo_names()) or "none"
    raise ModelError(f"{name}: no such run, bundle or graph, and no zoo name (the zoo has: {zoo})")


def open_bundle(name: str | Path) -> Source:
    """Opens a bundle or zoo name.

    Raises:
        ModelError: nothing there, rejected, or no bundle.
        UsageError: the name is empty.
    """
    source = open_model(name)
    if source.kind != "bundle":
        raise ModelError(f"{name}: is a {source.kind}, not a bundle; make one with: edgeseg export {name}")
    return source


def require_manifest(source: Source) -> mf.Manifest:
    """The manifest of a run or bundle.

    Raises:
        UsageError: a bare graph has none.
    """
    if source.manifest is None:
        raise UsageError(f"{source.path}: a bare graph has no manifest; give the run or bundle it came from")
    return source.manifest


def resized(source: Source, imgsz: tuple[int, int]) -> Source:
    """The run with another input size than it was trained with; height and width.

    Its threshold and least area stay, the record of what they gave does not: it is of the size they were chosen at.

    Raises:
        ModelError: a graph has one size only.
    """
    if source.kind != "run" or source.manifest is None:
        raise ModelError(f"{source.path}: an exported graph has one size; give --imgsz with the run it came from")
    size = {"height": imgsz[0], "width": imgsz[1]}
    frame = source.manifest.frame.model_copy(update=size)
    output = source.manifest.output.model_copy(update=size)
    return replace(
        source,
        spec=source.spec.model_copy(update={"frame": frame, "output": output}),
        manifest=source.manifest.model_copy(update={"frame": frame, "output": output, "operating_points": []}),
    )


def _open_folder(path: Path) -> Source:
    with Folder(path) as folder:
        if not (path / "manifest.json").is_file():
            unfinished = " (a training that has not finished: --resume it)" if (path / "last.ckpt").is_file() else ""
            raise ModelError(f"{path}: holds no manifest.json, so it is no run and no bundle{unfinished}")
        manifest, digest = folder.manifest()
    spec = Spec(task=manifest.task, classes=manifest.classes, frame=manifest.frame, output=manifest.output)
    return Source(manifest.kind, manifest.name, path, spec, manifest, digest)


def _open_graph(path: Path) -> Source:
    try:
        if path.stat().st_size > MAX_FILE:
            raise ModelError(f"{path}: is {path.stat().st_size} bytes, more than any graph edgeseg makes")
        data = path.read_bytes()
        text = onnx_metadata.read(data).get("edgeseg")
    except OSError as error:
        raise ModelError(f"{path}: cannot be read ({error.strerror})") from error
    except (ValueError, UnicodeDecodeError) as error:
        raise ModelError(f"{path}: is no ONNX file, or a damaged one") from error
    if text is None:
        raise ModelError(f"{path}: does not carry edgeseg's metadata; export it with: edgeseg export RUN")
    try:
        value = strict_json.loads(text.encode())
        for one in value["classes"][1:]:
            one.setdefault("threshold", 128)
        spec = Spec.model_validate(value)
    except ValidationError as error:
        raise ModelError(f"{path}: its metadata is not edgeseg's: {mf.first_error(error)}") from error
    except (ValueError, KeyError, TypeError, AttributeError, json.JSONDecodeError) as error:
        raise ModelError(f"{path}: its metadata is not edgeseg's ({error})") from error
    return Source("graph", path.stem, path, spec, graph=data)
