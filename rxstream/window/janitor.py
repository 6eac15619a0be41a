"""One shared thread that calls functions at intervals, as long as there are any."""

import os
import threading
import time
import weakref
from collections.abc import Callable
from typing import Any

from rxstream.printable import get_logger

__all__ = ["Janitor", "janitor"]

_logger = get_logger(__name__)


class Janitor:
    """Calls methods at intervals; its thread lives only while somebody needs it.

    Methods are held weakly: calls to an object end when it is dropped.
    """

    def __init__(self) -> None:
        self.forget_all()

    def forget_all(self) -> None:
        """Start over without calls or a thread: a forked child has not got its parent's threads."""
        self._change = threading.Condition()
        # method, interval [s], when it is due [s]; one entry, so that Ctrl-C leaves no half of it
        self._calls: dict[int, tuple[weakref.WeakMethod[Any], float, float]] = {}
        self._thread: threading.Thread | None = None
        self._next_key = 0

    def watch(self, method: Callable[[], bool], every: float) -> Callable[[], None]:
        """Call a bound ``method`` each ``every`` [s] until it returns False, or is cancelled.

        Returns
        -------
        cancel
            Cancels the calls, and waits for the end of the thread if nobody else needs it.
        """
        with self._change:
            key = self._next_key = self._next_key + 1
            self._calls[key] = weakref.WeakMethod(method), every, time.monotonic() + every
            lacks_thread = self._thread is None
            self._change.notify()
        # Without the lock: a finalizer that wants it may run inside the start of the thread.
        if lacks_thread:
            self._start()

        def cancel() -> None:
            with self._change:
                self._calls.pop(key, None)
                thread = self._thread
                self._change.notify_all()
                # called from inside the method, it cannot wait for its own thread
                if thread is None or thread is threading.current_thread():
                    return
                self._change.wait_for(lambda: self._calls or self._thread is not thread, 1.0)
                if self._thread is thread:
                    return
            thread.join(1.0)

        return cancel

    def _start(self) -> None:
        thread = threading.Thread(target=self._run, name="rxstream-janitor", daemon=True)
        try:
            thread.start()
        except RuntimeError as error:
            # The system has no more threads, or the program ends: the next call tries again.
            _logger.warning("rxstream: idle windows are not trimmed: %s", error)

    def _run(self) -> None:
        with self._change:
            if self._thread is not None:  # another has been started at the same time
                return
            self._thread = threading.current_thread()
        while True:
            with self._change:
                # a copy: a finalizer in this thread may cancel any of them at any time
                calls = list(self._calls.items())
                if not calls:
                    self._thread = None
                    self._change.notify_all()
                    return
                key, (ref, every, due) = min(calls, key=lambda item: item[1][2])
                wait = due - time.monotonic()
                if wait > 0:
                    self._change.wait(wait)
                    continue
                self._calls[key] = ref, every, time.monotonic() + every
            if not _call(ref()):
                with self._change:
                    self._calls.pop(key, None)


def _call(method: Callable[[], bool] | None) -> bool:
    try:
        return method is not None and method()
    except BaseException:
        # other calls still need the thread
        _logger.exception("rxstream: %r raised and is not called again", method)
        return False


janitor = Janitor()
"""The janitor of this process."""

if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=janitor.forget_all)
