"""Reads what must be known of an ONNX file before a runtime's parser sees it.

A bare graph says what it is in its metadata; one that does not is refused. A graph that keeps
tensors in other files is refused as well: runtimes open those files, relative to the working
folder even where the graph comes from memory, and no hash covers them. Only the protobuf messages
on the way there are walked.
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


# ModelProto.graph, GraphProto.node / initializer, NodeProto.attribute, AttributeProto.t / g / tensors / graphs.
_GRAPH, _NODE, _INITIALIZER, _ATTRIBUTE = 7, 1, 5, 5
_ATTRIBUTE_TENSORS, _ATTRIBUTE_GRAPHS = (5, 10), (6, 11)
_EXTERNAL_DATA = 13  # TensorProto.external_data
_DEEPEST = 8


def has_external_data(data: bytes) -> bool:
    """Whether any tensor of an ONNX file lies in another file.

    Raises:
        ValueError: the bytes are no protobuf message, or graphs are nested too deeply.
    """
    return any(_graph_has_external(payload, 0) for field, payload in _fields(data) if field == _GRAPH)


def _graph_has_external(graph: bytes, depth: int) -> bool:
    if depth > _DEEPEST:
        raise ValueError("nested too deeply")
    for field, payload in _fields(graph):
        if field == _INITIALIZER and _is_external(payload):
            return True
        if field == _NODE:
            for number, attribute in _fields(payload):
                if number == _ATTRIBUTE and _attribute_has_external(attribute, depth):
                    return True
    return False


def _attribute_has_external(attribute: bytes, depth: int) -> bool:
    for field, payload in _fields(attribute):
        if field in _ATTRIBUTE_TENSORS and _is_external(payload):
            return True
        if field in _ATTRIBUTE_GRAPHS and _graph_has_external(payload, depth + 1):
            return True
    return False


def _is_external(tensor: bytes) -> bool:
    return any(field == _EXTERNAL_DATA for field, _ in _fields(tensor))


def _fields(data: bytes) -> Iterator[tuple[int, bytes]]:
    """Length-delimited fields of a message; others are skipped."""
    at = 0
    while at < len(data):
        key, at = _varint(data, at)
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
