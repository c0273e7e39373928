"""A bundle's CycloneDX bill of materials: the networks' files with hashes, and the software that made them."""

from __future__ import annotations

import datetime as dt
import importlib.metadata
import uuid
from collections.abc import Sequence

import edgeseg
from edgeseg import manifest as mf
from edgeseg.export.card import UNRECORDED

TOOLS = ("numpy", "opencv-python-headless", "onnx", "onnx-ir", "onnxscript", "onnxruntime", "openvino", "torch")


def write(manifest: mf.Manifest) -> bytes:
    """The SBOM as CycloneDX 1.6 JSON; the same manifest gives the same bytes.

    Args:
        manifest: of the bundle, complete but for documents written after it.
    """
    from cyclonedx.model import HashAlgorithm, HashType, Property
    from cyclonedx.model.bom import Bom, BomMetaData
    from cyclonedx.model.component import Component, ComponentType
    from cyclonedx.output.json import JsonV1Dot6

    def file(name: str, sha256: str, kind: ComponentType, properties: Sequence[tuple[str, str]] = ()) -> Component:
        return Component(
            name=name,
            type=kind,
            bom_ref=name,
            hashes=[HashType(alg=HashAlgorithm.SHA_256, content=sha256)],
            properties=[Property(name=f"edgeseg:{key}", value=value) for key, value in properties],
        )

    about = f"{manifest.task.network}, {manifest.task.modality}; {manifest.terms.notice}"
    if not manifest.training.whole:
        about += f" {UNRECORDED}"
    model = Component(name=manifest.name, type=ComponentType.MACHINE_LEARNING_MODEL, bom_ref=manifest.name,
                      version=manifest.training.weights_sha256[:12],
                      description=about)  # fmt: skip
    parts = [
        file(one.file, one.sha256, ComponentType.MACHINE_LEARNING_MODEL,
             [("form", one.form), ("precision", one.precision), ("gate", one.gate)])
        for one in manifest.graphs
    ]  # fmt: skip
    parts += [file(one.file, one.sha256, ComponentType.DATA) for one in manifest.documents]
    parts += [
        file(f"data set {name}", one.listing_sha256, ComponentType.DATA, [("terms", one.terms)])
        for name, one in _named(manifest.training.all_data)
    ]
    libraries = {name: _version(name) for name in TOOLS} | {one.name: one.version for one in manifest.training.versions}
    parts += [
        Component(name=name, type=ComponentType.LIBRARY, version=version, bom_ref=f"{name}@{version}")
        for name, version in sorted(libraries.items())
        if version
    ]
    tool = Component(name="edgeseg", type=ComponentType.APPLICATION, version=edgeseg.__version__, bom_ref="edgeseg")
    seed = mf.sha256(mf.dump(manifest.model_copy(update={"documents": []})))
    bom = Bom(components=parts, metadata=BomMetaData(component=model, timestamp=_time(manifest.created)))
    bom.metadata.tools.components.add(tool)
    bom.serial_number = uuid.UUID(seed[:32])
    bom.register_dependency(model, parts)
    return (JsonV1Dot6(bom).output_as_string(indent=1) + "\n").encode()


def _named(data: Sequence[mf.DataUse]) -> list[tuple[str, mf.DataUse]]:
    """Data sets by names of their own: a set that has grown between two trainings is there twice."""
    names = [one.name for one in data]
    return [
        (one.name if names.index(one.name) == index else f"{one.name} {one.listing_sha256[:12]}", one)
        for index, one in enumerate(data)
    ]


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _time(created: str) -> dt.datetime:
    return dt.datetime.strptime(created, "%Y-%m-%dT%H:%M:%SZ").replace(tzinfo=dt.UTC)
