"""A whole new bundle from an old one: files are copied by the manifest, changed ones replaced; nothing else changes.

Needs no torch and no onnx: a device does this.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import edgeseg
from edgeseg import atomic, skipped
from edgeseg import manifest as mf
from edgeseg.bundle import Source, require_manifest
from edgeseg.folder import Folder


def listed(manifest: mf.Manifest) -> dict[str, str]:
    """Every file that a manifest names, with its hash."""
    files = {one.file: one.sha256 for part in (manifest.graphs, manifest.engines, manifest.documents) for one in part}
    for one in manifest.golden:
        files |= {one.file: one.sha256, one.fitted_file: one.fitted_sha256}
        files |= {expected.file: expected.sha256 for expected in one.expected}
    return files


def write(source: Source, manifest: mf.Manifest, new: Mapping[str, bytes], target: Path | None = None) -> mf.Manifest:
    """Writes ``manifest`` with its files in place of the bundle, or as ``target``.

    Args:
        source: the old bundle.
        manifest: the new one, complete but for ``created`` and ``writer``.
        new: content of files that the old bundle lacks or that changed.
        target: another place.

    Raises:
        OutputError: the disk; the old bundle stays.
        ModelError: a file of the old bundle has changed since it was opened, or it holds what this version
            does not know.
    """
    require_manifest(source)
    skipped.refuse(source)
    manifest = manifest.model_copy(update={"created": mf.now(), "writer": f"edgeseg {edgeseg.__version__}"})
    with Folder(source.path) as folder, atomic.atomic_folder(target or source.path) as place:
        for file, digest in listed(manifest).items():
            data = new[file] if file in new else folder.checked(file, digest)
            (place / file).parent.mkdir(parents=True, exist_ok=True)
            (place / file).write_bytes(data)
        data = mf.dump(mf.parse(mf.dump(manifest)))
        (place / "manifest.json").write_bytes(data)
        (place / "manifest.sha256").write_text(f"{mf.sha256(data)}  manifest.json\n")
    return manifest
