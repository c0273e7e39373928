"""Reads ``metadata_props`` of an ONNX file without parsing the rest.

A bare graph says what it is in its metadata; one that does not is refused before any runtime's
parser sees it. Only the outermost protobuf message is walked.
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
