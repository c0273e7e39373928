"""The command line: registers the commands, turns errors into one sentence and an exit code."""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import signal
import sys
import threading
import traceback
from types import FrameType
from typing import Annotated, NoReturn

import typer

import edgeseg
from edgeseg.commands import (
    bench,
    calibrate,
    compare,
    demo,
    doctor,
    export,
    infer,
    nets,
    phantom,
    sensitivity,
    sources,
    train,
    val,
    verify,
    zoo,
)  # fmt: skip
from edgeseg.errors import EdgesegError
from edgeseg.redact import redact
from edgeseg.stream import journal, signals

app = typer.Typer(
    name="edgeseg",
    help="Medical segmentation networks, from labelled frames to a verified real-time engine.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _say_version(asked: bool) -> None:  # noqa: FBT001 - typer's call
    if asked:
        typer.echo(f"edgeseg {edgeseg.__version__}")
        raise typer.Exit


@app.callback()
def top(
    verbose: Annotated[bool, typer.Option("--verbose", help="With any command: say more, with tracebacks.")] = False,
    _version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_say_version, is_eager=True)
    ] = False,
) -> None:
    """Options of the program itself."""
    if verbose:
        handler = logging.StreamHandler()
        handler.setFormatter(journal.Formatter("%(name)s: %(message)s"))
        logging.basicConfig(level=logging.INFO, handlers=[handler])


for name, command in (
    ("train", train.command),
    ("val", val.command),
    ("calibrate", calibrate.command),
    ("export", export.command),
    ("sensitivity", sensitivity.command),
    ("verify", verify.command),
    ("infer", infer.command),
    ("compare", compare.command),
    ("sources", sources.command),
    ("bench", bench.command),
    ("phantom", phantom.phantom),
    ("nets", nets.command),
    ("zoo", zoo.command),
    ("doctor", doctor.command),
    ("demo", demo.command),
):
    app.command(name)(command)


# What a path that a user gave may be wrong by, wherever it is first looked at.
_PATHS = (errno.ENAMETOOLONG, errno.ELOOP, errno.ENOTDIR, errno.EACCES)
_INTERRUPTED = 128 + signal.SIGINT


class Terminated(KeyboardInterrupt):
    """One of :data:`_ENDS`, treated as Ctrl-C is (outputs are finalised), with an exit code of its own."""


# Asked to end, and the terminal closed.
_ENDS = (signal.SIGTERM, signal.SIGHUP)
# Typer and Lightning each turn a KeyboardInterrupt into something of their own; this remembers which signal it was.
_received: list[int] = []


def _terminate(number: int, _frame: FrameType | None) -> NoReturn:
    _received.append(number)
    for one in _ENDS:  # systemd may follow SIGTERM with SIGHUP, and a shell's may come after the terminal's own
        signal.signal(one, signals.ignore)
    # A signal to the whole group (systemd's way, pkill) ends helper processes too, which torch would make an error of.
    signal.signal(signal.SIGCHLD, lambda *_: None)
    raise Terminated


def main() -> NoReturn:
    """Entry point of ``edgeseg``."""
    for number in _ENDS:
        if number == signal.SIGTERM or signal.getsignal(number) == signal.SIG_DFL:  # nohup has it ignored
            signal.signal(number, _terminate)
    code = run()
    if any(thread.name == "edgeseg infer" for thread in threading.enumerate()):
        # It hangs in a runtime, whose own clean-up would wait for it for ever; every output is finished already.
        for stream in (sys.stdout, sys.stderr):
            with contextlib.suppress(OSError, ValueError):  # a closed terminal
                stream.flush()
        os._exit(code)
    sys.exit(code)


def run(args: list[str] | None = None) -> int:
    """Runs a command line; the exit code."""
    words = sys.argv[1:] if args is None else list(args)
    verbose = "--verbose" in words or bool(os.environ.get("EDGESEG_DEBUG"))
    if "--verbose" in words:  # may stand anywhere, but belongs to the program
        words = ["--verbose", *(word for word in words if word != "--verbose")]
    try:
        code = app(args=words, standalone_mode=False) or 0
    except (KeyboardInterrupt, typer.Abort):
        code = _INTERRUPTED
    except typer.Exit as stop:
        code = stop.exit_code
    except EdgesegError as error:
        if verbose:
            _trace(error)
        return _stopped(str(error), error.exit_code)
    except SystemExit as stop:
        # Typer's own end, of shell completion too; by way of a broken pipe where whoever reads its output has gone.
        if not isinstance(stop.__context__, BrokenPipeError):
            # As Python has it: a text is said and means failure.
            return _stopped(stop.code, 1) if isinstance(stop.code, str) else stop.code or 0
        return _stopped("standard output was closed before the command was done", 5)
    except OSError as error:
        if error.errno in _PATHS and error.filename is not None:
            return _stopped(f"{error.filename}: {error.strerror}; give another path", 3)
        if error.filename is not None or error.errno not in (errno.ENOSPC, errno.EPIPE, errno.EBADF, errno.EIO):
            return _bug(error, verbose=verbose)
        if signal.SIGHUP not in _received:  # then it is the closed terminal, not another fault
            return _stopped(f"standard output cannot be written ({error.strerror})", 5)
        code = 128 + signal.SIGHUP
    except RuntimeError as error:
        if not str(error).startswith("Symlink loop"):  # Python 3.11's Path.resolve
            return _bug(error, verbose=verbose)
        return _stopped(f"{error}; give another path", 3)
    except Exception as error:  # noqa: BLE001 - the border: whatever is left becomes one sentence
        usage = _usage_error(error)
        if usage is not None:
            return usage
        return _bug(error, verbose=verbose)
    ended = _ended()
    if ended is not None:
        return ended
    return _stopped("interrupted", code) if code == _INTERRUPTED else code


def _ended() -> int | None:
    """What a signal of :data:`_ENDS` ends with, where one came."""
    for number in _ENDS:
        if number in _received:
            return _stopped(f"stopped by {number.name}", 128 + number)
    return None


def _bug(error: Exception, *, verbose: bool) -> int:
    if verbose:
        _trace(error)
    ended = _ended()  # whatever a library makes of being stopped in its middle, it is no bug
    if ended is not None:
        return ended
    return _stopped(f"internal error: {type(error).__name__}: {error}; run again with --verbose and report it", 1)


def _trace(error: Exception) -> None:
    sys.stderr.write(redact("".join(traceback.format_exception(error))))


def _usage_error(error: Exception) -> int | None:
    """Typer's own complaints about options print themselves, with exit code 2."""
    show = getattr(error, "show", None)
    if show is None or not hasattr(error, "exit_code"):
        return None
    show()
    return 2


def _stopped(message: str, code: int) -> int:
    journal.say(f"edgeseg: {redact(message)}", journal.ERROR)
    return code


if __name__ == "__main__":
    main()
