"""Weights in safetensors, checkpoints for resuming, and nothing pickled from outside.

``last.ckpt`` exists only to resume: it is torch's format, a zip file, written atomically and read with
``weights_only=True`` after its checksums were compared, which torch does not do. What others get is
``weights.safetensors`` with its hash in the manifest.
"""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, TypeGuard

import safetensors
import safetensors.torch
import torch
from lightning.pytorch.plugins.io import TorchCheckpointIO
from torch import Tensor, nn

from edgeseg.atomic import atomic_write
from edgeseg.errors import InputError, ModelError

# What Lightning and edgeseg's recorder take from a checkpoint without asking.
OUTER = {"pytorch-lightning_version": str, "state_dict": dict, "optimizer_states": list, "lr_schedulers": list}
OUTER |= {"loops": dict, "callbacks": dict}
RECORDER = {"identity": dict, "rows": list, "epoch": int, "best": float, "weights": dict}


class AtomicCheckpointIO(TorchCheckpointIO):
    """Lightning's checkpoint file through a temporary name, an fsync and a rename; read with suspicion.

    Args:
        check: is given the identity of the training that a checkpoint is of, before anything is loaded into a network.
    """

    def __init__(self, check: Callable[[dict[str, str]], None]) -> None:
        super().__init__()
        self._check = check

    def save_checkpoint(self, checkpoint: dict[str, Any], path: Any, storage_options: Any | None = None) -> None:
        data = io.BytesIO()  # torch makes an error of its own of a full disk
        torch.save(checkpoint, data)
        atomic_write(Path(path), data.getvalue())

    def load_checkpoint(
        self,
        path: Any,
        map_location: Any = None,
        weights_only: bool | None = None,  # noqa: FBT001 - Lightning's signature
    ) -> dict[str, Any]:
        try:
            data = Path(path).read_bytes()
        except OSError as error:
            raise InputError(f"{path}: cannot be read ({error.strerror})") from error
        try:
            out = _load(data)
        except MemoryError:  # no fault of the file's
            raise
        except pickle.UnpicklingError as error:
            raise InputError(f"{path}: holds more than tensors and is not loaded; remove it to start again") from error
        except Exception as error:  # whatever it is that bytes from outside lead torch or zipfile to
            raise InputError(
                f"{path}: cannot be resumed from; remove it to start again ({first_line(error)})"
            ) from error
        if not is_whole(out):
            raise InputError(f"{path}: is no checkpoint of edgeseg's; remove it to start again")
        self._check(out["callbacks"]["Recorder"]["identity"])
        return out


def _load(data: bytes) -> dict[str, Any]:
    """A checkpoint from its bytes, the ones that were checked."""
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        damaged = archive.testzip()
    if damaged is not None:
        raise ValueError(f"its part {damaged} is not as it was written")
    out: dict[str, Any] = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
    return out


def is_whole(checkpoint: object) -> bool:
    """Whether it holds what a resume takes from it, each of its kind."""
    if not _has(checkpoint, OUTER):
        return False
    state = checkpoint["callbacks"].get("Recorder")
    return (
        _has(state, RECORDER)
        and [type(one) for one in state.get("commit", ("", False))] == [str, bool]  # older ones do not tell
        and all(isinstance(text, str) for pair in state["identity"].items() for text in pair)
        and all(_has(row, {"epoch": int}) for row in state["rows"])
        and all(isinstance(value, Tensor) for value in state["weights"].values())
    )


def _has(value: object, kinds: Mapping[str, type]) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict) and all(isinstance(value.get(key), kind) for key, kind in kinds.items())


def first_line(error: BaseException) -> str:
    """What an error says, in one line."""
    return (str(error).splitlines() or [type(error).__name__])[0]


def weights_bytes(net: nn.Module, options: Mapping[str, object]) -> bytes:
    """The weights as a safetensors file, the network's options in its metadata; the same weights, the same bytes."""
    state = {name: value.detach().cpu().contiguous().clone() for name, value in net.state_dict().items()}
    return safetensors.torch.save(state, {"options": json.dumps(dict(options), sort_keys=True)})


def read_options(data: bytes) -> dict[str, object]:
    """The network's options from a safetensors file's metadata; none if it has none."""
    size = int.from_bytes(data[:8], "little")
    try:
        out = json.loads(json.loads(data[8 : 8 + size]).get("__metadata__", {}).get("options", "{}"))
    except (ValueError, AttributeError):
        return {}
    return out if isinstance(out, dict) else {}


def load_weights(net: nn.Module, data: bytes, where: str, *, grow: bool = False, wanted: str = "this one") -> None:
    """Loads a safetensors file into a network.

    Args:
        net: the network.
        data: the file's bytes.
        where: they came from, for the error.
        grow: weights of a narrower network of the same kind are taken too, see :func:`grown`.
        wanted: what the network is called, for the error.

    Raises:
        ModelError: no safetensors, or weights of another network.
    """
    try:
        state: dict[str, Tensor] = safetensors.torch.load(data)
        if grow:
            state = grown(state, net.state_dict())
        net.load_state_dict(state)
    except safetensors.SafetensorError as error:
        raise ModelError(f"{where}: is no safetensors file ({first_line(error)})") from error
    except RuntimeError as error:
        # Which tensor differs, as torch says over many lines, helps nobody who gave the wrong file.
        raise ModelError(
            f"{where}: holds the weights of another network, or of {wanted} with other options or classes"
        ) from error


def grown(narrow: Mapping[str, Tensor], fresh: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Weights of a narrower network in a wider one that computes the same (after Chen et al., Net2Net, 2016).

    Old channels keep their place and hear nothing from new ones; new channels begin as in a fresh network, so that
    they can learn what the old ones do not say. Exact where the channels that grow are neither concatenated with others
    nor averaged over.

    Args:
        narrow: the weights to keep.
        fresh: of the wider network, newly drawn.

    Returns:
        ``narrow`` where the shapes are equal or ``fresh`` is not wider in every axis.
    """
    out = dict(narrow)
    for name, small in narrow.items():
        large = fresh.get(name)
        wider = large is not None and large.dim() == small.dim() and large.shape != small.shape
        if large is None or not wider or any(a < b for a, b in zip(large.shape, small.shape, strict=True)):
            continue
        value = large.clone()
        if value.dim() > 1:
            value[: small.shape[0]] = 0
        value[tuple(slice(size) for size in small.shape)] = small
        out[name] = value
    return out
