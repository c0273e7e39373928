"""Readable, stable names in an exported graph: ``stages.4`` instead of ``/net/stages/stages.4/stages.4.0/Conv``.

Reports, calibration tables and ``--exclude`` name layers and tensors, so the names must mean
something to the person who wrote the network and stay the same from one export to the next.
"""

from __future__ import annotations

import collections
from collections.abc import Iterable

import onnx_ir as ir

# Ops that carry weights: named like their module. All others carry the op behind the module's path.
WEIGHTED = ("Conv", "ConvTranspose", "Gemm")
ROOT = "net"


def rename(model: ir.Model) -> None:
    """Renames nodes after their module path, values after their nodes and weights after their users.

    A convolution takes its module's path; where the module is the only weighted one inside a numbered
    ``Sequential``, the path of that (``stages.4`` for ``stages.4.0``). Graph inputs and outputs keep their names.
    """
    graph = model.graph
    nodes = list(graph)
    paths = {id(node): module_path(node.name or "") for node in nodes}
    short = _shortened([paths[id(node)] for node in nodes if node.op_type in WEIGHTED])
    fixed = {value.name for value in (*graph.inputs, *graph.outputs)}
    used = collections.Counter(name for name in fixed if name)
    for node in nodes:
        path = paths[id(node)]
        base = short.get(path, path) if node.op_type in WEIGHTED else f"{path}.{node.op_type.lower()}".lstrip(".")
        node.name = _unique(base or node.op_type.lower(), used)
        for index, value in enumerate(node.outputs):
            if value.name not in fixed:
                value.name = node.name if not index else f"{node.name}.{index}"
    _rename_weights(graph, used)


def module_path(scope: str) -> str:
    """``/net/stages/stages.0/stages.0.1/Relu`` → ``stages.0.1``: a part that the next one begins with is dropped."""
    parts = scope.strip("/").split("/")[:-1]
    kept = [
        part
        for index, part in enumerate(parts)
        if index + 1 == len(parts) or not parts[index + 1].startswith(f"{part}.")
    ]
    if kept and kept[0] == ROOT:
        kept = kept[1:]
    return ".".join(kept)


def _shortened(paths: list[str]) -> dict[str, str]:
    """Paths that end in a number, without it, where nothing else lives under what remains."""
    out = {}
    for path in set(paths):
        parent, _, last = path.rpartition(".")
        if last.isdigit() and parent and sum(other.startswith(f"{parent}.") for other in paths) == paths.count(path):
            out[path] = parent
    return out


def _rename_weights(graph: ir.Graph, used: collections.Counter[str]) -> None:
    """Initialisers after the first node that reads them: ``stages.4.weight``."""
    values = list(graph.initializers.values())
    for value in values:
        user, index = min(_uses(value), key=lambda use: (use[0].name or "", use[1]))
        role = {1: "weight", 2: "bias"}.get(index, str(index)) if user.op_type in WEIGHTED else f"in{index}"
        value.name = _unique(f"{user.name}.{role}", used)


def _uses(value: ir.Value) -> Iterable[tuple[ir.Node, int]]:
    return [(use.node, use.idx) for use in value.uses()]


def _unique(name: str, used: collections.Counter[str]) -> str:
    used[name] += 1
    return name if used[name] == 1 else f"{name}-{used[name]}"
