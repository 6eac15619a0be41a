"""One opening of a source: what it emits passes until it is cut, and nothing afterwards."""

import threading
from collections.abc import Callable
from threading import get_ident
from typing import Any

from numpy.typing import NDArray

from rxstream.acquisition.driver import DriverCall
from rxstream.acquisition.early import Early, Failure, Item
from rxstream.acquisition.source import Close, Source
from rxstream.data.clock import HostClock
from rxstream.data.stream_info import Reading, StreamInfo
from rxstream.errors import DeviceError, ParameterError
from rxstream.flag import Flag
from rxstream.printable import shown

__all__ = ["Opening"]

# How often a thread that waits for its turn looks whether it was cut meanwhile [s].
_LOOK = 0.1

# What `Source.open` may give back: how to close, and a description.
_PARTS = 2

# Readings that come before `open` has returned may take this much in any case [bytes]: it is soon
# over, and what is lost at the beginning of a stream is no gap in it.
_EARLY_BYTES = 16_000_000


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

    ``_guard`` protects ``_early`` and the flags; nothing foreign is called while it
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
        Takes what the source has called its ``fail`` with, or an error of ``take``.
    name
        Name of the stream.
    live
        Whether the source waits for nobody: a file waits where what it emits becomes too much.
    max_bytes
        Bytes kept of what is emitted before `open` has returned: as many as the window holds. Of a
        live source the oldest readings are dropped then, which is an `OverrunError`.
    """

    def __init__(
        self,
        source: Source,
        clock: HostClock,
        turn: threading.RLock,
        take: Callable[[Reading, int], None],
        fail: "Callable[[Opening, object], None]",
        *,
        name: str,
        live: bool,
        max_bytes: int,
    ) -> None:
        self._source, self._clock, self._turn = source, clock, turn
        self._name, self._live = name, live
        self._opener = 0  # thread that opens it
        self._begun = Flag()
        self._take, self._fail = take, fail
        # re-entrant: a signal handler may close the device in the midst of anything
        self._guard = threading.RLock()
        self._accepts = True
        self._opened = self._given_up = False
        self._results: list[object] = []  # what the source's `open` has returned
        self._to_close = [True]  # taken out by who closes it: once
        self._call: DriverCall | None = None  # that closes it
        self._reported = False  # how that ended
        self._closed = Flag()
        self._early: Early | None = Early(max(max_bytes, _EARLY_BYTES))
        self._inside = 0  # thread of the source, while it is in here

    # -- the device's side --------------------------------------------------------------------

    def open(self) -> StreamInfo | None:
        """Open the hardware, and raise what it raises; return its description if it gives one.

        One that is given up meanwhile is closed at once.
        """
        self._opener = get_ident()
        try:
            # One call, in C: where Ctrl-C comes as the source returns, the hardware is known, and
            # can be closed.
            self._results.extend(map(self._source.open, (self._emit,), (self.fail,)))
        except BaseException:
            self.cut()
            raise
        if not self._results:  # as `map` takes it
            self.cut()
            msg = f"open of {type(self._source).__name__} raised StopIteration"
            raise DeviceError(msg)
        _close, info = self._parts(self._results[0])
        with self._guard:
            given_up = self._given_up
            if not given_up:
                self._opened = True
        if given_up:
            self._close_once()
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
                early, self._early = self._early, None
                items = [] if early is None else early.take(self._name)
            self._begun.set()
            if begin is not None:
                begin()
            for item, arrival in items:
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
            if self._reported or self._closer() is None:
                return None
            call, begun = self._call, not self._to_close
        # A driver's close waits for its own thread; that one must not wait for another to close.
        if begun and self.is_inside():
            return None
        if call is None:
            # where Ctrl-C comes before the next line, `close` can be called again
            call = DriverCall(name, "close", self._close_once, here=self.is_inside())
            self._call = call
        call.wait(timeout)
        with self._guard:
            reported, self._reported = self._reported, True
        return None if reported else call

    def _closer(self) -> Close | None:
        """Return how to close it, if it was opened."""
        result = self._results[0] if self._results else None
        close: Any = result[0] if isinstance(result, tuple) and result else result
        return close if callable(close) else None

    def _close_once(self) -> None:
        """Stop the hardware; who comes second waits for the first."""
        close = self._closer()
        if close is None:
            return
        try:
            self._to_close.pop()
        except IndexError:
            self._closed.wait()
            return
        try:
            close()
        finally:
            self._closed.set()

    def is_inside(self) -> bool:
        """Whether the calling thread is that of the source."""
        return self._inside == get_ident()

    # -- the source's side --------------------------------------------------------------------

    def _emit(self, reading: Reading | NDArray[Any]) -> bool:
        """Take a reading; return False if it is dropped."""
        arrival = self._clock.now()
        if not self._accepts:
            return False
        if not isinstance(reading, Reading):
            reading = Reading(reading)
        if self._early is not None and self._put_early(reading, arrival):
            return True
        return self._pass(reading, arrival)

    def fail(self, given: object) -> None:
        """Take what the source reports, and what is found out about it elsewhere."""
        if self._early is not None and self._put_early(Failure(given), 0):
            return
        self._pass(Failure(given), 0)

    def _put_early(self, item: Item, arrival: int) -> bool:
        """Keep what comes before `open` is back; False if that has just been processed."""
        waits = not self._live and get_ident() != self._opener
        while self._accepts:
            with self._guard:
                if self._early is None:
                    return False
                if not waits or not self._early.full:
                    self._early.put(item, arrival, drop=not waits)
                    return True
            self._begun.wait(_LOOK)
        return True

    def _pass(self, item: Item, arrival: int) -> bool:
        """Process an item when others have been; return False if it is dropped."""
        # it rarely waits for others
        turn = self._turn
        if not turn.acquire(False) and not self._take_turn():
            return False
        before, self._inside = self._inside, get_ident()
        try:
            return self._process(item, arrival)
        finally:
            self._inside = before
            turn.release()

    def _take_turn(self) -> bool:
        """Wait until others are processed; False if it was cut meanwhile."""
        while not self._turn.acquire(timeout=_LOOK):
            if not self._accepts:
                return False
        return True

    def _process(self, item: Item, arrival: int) -> bool:
        if not self._accepts:
            return False
        if isinstance(item, Failure):
            self._fail(self, item.given)
            return True
        try:
            self._take(item, arrival)
        except Exception as error:  # noqa: BLE001 - in a driver's callback nobody could catch it
            self._fail(self, error)
            return False
        return True
