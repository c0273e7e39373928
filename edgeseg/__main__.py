"""The command ``edgeseg``, and ``python -m edgeseg``: Ctrl-C while it is still loading ends it without a traceback."""

from __future__ import annotations

import signal
from typing import NoReturn


def main() -> NoReturn:
    """Loads the command line and runs it."""
    usual = signal.getsignal(signal.SIGINT)
    if usual is signal.default_int_handler:  # not where a shell had it ignored, as for jobs in the background
        signal.signal(signal.SIGINT, signal.SIG_DFL)
    from edgeseg import cli

    signal.signal(signal.SIGINT, usual)
    cli.main()


if __name__ == "__main__":
    main()
