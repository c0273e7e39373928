"""Passwords out of every text that leaves the program."""

from __future__ import annotations

import re
from urllib.parse import unquote

from edgeseg.names import shown

HIDDEN = "***"
# scheme:user:secret@host, with or without slashes. A secret may hold an @, a slash or a quote that should have been
# escaped: the last @ before white space ends it.
_USER_INFO = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]*:)(/{0,2})\S*@")
# key=secret, after ? and & or in the middle of a path, as some recorders have it (/user=admin_password=secret.sdp). A
# value in quotes (GStreamer's) may hold a blank; any other quote is a part of the secret.
_KEYED = re.compile(
    r"(?i)\b([\w-]*(?:pass|pas|pwd|pw|secret|token|key|auth|user|usr|loginuse|streamid|signature)[\w-]*=)"
    r"""(?:"[^"]*"|'[^']*')?[^&;\s]*"""
)
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")
_known: set[str] = set()


def remember(url: str) -> None:
    """From now on what is secret in this address is hidden wherever it stands, whatever it is made of."""
    _known.update(one for one in secrets_of(url) if len(one) > 3)


def redact(text: str) -> str:
    """``rtsp://user:secret@camera/live`` → ``rtsp://***@camera/live``, in the middle of any sentence."""
    for secret in sorted(_known, key=len, reverse=True):
        if secret in text:
            text = text.replace(secret, HIDDEN)
    if "@" in text:
        text = _USER_INFO.sub(rf"\1\2{HIDDEN}@", text)
    return _KEYED.sub(rf"\1{HIDDEN}", text) if "=" in text else text


def secrets_of(url: str) -> list[str]:
    """User information of a URL, whole and in parts, as written and unescaped; longest first."""
    found: set[str] = set()
    scheme = _SCHEME.match(url)
    if scheme and "@" in url:
        info = url[scheme.end() :].lstrip("/").rpartition("@")[0]
        found |= {info, info.partition(":")[2] or info}
    for match in _KEYED.finditer(url):
        value = match[0][len(match[1]) :]
        found |= {value, value.strip("'\"")}  # a library says it without its quotes
    found |= {unquote(one) for one in found}
    return sorted((one for one in found if len(one) > 2), key=len, reverse=True)


def redact_of(text: str, url: str) -> str:
    """``text`` without what is secret in ``url``, however a library spelt it."""
    for secret in secrets_of(url):
        text = text.replace(secret, HIDDEN)
    return redact(text)


def names_of(streams: list[str]) -> list[str]:
    """What streams are called: SOURCE without secrets, numbered where that leaves several the same."""
    names = [shown(redact_of(stream, stream)) for stream in streams]
    return [
        name if names.count(name) == 1 else f"{name} ({names[: index + 1].count(name)})"
        for index, name in enumerate(names)
    ]
