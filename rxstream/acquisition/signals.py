"""`close_on_signals`: SIGTERM and SIGHUP end a program as Ctrl-C does, with its files complete."""

import _thread
import os
import signal
import sys
import threading
import time
from contextlib import suppress
from types import FrameType

from rxstream.acquisition.shutdown import TIMEOUT, close_all
from rxstream.errors import RxStreamError

__all__ = ["close_on_signals"]

# SIGHUP, of a terminal that was closed, is not on Windows.
_NAMES = ("SIGTERM", "SIGHUP")


def close_on_signals() -> None:
    """Let SIGTERM and SIGHUP close every device and end the program, with 128 + their number.

    As Python comes, these end a program at once, and its files in the middle. SIGINT, Ctrl-C,
    raises KeyboardInterrupt, which ends a program in order; after this call the two others raise
    SystemExit in the main thread. Devices are closed in a thread of their own meanwhile,
    for 5 s at most. A second signal ends the program at once.

    A signal that the program handles itself, or ignores, as under ``nohup``, is left as it is.

    Raises
    ------
    RxStreamError
        If it is not called in the main thread, the only one that may handle signals.

    Examples
    --------
    >>> import rxstream
    >>> rxstream.close_on_signals()
    """
    if threading.current_thread() is not threading.main_thread():
        msg = "close_on_signals must be called in the main thread: Python handles signals there"
        raise RxStreamError(msg)
    for name in _NAMES:
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, _end)


def _end(number: int, _frame: FrameType | None) -> None:
    """Handle a signal: in the main thread, which may be inside any lock; so take none."""
    signal.signal(number, signal.SIG_DFL)
    # Not `threading.Thread`: to start one takes a lock that the main thread may hold.
    if threading.main_thread().is_alive():
        with suppress(RuntimeError):  # the program is at its end already, and closes them there
            _thread.start_new_thread(close_all, ())
        raise SystemExit(128 + number)
    # The main program is over and waits for its other threads: there nobody takes an exception.
    with suppress(RuntimeError):
        _thread.start_new_thread(_close_and_die, (number,))
        time.sleep(2 * TIMEOUT)


def _close_and_die(number: int) -> None:
    close_all()
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):
            stream.flush()
    os.kill(os.getpid(), number)
