"""One opening of a source: what it emits passes until it is cut, and nothing afterwards."""

import threading
from collections.abc import Callable
from dataclasses import replace
from threading import get_ident
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.acquisition.driver import DriverCall
from rxstream.acquisition.source import Close, Source
from rxstream.data.clock import HostClock
from rxstream.data.stream_info import Reading, StreamInfo
from rxstream.errors import ParameterError
from rxstream.printable import shown

__all__ = ["Opening"]

# How often a thread that waits for its turn looks whether it was cut meanwhile [s].
_LOOK = 0.1

# What `Source.open` may give back: how to close, and a description.
_PARTS = 2

_Item: TypeAlias = Reading | Exception


class Opening:
    """Runs a source from its `open` to its `close`, once.

    The thread of a source may emit before its `open` has returned. Such readings are copied and
    kept with their arrival until the device counts as open, for the subscribers that get them may
    use the device. Meanwhile the source goes on. While the kept ones are processed it waits, so
    that no reading overtakes another and a file is held by its slowest reader::

        thread of Device.open  | open() ---------> returns | start(): a, b     |
        thread of the source   |      emit a  emit b       | emit c (waits)  c | emit d
        _early                 | []   [a]     [a, b]       | None              | None
        turn                   |                           | held              |

    ``_guard`` protects ``_early``, ``_accepts`` and ``_close``; nothing foreign is called while it
    is held. ``turn`` is held while a reading is processed; the openings of a device share it, so
    that one which is given up does not write beside the next. It is an RLock, since a subscriber
    that gets a reading may make the source emit in the same thread.

    Parameters
    ----------
    source
        The source to open.
    clock
        Clock that gives the time of arrival.
    turn
        The lock to hold while an item is processed.
    take
        Processes a reading with its arrival [ns].
    fail
        Takes an error of the source, or of ``take``.
    """

    def __init__(
        self,
        source: Source,
        clock: HostClock,
        turn: threading.RLock,
        take: Callable[[Reading, int], None],
        fail: "Callable[[Opening, Exception], None]",
    ) -> None:
        self._source, self._clock, self._turn = source, clock, turn
        self._take, self._fail = take, fail
        self._guard = threading.Lock()
        self._accepts = True
        self._opened = self._given_up = False
        self._close: Close | None = None
        self._early: list[tuple[_Item, int]] | None = []
        self._inside = 0  # thread of the source, while it is in here

    # -- the device's side --------------------------------------------------------------------

    def open(self) -> StreamInfo | None:
        """Open the hardware, and raise what it raises; return its description if it gives one.

        One that is given up meanwhile is closed at once.
        """
        try:
            result = self._source.open(self._emit, self._emit_error)
        except BaseException:
            self.cut()
            raise
        close, info = self._parts(result)
        with self._guard:
            given_up = self._given_up
            if not given_up:
                self._close, self._opened = close, True
        if given_up:
            close()
        return info

    def _parts(self, result: object) -> tuple[Close, StreamInfo | None]:
        """Return what a source gives back; let nothing pass of one that cannot be closed."""
        parts = result if isinstance(result, tuple) else (result, None)
        if len(parts) == _PARTS and callable(parts[0]):
            close, info = parts
            if info is None or isinstance(info, StreamInfo):
                return close, info
        self.cut()
        msg = (
            f"open of {type(self._source).__name__} must return a function that closes it, or "
            f"(function, StreamInfo), not {shown(result)}"
        )
        raise ParameterError(msg)

    def start(self, begin: Callable[[], None] | None = None) -> None:
        """Process what came before `open` has returned.

        Parameters
        ----------
        begin
            Called first: what is emitted from then on is processed before the emitter goes on.
        """
        if not self._take_turn():
            return
        try:
            with self._guard:
                early, self._early = self._early or [], None
            if begin is not None:
                begin()
            for item, arrival in early:
                self._process(item, arrival)
        finally:
            self._turn.release()

    def cut(self) -> bool:
        """Let nothing pass from now on; return False if that was so already."""
        with self._guard:
            accepted, self._accepts = self._accepts, False
            return accepted

    def give_up(self) -> bool:
        """Have it closed by the thread that opens it, as soon as the driver lets that go on.

        Returns
        -------
        given_up
            False if it is open already.
        """
        with self._guard:
            if self._opened:
                return False
            self._accepts, self._given_up = False, True
            return True

    def close(self, name: str, timeout: float) -> DriverCall | None:
        """Stop the hardware; wait for that up to ``timeout`` [s].

        Returns
        -------
        call
            The driver's close, which may still go on, and has raised what it raised. None if
            there was nothing to close.
        """
        self.cut()
        with self._guard:
            close, self._close = self._close, None
        if close is None:
            return None
        # A driver's close waits for its own thread; that one must not wait for another to close.
        call = DriverCall(name, "close", close, here=self.is_inside())
        call.wait(timeout)
        return call

    def is_inside(self) -> bool:
        """Whether the calling thread is that of the source."""
        return self._inside == get_ident()

    # -- the source's side --------------------------------------------------------------------

    def _emit(self, reading: Reading | NDArray[Any]) -> None:
        arrival = self._clock.now()
        if not self._accepts:
            return
        if not isinstance(reading, Reading):
            reading = Reading(reading)
        if self._early is not None and self._put_early(_copied(reading), arrival):
            return
        self._pass(reading, arrival)

    def _emit_error(self, error: Exception) -> None:
        if self._early is not None and self._put_early(error, 0):
            return
        self._pass(error, 0)

    def _put_early(self, item: _Item, arrival: int) -> bool:
        """Keep what comes before `open` is back; False if that has just been processed."""
        with self._guard:
            if self._early is None:
                return False
            self._early.append((item, arrival))
            return True

    def _pass(self, item: _Item, arrival: int) -> None:
        """Process an item when others have been."""
        if not self._take_turn():
            return
        before, self._inside = self._inside, get_ident()
        try:
            self._process(item, arrival)
        finally:
            self._inside = before
            self._turn.release()

    def _take_turn(self) -> bool:
        """Wait until others are processed; False if it was cut meanwhile."""
        while not self._turn.acquire(timeout=_LOOK):
            if not self._accepts:
                return False
        return True

    def _process(self, item: _Item, arrival: int) -> None:
        if not self._accepts:
            return
        if isinstance(item, Exception):
            self._fail(self, item)
            return
        try:
            self._take(item, arrival)
        except Exception as error:  # noqa: BLE001 - in a driver's callback nobody could catch it
            self._fail(self, error)


def _copied(reading: Reading) -> Reading:
    """Return a reading that keeps nothing of the driver's own."""
    stamps = reading.device_time
    return replace(
        reading,
        data=np.array(reading.data),
        device_time=stamps.copy() if isinstance(stamps, np.ndarray) else stamps,
    )
