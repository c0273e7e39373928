"""Float graph + calibration frames → table."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from edgeseg import manifest as mf
from edgeseg.calibration import collect, table
from edgeseg.calibration.frames import Chosen
from edgeseg.calibration.table import Table
from edgeseg.errors import ModelError
from edgeseg.export.check import Image, fitted

TABLE_FILE = "calibration.json"


def calibrate(
    graph: bytes, manifest: mf.Manifest, chosen: Chosen, method: str, *, each: Callable[[], None] = lambda: None
) -> Table:
    """Runs the frames through the float graph and chooses ranges.

    Args:
        graph: the float frame graph.
        manifest: of the model.
        chosen: the frames.
        method: how ranges are chosen from what was seen.
        each: called after each frame.

    Raises:
        DataError: an unreadable frame, or an activation that is not finite.
    """

    def frames() -> Iterator[tuple[str, Image]]:
        for one in chosen.frames:
            yield str(one.pair.image), fitted(one.pair, manifest.frame)

    histograms = collect.collect(graph, frames(), each=each)
    head = mf.Calibration.model_validate(
        {
            "recipe": chosen.recipe.name,
            "method": method,
            "seed": chosen.recipe.seed,
            "frames": len(chosen.frames),
            "data": chosen.data,
            "split": chosen.split,
            "frames_sha256": chosen.frames_sha256,
            **hashes(graph, manifest),
        }
    )
    return table.make(head, collect.tensors(histograms, method))


def hashes(graph: bytes, manifest: mf.Manifest) -> dict[str, str]:
    """What a table of this model must say."""
    return {
        "weights_sha256": manifest.training.weights_sha256,
        "frame_spec_sha256": mf.frame_spec_sha256(manifest.frame),
        "graph_sha256": mf.sha256(graph),
    }


def read(file: Path) -> Table:
    """A table from a file.

    Raises:
        ModelError: unreadable, or none.
    """
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ModelError(f"{file}: cannot be read ({error.strerror})") from error
    return table.parse(data, str(file))


def reuse(loaded: Table, graph: bytes, manifest: mf.Manifest, where: str, chosen: Chosen | None = None) -> Table:
    """A table after its hashes were compared with the model (and the frames, where they are given).

    Raises:
        ModelError: it belongs to something else; says what changed.
    """
    expected = hashes(graph, manifest)
    if chosen is not None:
        expected["frames_sha256"] = chosen.frames_sha256
    table.require_match(loaded, expected, where)
    return loaded


def moved_to(loaded: Table, graph: bytes) -> Table:
    """The table as one of a graph of the same arithmetic, whose metadata alone differs."""
    head = loaded.calibration.model_copy(update={"graph_sha256": mf.sha256(graph)})
    return loaded.model_copy(update={"calibration": head})


def with_method(loaded: Table, method: str) -> Table:
    """The same frames under another method: the histograms in the table are enough."""
    if loaded.calibration.method == method:
        return loaded
    head = loaded.calibration.model_copy(update={"method": method})
    return table.make(
        head, [collect.from_table(one).tensor(one.name, method, one.channel_mean) for one in loaded.tensors]
    )
