"""Say once that something waits for a device that nobody opens."""

import threading
import weakref
from collections.abc import Callable

from rxstream.printable import get_logger
from rxstream.window.janitor import janitor

__all__ = ["WaitingNotice"]

_logger = get_logger(__name__)

# How long a program may take from subscribing to `open` without a warning [s].
_PATIENCE = 3.0


class WaitingNotice:
    """Warns when a device has not been opened some seconds after something began to wait for it.

    Parameters
    ----------
    name
        Name of the device.
    describe
        Returns what waits; empty: nothing any more.
    """

    def __init__(self, name: str, describe: Callable[[], str]) -> None:
        # weakly: the device has this notice
        self._name, self._describe = name, weakref.WeakMethod(describe)
        self._cancel: Callable[[], None] | None = None
        self._said = False
        # re-entrant: a signal handler may open or close the device
        self._guard = threading.RLock()

    def begin(self) -> None:
        """Note that something waits."""
        with self._guard:  # of two at once one would not be cancelled
            if self._cancel is None and not self._said:
                self._cancel = janitor.watch(self._warn, _PATIENCE)

    def end(self) -> None:
        """Note that the device is opened; a later session is reported anew."""
        with self._guard:
            cancel, self._cancel, self._said = self._cancel, None, False
        if cancel is not None:
            cancel()

    def _warn(self) -> bool:
        self._cancel = None
        describe = self._describe()
        waiting = "" if describe is None else describe()
        if waiting:
            self._said = True
            _logger.warning("%s: %s waits for open(); use `with`, or call it", self._name, waiting)
        return False
