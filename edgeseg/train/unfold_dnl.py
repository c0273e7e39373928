"""The weights of a DNL block in an exported graph, where they are factors of matrix products, no convolutions."""

from __future__ import annotations

import numpy as np
import onnx
import torch
from numpy.typing import NDArray
from onnx import numpy_helper
from torch import Tensor

# The constant factors of DNL.vector's products in its order, and whether a factor is the weight's transpose.
_FACTORS = (("theta", False), ("phi", True), ("k", False), ("g", True), ("squeeze", True), ("excite", True))
_TERMS = ("squeeze", "excite")


def dnl_weights(model: onnx.ModelProto, block: str) -> dict[str, Tensor]:
    """Weights and biases of the DNL block whose nodes are named ``block.*``, by their names in the module.

    Empty where the graph has no such block.
    """
    constants = {one.name: one for one in model.graph.initializer}
    makers = {name: node for node in model.graph.node for name in node.output}

    def constant(name: str, steps: int = 2) -> NDArray[np.generic] | None:
        """What a name stands for: a constant, a 1×1 kernel [out, in, 1, 1] as a matrix, a matrix turned; else None."""
        if name in constants:
            return numpy_helper.to_array(constants[name])
        node = makers.get(name)
        if node is None or not node.input or not steps:
            return None
        inner = constant(node.input[0], steps - 1)
        if inner is not None and node.op_type == "Reshape" and inner.ndim == 4 and inner.shape[2:] == (1, 1):
            return inner.reshape(inner.shape[:2])
        return inner.T if inner is not None and node.op_type == "Transpose" and inner.ndim == 2 else None

    def of_block(kind: str) -> list[NDArray[np.generic]]:
        nodes = [one for one in model.graph.node if one.op_type == kind and one.name.rpartition(".")[0] == block]
        return [value for node in nodes for name in node.input if (value := constant(name)) is not None]

    factors = [one for one in of_block("MatMul") if one.ndim == 2]
    terms = [one for one in of_block("Add") if one.ndim == 1]
    if len(factors) != len(_FACTORS) or len(terms) != len(_TERMS):
        return {}
    found = {f"{name}.weight": one.T if turned else one for (name, turned), one in zip(_FACTORS, factors, strict=True)}
    found = {name: one[:, :, None, None] for name, one in found.items()}
    found |= {f"{name}.bias": one for name, one in zip(_TERMS, terms, strict=True)}
    return {name: torch.from_numpy(np.array(one)) for name, one in found.items()}
