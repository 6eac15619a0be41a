"""Close what is open when the program ends: side by side, and within a bound."""

import atexit
import os
import threading
import time
import weakref
from contextlib import suppress
from typing import Protocol

from rxstream.acquisition.failures import note_failure
from rxstream.printable import error_text, get_logger

__all__ = ["TIMEOUT", "close_all", "close_at_exit", "forget_at_exit"]

_logger = get_logger(__name__)

# Longest wait at the end of a program [s], for all devices together.
TIMEOUT = 5.0


class _Closable(Protocol):
    name: str

    def close(self, drain: float = ...) -> None: ...


# Held weakly: a device that nobody has any more is not to be kept until the program ends.
_open: "weakref.WeakSet[_Closable]" = weakref.WeakSet()


def close_at_exit(device: _Closable) -> None:
    """Have a device closed at the end of the program, unless it is closed before."""
    _open.add(device)


def forget_at_exit(device: _Closable) -> None:
    """Take back `close_at_exit`: it is closed, and its subscribers have had everything."""
    _open.discard(device)


class _Closer:
    """Closes one device in a thread that may be made before the end, when none may be any more."""

    def __init__(self, device: _Closable) -> None:
        self.name = device.name
        self.device = device
        self._go, self.done = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = threading.Thread(
            target=self._run, name=f"rxstream-{device.name}-closer", daemon=True
        )
        try:
            self._thread.start()
        except RuntimeError:  # Python 3.12 and later start none at the end; or no more are left
            self._thread = None

    def go(self, timeout: float) -> None:
        # a device names late subscribers itself
        self._drain = 0.9 * timeout
        self._go.set()
        if self._thread is None:
            self._run()

    def _run(self) -> None:
        self._go.wait()
        try:
            self.device.close(drain=self._drain)
        except BaseException as error:  # noqa: BLE001 - one must not keep others from being closed
            text = error_text(error)
            _logger.error("%s: closing it at the end of the program failed: %s", self.name, text)
            note_failure(self.name, error)
        finally:
            self.done.set()


def close_all(timeout: float = TIMEOUT) -> None:
    """Close every open device, side by side; those that take longer are named and left.

    Parameters
    ----------
    timeout
        Longest wait for all of them together [s].
    """
    ready, _ready[:] = list(_ready), []
    known = {id(closer.device) for closer in ready}
    closers = ready + [_Closer(device) for device in list(_open) if id(device) not in known]
    deadline = time.monotonic() + timeout
    for closer in closers:
        closer.go(timeout)
    late = [c.name for c in closers if not c.done.wait(max(0.0, deadline - time.monotonic()))]
    if late:
        _logger.error("not closed within %g s: %s", timeout, ", ".join(late))


_ready: list[_Closer] = []


def _make_ready() -> None:
    """Start the threads that close, as long as threads can be started."""
    _ready[:] = [_Closer(device) for device in list(_open)]


# When the main thread has ended, before those that are no daemons have: atexit comes after them.
with suppress(AttributeError, RuntimeError):
    threading._register_atexit(_make_ready)  # type: ignore[attr-defined]  # noqa: SLF001

atexit.register(close_all)

if hasattr(os, "register_at_fork"):  # a child has neither our threads nor our hardware
    os.register_at_fork(after_in_child=_open.clear)
