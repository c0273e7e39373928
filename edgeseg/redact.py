"""Passwords out of every text that leaves the program."""

from __future__ import annotations

import re
from urllib.parse import unquote

HIDDEN = "***"
# scheme:user:secret@host, with or without slashes. A secret may hold an @ or a slash that should have been
# escaped: the last @ before white space, a quote or a bracket ends it.
_USER_INFO = re.compile(r"\b([A-Za-z][A-Za-z0-9+.-]*:)(/{0,2})[^\s'\"<>]*@")
_QUERY = re.compile(r"(?i)([?&;](?:pass\w*|pwd|secret|token|key|auth\w*|user\w*|streamid)=)[^&;\s'\"]*")
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")


def redact(text: str) -> str:
    """``rtsp://user:secret@camera/live`` → ``rtsp://***@camera/live``, in the middle of any sentence."""
    if "@" in text:
        text = _USER_INFO.sub(rf"\1\2{HIDDEN}@", text)
    return _QUERY.sub(rf"\1{HIDDEN}", text) if "=" in text else text


def secrets_of(url: str) -> list[str]:
    """User information of a URL, whole and in parts, as written and unescaped; longest first."""
    found: set[str] = set()
    scheme = _SCHEME.match(url)
    if scheme and "@" in url:
        info = url[scheme.end() :].lstrip("/").rpartition("@")[0]
        found |= {info, info.partition(":")[2] or info}
    for part in re.findall(_QUERY.pattern + "", url):
        value = url.partition(part)[2]
        found.add(re.split(r"[&;\s]", value)[0])
    found |= {unquote(one) for one in found}
    return sorted((one for one in found if len(one) > 2), key=len, reverse=True)


def redact_of(text: str, url: str) -> str:
    """``text`` without what is secret in ``url``, however a library spelt it."""
    for secret in secrets_of(url):
        text = text.replace(secret, HIDDEN)
    return redact(text)
