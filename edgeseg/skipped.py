"""Entries of a manifest that this version does not know and skips: their files are checked, and never lost."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from edgeseg import manifest as mf
from edgeseg import strict_json
from edgeseg.bundle import Source
from edgeseg.errors import ModelError
from edgeseg.folder import Folder


def entries(source: Source) -> list[tuple[str, dict[str, str]]]:
    """What the manifest of a bundle names and this version skips: name, and its files with their hashes.

    Raises:
        ModelError: the manifest has changed since the bundle was opened.
    """
    with Folder(source.path) as folder:
        data = folder.read("manifest.json")
    if mf.sha256(data) != source.manifest_sha256:
        raise ModelError(f"{source.path}: manifest.json has changed since it was opened; run the command again")
    value = strict_json.loads(data)
    return [
        (str(item.get("name", item.get("role", item.get("subject", "?")))), dict(_files(item)))
        for key, part in mf.SKIPPABLE.items()
        for item in value.get(key, [])
        if isinstance(item, dict) and mf.unknown_enum(part, item)
    ]


def refuse(source: Source) -> None:
    """Before a bundle is written anew from what was read of it.

    Raises:
        ModelError: it holds something that this version does not know and would lose.
    """
    name = next((name for name, files in entries(source) if files), None)
    if name is not None:
        raise ModelError(
            f"{source.path}: holds {name}, which this edgeseg does not know and would lose; use a newer one"
        )


def _files(item: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Files of an entry and of those in it: FILE beside SHA256, likewise fitted_file beside fitted_sha256."""
    for key, value in item.items():
        digest = item.get(f"{key.removesuffix('file')}sha256")
        if key.endswith("file") and isinstance(value, str) and isinstance(digest, str):
            yield value, digest
        for inner in value if isinstance(value, list) else []:
            if isinstance(inner, dict):
                yield from _files(inner)
