"""Every error edgeseg raises on purpose, each with the exit code the command line ends with.

    EdgesegError            1   a bug of ours, if raised bare
    ├── UsageError          2   the call itself is wrong
    ├── InputError          3   what was given is rejected
    │   ├── DataError           a data set, a frame or a mask
    │   └── ModelError          a run, a graph or a bundle (hashes included)
    ├── SourceError         4   a camera or stream cannot be reached
    ├── OutputError         5   the disk, a folder, a second writer
    ├── BackendError        6   a runtime or driver is missing or failed
    └── GateError           7   parity, accuracy or golden frames said no

The message is one sentence: what, where, and what to do next.
"""

from __future__ import annotations


class EdgesegError(Exception):
    """Base of all of them; ``exit_code`` is what the command line ends with."""

    exit_code = 1


class UsageError(EdgesegError):
    """The call itself is wrong: an option's value, or two that exclude each other."""

    exit_code = 2


class InputError(EdgesegError):
    """Something that was given is rejected: a frame, a file, a model."""

    exit_code = 3


class DataError(InputError):
    """A data set, a frame or a mask is not what it should be."""


class ModelError(InputError):
    """A run, graph or bundle is rejected, changed bytes included."""


class SourceError(EdgesegError):
    """A camera or stream cannot be opened or was lost for good."""

    exit_code = 4


class OutputError(EdgesegError):
    """An output cannot be written: disk full, no permission, a second writer."""

    exit_code = 5


class BackendError(EdgesegError):
    """A runtime or driver is missing, refused the engine, or failed."""

    exit_code = 6


class GateError(EdgesegError):
    """A gate said no: parity, accuracy or golden frames."""

    exit_code = 7
