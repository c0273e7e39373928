"""A run back into a network, and its prediction as floats."""

from __future__ import annotations

import contextlib
import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from edgeseg.bundle import open_model, zoo_names
from edgeseg.errors import ModelError, UsageError
from edgeseg.manifest import sha256
from edgeseg.nets import build, check_size
from edgeseg.nets.frame import FrameNet
from edgeseg.train.checkpoint import load_weights, read_options
from edgeseg.train.device import best_device
from edgeseg.train.teacher import Teacher

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from edgeseg.bundle import Source
    from edgeseg.manifest import Manifest


@dataclass(frozen=True)
class Start:
    """What a training begins with; ``name`` is what was given to ``--from``.

    ``data`` is a run's safetensors file or a bundle's float graph, ``sha256`` that of the safetensors file always.
    ``manifest``: the run's or bundle's; None where only the weights are there.
    """

    name: str
    data: bytes
    sha256: str
    manifest: Manifest | None = None

    @property
    def folded(self) -> bool:
        """Whether ``data`` is a graph, whose batch norms are in its convolutions."""
        return self.manifest is not None and self.manifest.kind == "bundle"


def open_start(name: str) -> Start:
    """The weights of a run, or of a bundle or zoo name.

    Raises:
        ModelError: neither, or its files are damaged or of different runs.
    """
    weights = Path(name) / "weights.safetensors"
    run = False
    with contextlib.suppress(OSError):  # a name that no file can have
        run = name not in zoo_names() and weights.is_file()
    if run:
        try:
            data = weights.read_bytes()
        except OSError as error:
            raise ModelError(f"--from {name}: {weights.name} cannot be read ({error.strerror})") from error
        return _of_run(name, data)
    try:
        source = open_model(name)
    except ModelError as error:
        raise ModelError(f"--from {error}") from error
    if source.kind != "bundle" or source.manifest is None:
        raise ModelError(f"--from {name}: has no weights.safetensors; give a run, a bundle or a zoo name")
    graph = next((one for one in source.manifest.graphs if one.form == "float"), None)
    if graph is None:
        raise ModelError(f"--from {name}: the bundle has no float graph; begin with its run")
    data = source.read(graph.file, graph.sha256)
    return Start(name, data, source.manifest.training.weights_sha256, source.manifest)


def _of_run(name: str, data: bytes) -> Start:
    start = Start(name, data, sha256(data))
    if not (Path(name) / "manifest.json").exists():
        return start
    try:
        manifest = open_model(name).manifest
    except ModelError as error:
        raise ModelError(f"--from {error}") from error
    if manifest is None or manifest.training.weights_sha256 != start.sha256:
        raise ModelError(
            f"--from {name}: weights.safetensors is not the file that manifest.json tells of; give the run as it was "
            "written, or the weights in a folder of their own"
        )
    return replace(start, manifest=manifest)


def load_run(source: Source) -> FrameNet:
    """The run's network in eval mode; its weights' hash is checked.

    Raises:
        ModelError: changed, or not the weights of the network the manifest names.
        UsageError: the network does not take frames of the manifest's size, which ``bundle.resized`` may have changed.
    """
    if source.manifest is None or source.kind != "run":
        raise ModelError(f"{source.path}: is no run")
    document = next((one for one in source.manifest.documents if one.role == "weights"), None)
    if document is None:
        raise ModelError(f"{source.path}: the run lists no weights")
    data = source.read(document.file, document.sha256, document.size)
    net = build(source.manifest.task.network, source.manifest.output.channels, read_options(data))
    frame_net = FrameNet(net, [0.0] * 3, [1.0] * 3)  # mean and std come with the weights
    load_weights(frame_net, data, str(source.path / document.file), wanted=source.manifest.task.network)
    check_size(net, source.manifest.task.network, source.manifest.frame.height, source.manifest.frame.width)
    return frame_net.eval().to(memory_format=torch.channels_last)  # type: ignore[call-overload]


def open_teacher(run: Path) -> Teacher:
    """The network of a run as a teacher.

    Raises:
        ModelError: no run, or as :func:`load_run`.
        UsageError: of several classes.
    """
    source = open_model(str(run))
    if source.manifest is None or source.kind != "run":
        raise ModelError(f"--teacher {run}: is no run; give a folder that edgeseg train wrote")
    net = load_run(source)
    if source.manifest.output.channels != 1:
        raise UsageError(f"--teacher {run}: has several classes beside the background; take a run that has one")
    return Teacher(net, source.manifest)


class RunPredictor:
    """Fitted frame uint8 [h, w, 3] → probability float32 [K, h, w]; ``card`` names the GPU that it runs on, if any.

    Args:
        net: a run's; stays where it is.
        device: which GPU, where there are several.

    Raises:
        BackendError: no such GPU.
    """

    def __init__(self, net: FrameNet, device: int = 0) -> None:
        self.device = best_device(device)
        self.card = f", {torch.cuda.get_device_name(self.device)}" if self.device.type == "cuda" else ""
        # A copy: who gave the network may export it next, from where it is.
        self.net = net if self.device.type == "cpu" else copy.deepcopy(net).to(self.device)

    def __call__(self, fitted: NDArray[np.uint8]) -> NDArray[np.float32]:
        with torch.inference_mode():
            frame = torch.from_numpy(fitted)[None].to(self.device)
            out: NDArray[np.float32] = self.net.probability(frame)[0].cpu().numpy()
        return out
