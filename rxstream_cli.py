"""The command ``rxstream``, before anything of it is loaded: a signal ends it without a traceback.

It lies beside the package, whose own first line loads half of what the command needs.
"""

import os
import signal
from types import FrameType

__all__ = ["main", "release_signals"]


def main() -> None:
    """Load the command line and run it; a signal meanwhile ends the program at once.

    Nothing is open yet that must be closed. A KeyboardInterrupt would come in whatever module is
    just being loaded, and some take it for a failure of their own. Signals that are ignored, as in
    a program in the background, stay so.
    """
    for number in _numbers():
        if signal.getsignal(number) is not signal.SIG_IGN:
            signal.signal(number, _end)
    from rxstream.cli.app import main as run

    run()


def release_signals() -> None:
    """Give signals back as Python has them, where `main` has taken them."""
    for number in _numbers():
        if signal.getsignal(number) is _end:
            interrupt = number == signal.SIGINT
            signal.signal(number, signal.default_int_handler if interrupt else signal.SIG_DFL)


def _numbers() -> list[int]:
    # SIGHUP is not on Windows
    names = ("SIGINT", "SIGTERM", "SIGHUP")
    return [number for name in names if (number := getattr(signal, name, None)) is not None]


def _end(number: int, _frame: FrameType | None) -> None:
    """End the program with the exit code that a shell shows of a signal."""
    os._exit(128 + number)
