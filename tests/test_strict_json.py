"""What a manifest's JSON may not be, before anything is built from it."""

from __future__ import annotations

import json

import pytest

from edgeseg import strict_json


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"", "is not JSON"),
        (b"{", "is not JSON"),
        (b"[1]", "is not a JSON object"),
        (b'"edgeseg"', "is not a JSON object"),
        (b'{"a": 1} {"b": 2}', "is not JSON"),
        (b"\xef\xbb\xbf{}", "byte order mark"),
        (b"\xff\xfe{\x00}\x00", "not UTF-8"),
        (b'{"a": "\xc3("}', "not UTF-8 at byte 7"),
        (b'{"a": 1, "b": 2, "a": 3}', "key 'a' twice"),
        (b'{"a": {"x": 1, "x": 1}}', "key 'x' twice"),
        (b'{"a": null}', "null at a"),
        (b'{"a": [1, {"b": null}]}', r"null at a\[1\].b"),
        (b'{"a": NaN}', "NaN"),
        (b'{"a": -Infinity}', "-Infinity"),
        (b'{"a": 1e999}', "beyond double"),
        (b'{"a": [-1e999]}', r"beyond double at a\[0\]"),
        (b'{"a": 9007199254740992}', "beyond 2"),
        (b'{"a": -9007199254740992}', "beyond 2"),
        (b'{"a": ' + b"9" * 5000 + b"}", "beyond 2"),
        (b'{"a": "tab\there"}', "is not JSON"),
        (b'{"a": ["\\ud800"]}', r"half of a surrogate pair at a\[0\]"),
        (b'{"a": {"\\udc00": 1}}', "half of a surrogate pair at a"),
    ],
)
def test_refused(data: bytes, said: str) -> None:
    with pytest.raises(ValueError, match=said) as caught:
        strict_json.loads(data)
    assert "\n" not in str(caught.value)
    assert len(str(caught.value)) < 200


def test_limits_hold_and_the_limit_itself_passes() -> None:
    at_limit = {"text": "x" * 1024, "list": [0] * 1024, "int": 2**53 - 1, "deep": [[[[[1]]]]]}
    assert strict_json.loads(json.dumps(at_limit).encode()) == at_limit
    for key, value in (("text", "x" * 1025), ("text", "é" * 513), ("list", [0] * 1025), ("deep", [[[[[[1]]]]]])):
        with pytest.raises(ValueError, match=r"over 1024|deeper than 6"):
            strict_json.loads(json.dumps({key: value}).encode())
    with pytest.raises(ValueError, match="over 1024 bytes"):
        strict_json.loads(json.dumps({"k" * 1025: 1}).encode())


def test_size_limit() -> None:
    def padded(size: int) -> bytes:
        return b"{}" + b" " * (size - 2)

    assert strict_json.loads(padded(1 << 20)) == {}
    with pytest.raises(ValueError, match="1048577 bytes"):
        strict_json.loads(padded((1 << 20) + 1))


def test_depth_is_refused_before_the_parser_recurses() -> None:
    """A million brackets would end a recursive parser; brackets inside strings count for nothing."""
    with pytest.raises(ValueError, match="deeper"):
        strict_json.loads(b'{"a": ' + b"[" * 500_000 + b"]" * 500_000 + b"}")
    tricky = {"a": "[[[[[[[[[", "b": '\\"[[[[[[[[', "c": "]]]]]]"}
    assert strict_json.loads(json.dumps(tricky).encode()) == tricky


def test_escapes_and_pairs_of_surrogates_are_read() -> None:
    assert strict_json.loads(b'{"a": "\\u00e9\\ud83d\\ude00"}') == {"a": "é😀"}
