"""JSON as manifests allow it: small, shallow, without surprises.

A manifest may come from anyone, so what a parser could be lured by is refused before anything is
built from it: size, depth, long strings and arrays, duplicate keys, null, NaN.
"""

from __future__ import annotations

import json
from typing import Any

MAX_BYTES = 1 << 20
MAX_DEPTH = 6
MAX_STRING = 1024
MAX_ARRAY = 1024
MAX_INT = 1 << 53


def loads(data: bytes) -> dict[str, Any]:
    """Parses one JSON object under the contract's limits.

    Raises:
        ValueError: with what is wrong, ready to follow "manifest.json: ".
    """
    if len(data) > MAX_BYTES:
        raise ValueError(f"is {len(data)} bytes, more than {MAX_BYTES}")
    if data.startswith(b"\xef\xbb\xbf"):
        raise ValueError("begins with a byte order mark")
    _check_depth(data)
    try:
        value = json.loads(data.decode("utf-8"), object_pairs_hook=_object, parse_constant=_constant, parse_int=_int)
    except UnicodeDecodeError as error:
        raise ValueError(f"is not UTF-8 at byte {error.start}") from error
    except json.JSONDecodeError as error:
        raise ValueError(f"is not JSON: {error.msg} in line {error.lineno}") from error
    if not isinstance(value, dict):
        raise ValueError("is not a JSON object")  # noqa: TRY004 - what is wrong is the file
    _check(value, "")
    return value


def _check_depth(data: bytes) -> None:
    """Before parsing, so that deep nesting never reaches the recursive parser."""
    depth, quoted, escaped = 0, False, False
    for byte in data:
        if quoted:
            if escaped:
                escaped = False
            elif byte == 0x5C:
                escaped = True
            elif byte == 0x22:
                quoted = False
        elif byte == 0x22:
            quoted = True
        elif byte in b"[{":
            depth += 1
            if depth > MAX_DEPTH:
                raise ValueError(f"is nested deeper than {MAX_DEPTH}")
        elif byte in b"]}":
            depth -= 1


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    out = dict(pairs)
    if len(out) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"has the key {next(n for n in names if names.count(n) > 1)!r} twice")
    return out


def _constant(name: str) -> float:
    raise ValueError(f"holds {name}, which is no number")


def _int(text: str) -> int:
    if len(text) > 17 or abs(int(text)) >= MAX_INT:
        raise ValueError(f"holds the integer {text[:20]}, beyond 2^53")
    return int(text)


def _check(value: object, where: str) -> None:
    if value is None:
        raise ValueError(f"has null at {where}; leave the key out instead")
    if isinstance(value, str):
        try:
            long = len(value.encode()) > MAX_STRING
        except UnicodeEncodeError as error:
            raise ValueError(f"has half of a surrogate pair at {where}") from error
        if long:
            raise ValueError(f"has a string over {MAX_STRING} bytes at {where}")
    if isinstance(value, float) and value in (float("inf"), float("-inf")):
        raise ValueError(f"has a number beyond double at {where}")
    if isinstance(value, dict):
        for key, item in value.items():
            _check(key, where)
            _check(item, f"{where}.{key}" if where else key)
    if isinstance(value, list):
        if len(value) > MAX_ARRAY:
            raise ValueError(f"has an array over {MAX_ARRAY} items at {where}")
        for index, item in enumerate(value):
            _check(item, f"{where}[{index}]")
