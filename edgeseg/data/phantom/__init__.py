"""Synthetic clips with exact truth, for tests, demos and devices without patient data."""

from __future__ import annotations

from collections.abc import Callable

from edgeseg.data.phantom.clip import PhantomClip, PhantomFrame
from edgeseg.data.phantom.colonoscopy import colonoscopy
from edgeseg.data.phantom.fundus import fundus

PHANTOMS: dict[str, Callable[[int, int, int, int], PhantomClip]] = {
    "colonoscopy": colonoscopy,
    "fundus": fundus,
}

__all__ = ["PHANTOMS", "PhantomClip", "PhantomFrame", "colonoscopy", "fundus"]
