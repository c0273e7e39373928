"""Reads what must be known of an ONNX file before a runtime's parser sees it.

A bare graph says what it is in its metadata; one that does not is refused. A graph that keeps
tensors in other files is refused as well: runtimes open those files, relative to the working
folder even where the graph comes from memory, and no hash covers them. So is one with an operator
that is not listed here: with loops, and with operators that make a tensor from a shape alone, a few
hundred bytes would take a device's memory or never end. Only the protobuf messages on the
way there are walked.
"""

from __future__ import annotations

from collections.abc import Iterator

_METADATA_PROPS = 14  # ModelProto.metadata_props; key = 1, value = 2


def read(data: bytes) -> dict[str, str]:
    """Key → value of an ONNX file's metadata.

    Raises:
        ValueError: the bytes are no protobuf message.
    """
    out = {}
    for field, payload in _fields(data):
        if field == _METADATA_PROPS:
            entry = {number: value.decode("utf-8") for number, value in _fields(payload) if number in (1, 2)}
            out[entry.get(1, "")] = entry.get(2, "")
    return out


# Of ONNX's own domain. The C library has the same list, in runtime/src/onnx_check.cpp.
ALLOWED_OPS = frozenset((
    "Abs", "Add", "And", "AveragePool", "BatchNormalization", "Cast", "Ceil", "Celu", "Clip", "Concat", "Constant",
    "Conv", "ConvTranspose", "Cos", "DepthToSpace", "DequantizeLinear", "Div", "Einsum", "Elu", "Equal", "Erf", "Exp",
    "Flatten", "Floor", "Gather", "Gelu", "Gemm", "GlobalAveragePool", "GlobalMaxPool", "Greater", "GreaterOrEqual",
    "GridSample", "GroupNormalization", "HardSigmoid", "HardSwish", "Identity", "InstanceNormalization", "LRN",
    "LayerNormalization", "LeakyRelu", "Less", "LessOrEqual", "Log", "LogSoftmax", "LpNormalization", "MatMul", "Max",
    "MaxPool", "Mean", "Min", "Mish", "Mul", "Neg", "Not", "Or", "PRelu", "Pad", "Pow", "QuantizeLinear",
    "Reciprocal", "ReduceL2", "ReduceMax", "ReduceMean", "ReduceMin", "ReduceSum", "Relu", "Reshape", "Resize",
    "Round", "Selu", "Shape", "Sigmoid", "Sign", "Sin", "Slice", "Softmax", "Softplus", "Softsign", "SpaceToDepth",
    "Split", "Sqrt", "Squeeze", "Sub", "Sum", "Tanh", "ThresholdedRelu", "Transpose", "Unsqueeze", "Where",
))  # fmt: skip

# ModelProto.graph / functions, GraphProto.node / initializer / sparse_initializer, NodeProto.op_type / attribute /
# domain, AttributeProto.t and tensors / g and graphs / sparse ones, SparseTensorProto's two tensors.
_GRAPH, _FUNCTIONS, _NODE, _INITIALIZER, _SPARSE = 7, 25, 1, 5, 15
_OP, _ATTRIBUTE, _DOMAIN = 4, 5, 7
_ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS, _ATTRIBUTE_SPARSE = (5, 10), (6, 11), (22, 23)
_EXTERNAL_DATA = 13  # TensorProto.external_data

_OUTSIDE = "keeps tensors in other files; export it again as a single file"
_FLOW = "has graphs within graphs (loops, branches or functions), which edgeseg never writes; export it again"


def fault(data: bytes) -> str | None:
    """What keeps an ONNX file from being given to a runtime, as the rest of a sentence about it; None if nothing does.

    Raises:
        ValueError: the bytes are no protobuf message.
    """
    for field, payload in _fields(data):
        found = _FLOW if field == _FUNCTIONS else _graph_fault(payload) if field == _GRAPH else None
        if found:
            return found
    return None


def _graph_fault(graph: bytes) -> str | None:
    for field, payload in _fields(graph):
        if (field == _INITIALIZER and _is_external(payload)) or (field == _SPARSE and _sparse_is_external(payload)):
            return _OUTSIDE
        found = _node_fault(payload) if field == _NODE else None
        if found:
            return found
    return None


def _node_fault(node: bytes) -> str | None:
    op = domain = ""
    for field, payload in _fields(node):
        if field == _OP:
            op = payload.decode("utf-8")
        elif field == _DOMAIN:
            domain = payload.decode("utf-8")
        found = _attribute_fault(payload) if field == _ATTRIBUTE else None
        if found:
            return found
    if op not in ALLOWED_OPS or domain not in ("", "ai.onnx"):
        name = f"{domain}.{op}".lstrip(".")[:60]
        return f"has the operator {name!r}, which edgeseg does not run (ALLOWED_OPS in onnx_metadata.py)"
    return None


def _attribute_fault(attribute: bytes) -> str | None:
    for field, payload in _fields(attribute):
        if field in _ATTRIBUTE_GRAPHS:
            return _FLOW
        if (field in _ATTRIBUTE_TENSORS and _is_external(payload)) or (
            field in _ATTRIBUTE_SPARSE and _sparse_is_external(payload)
        ):
            return _OUTSIDE
    return None


def _sparse_is_external(sparse: bytes) -> bool:
    return any(field in (1, 2) and _is_external(payload) for field, payload in _fields(sparse))


def _is_external(tensor: bytes) -> bool:
    return any(field == _EXTERNAL_DATA for field, _ in _fields(tensor))


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Length-delimited fields of a message; others are skipped."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
        if key >> 32:  # runtimes cut a key to 32 bits, and would see another field
            raise ValueError("no protobuf")
        kind = key & 7
        if kind == 0:
            _, at = _varint(data, at)
        elif kind in (1, 5):
            at += 8 if kind == 1 else 4
        elif kind == 2:
            size, at = _varint(data, at)
            if at + size > len(data):
                raise ValueError("truncated")
            yield key >> 3, data[at : at + size]
            at += size
        else:
            raise ValueError("no protobuf")
    if at != len(data):
        raise ValueError("truncated")


def _varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise ValueError("truncated")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("no varint")
