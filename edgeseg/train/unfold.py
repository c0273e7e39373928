"""A bundle's float graph back into a network that can be trained on.

A graph has its batch norms folded into the convolutions before them, and a network that is trained normalises by its
batches: the folded weights alone would compute something else there. So each batch norm first passes everything
on (:func:`unfold`), and then takes mean and deviation of what it is given on training frames, undone by its own
weight and bias (:func:`settle`). What the network computes in use stays the same throughout.
"""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import ExitStack
from typing import Any

import onnx
import torch
from google.protobuf.message import DecodeError
from onnx import numpy_helper
from torch import Tensor, nn

from edgeseg import onnx_metadata
from edgeseg.errors import ModelError
from edgeseg.nets.attention import DNL
from edgeseg.nets.frame import FrameNet
from edgeseg.train.checkpoint import first_line
from edgeseg.train.unfold_dnl import dnl_weights


def unfold(net: FrameNet, graph: bytes, where: str) -> None:
    """Loads a float frame graph's weights; batch norms then pass on what they are given.

    Args:
        net: of the network the graph was exported from.
        graph: serialised ONNX.
        where: it came from, for the error.

    Raises:
        ModelError: the graph is another network's, or its export turned some of the weights into others.
    """
    try:
        if fault := onnx_metadata.fault(graph):
            raise ModelError(f"{where}: the graph {fault}")
        model = onnx.load_from_string(graph)
        values = {one.name: torch.from_numpy(numpy_helper.to_array(one).copy()) for one in model.graph.initializer}
    except (DecodeError, ValueError, TypeError) as error:
        raise ModelError(f"{where}: its float graph cannot be read ({first_line(error)})") from error
    state = net.state_dict()
    found: dict[str, Tensor] = {"mean": _beside(model, "Sub", values), "std": _beside(model, "Div", values)}
    norms: dict[str, nn.BatchNorm2d] = {}
    for path, module in net.net.named_modules():
        if isinstance(module, nn.BatchNorm2d):
            norms[f"net.{path}"] = module
        if isinstance(module, DNL):  # in the graph its nodes bear the name of the module that calls it
            block = path.rpartition(".")[0]
            theirs = {f"net.{path}.{name}": value for name, value in dnl_weights(model, block).items()}
            if f"{block}.v.weight" in values and theirs:
                found |= theirs | {f"net.{path}.v.weight": values[f"{block}.v.weight"]}
    for name in [one for one in state if one.startswith("net.")]:
        path, _, kind = name.rpartition(".")
        if path in norms or name in found:
            continue
        there = f"{path.removeprefix('net.')}.{kind}"
        block, norm = _block(path)
        if there in values:
            found[name] = values[there]
        elif norm in norms and kind == "weight" and f"{block}.weight" in values and f"{block}.bias" in values:
            found[name] = values[f"{block}.weight"]
            found |= _neutral(norm, norms[norm], values[f"{block}.bias"])
        elif norm in norms and kind == "bias":
            found[name] = torch.zeros_like(state[name])  # folded into the norm's
    missing = [name for name in state if name not in found]
    if missing:
        raise ModelError(f"{where}: its float graph has no {missing[0].removeprefix('net.')}; begin with a run instead")
    for name, value in found.items():
        if name in state and value.shape != state[name].shape:
            raise ModelError(
                f"{where}: {name.removeprefix('net.')} is {list(value.shape)} there, and {list(state[name].shape)} in "
                "this recipe's network"
            )
    net.load_state_dict(found)


def settle(net: FrameNet, batches: Iterable[Tensor]) -> None:
    """Batch norms of an unfolded network take mean and variance of what they are given on frames.

    Args:
        net: from :func:`unfold`.
        batches: frames uint8 [B, h, w, 3], at least one batch.
    """
    sums: dict[nn.BatchNorm2d, list[Any]] = {}

    def note(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        if isinstance(module, nn.BatchNorm2d):
            x = inputs[0].double()
            kept = sums.setdefault(module, [0.0, 0.0, 0])
            kept[0], kept[1] = kept[0] + x.sum((0, 2, 3)), kept[1] + (x * x).sum((0, 2, 3))
            kept[2] += x[:, 0].numel()

    training = net.training
    net.eval()
    with torch.no_grad(), ExitStack() as hooks:
        for module in net.modules():
            if isinstance(module, nn.BatchNorm2d):
                hooks.callback(module.register_forward_pre_hook(note).remove)
        for frames in batches:
            net.logits(frames)
        for module, (total, squares, count) in sums.items():
            mean = total / count
            variance = (squares / count - mean * mean).clamp(min=0)
            module.running_mean = mean.float()
            module.running_var = variance.float()
            module.weight.copy_((variance + module.eps).sqrt())
            module.bias.add_(mean)
    net.train(training)


def _block(path: str) -> tuple[str, str]:
    """Of a convolution "net.a.0" in a block with its batch norm: the block's name in the graph, and the norm's path."""
    block, _, last = path.rpartition(".")
    return block.removeprefix("net."), f"{block}.1" if last == "0" else ""


def _neutral(path: str, norm: nn.BatchNorm2d, bias: Tensor) -> dict[str, Tensor]:
    ones = torch.ones_like(bias)
    return {
        f"{path}.weight": ones,
        f"{path}.bias": bias,
        f"{path}.running_mean": torch.zeros_like(bias),
        f"{path}.running_var": ones - norm.eps,
        f"{path}.num_batches_tracked": torch.tensor(0),
    }


def _beside(model: onnx.ModelProto, kind: str, values: dict[str, Tensor]) -> Tensor:
    """What the graph subtracts from its frames, or divides them by: per channel, [1, 3, 1, 1]."""
    for node in model.graph.node:
        if node.op_type == kind and len(node.input) > 1:
            value = values.get(node.input[1])
            if value is not None and value.dim() == 4:
                return value
    return torch.full((1, 3, 1, 1), float(kind == "Div"))
