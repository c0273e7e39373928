"""What TensorRT says when it refuses a graph → one sentence with the node and what helps."""

from __future__ import annotations

from typing import Any

from edgeseg.backends.tensorrt_library import Library, Log
from edgeseg.errors import BackendError

# Part of the library's message → what to do about it.
HINTS = (
    ("Plugin not found", "TensorRT knows no such op: express it by others in the network, or run this graph elsewhere"),
    ("No importer", "TensorRT knows no such op: express it by others in the network, or run this graph elsewhere"),
    ("Non-zero zero point", "its int8 must be symmetric: emit form trt-typed, not cpu"),
    ("zero point", "its int8 must be symmetric: emit form trt-typed, not cpu"),
    ("UINT8", "uint8 may only be cast: Cast first, then Transpose or Gather"),
    ("kUINT8", "uint8 may only be cast: Cast first, then Transpose or Gather"),
    ("strongly typed", "types must match in a typed graph: a Cast is missing"),
    ("same type", "types must match in a typed graph: a Cast is missing"),
    ("opset", "export the float graph with another --opset"),
    ("protobuf", "the file is damaged: get the bundle again"),
)
_FALLBACK = "export with --verbose to see the library's own log"


def refused(parser: Any, library: Library, name: str, log: Log) -> BackendError:
    """The parser's first error, with how many more there are."""
    number = int(parser.num_errors)
    if not number:
        return BackendError(f"{library.title} cannot read {name}: {log.last()}; {hint(log.last())}")
    first = parser.get_error(0)
    text = one_line(first.desc())
    node, op = _ask(first, "node_name"), _ask(first, "node_operator")
    if not node and hasattr(first, "node"):
        node = f"number {first.node()}"
    where = f"node {node}" + (f" ({op})" if op else "")
    more = f" and {number - 1} more" if number > 1 else ""
    return BackendError(f"{library.title} refuses {name} at {where}: {text}{more}; {hint(text)}")


def not_built(library: Library, name: str, workspace_mib: int, log: Log) -> BackendError:
    """The builder gave no plan."""
    said = log.last()
    lower = said.lower()
    if "memory" in lower or "workspace" in lower or "could not find any implementation" in lower:
        return BackendError(
            f"{library.title} found no kernels for {name} within {workspace_mib} MiB of workspace ({said}); "
            "raise workspace_mib in the target profile, or free memory"
        )
    return BackendError(f"{library.title} did not build {name}: {said}; {hint(said)}")


def hint(text: str) -> str:
    """What helps against a message."""
    return next((what for part, what in HINTS if part.lower() in text.lower()), _FALLBACK)


def one_line(text: object) -> str:
    """A message of any length on one line, at most 300 characters."""
    return " ".join(str(text).split())[:300]


def _ask(error: Any, name: str) -> str:
    """8.6 has neither a node's name nor its operator."""
    return str(getattr(error, name)()) if hasattr(error, name) else ""
