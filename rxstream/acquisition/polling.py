"""`poll`: a source's ``open`` made of a driver's ``read``; one thread, no drift."""

import threading
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from numpy.typing import NDArray

from rxstream.acquisition.driver import wrap_error
from rxstream.acquisition.failures import note_failure
from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.acquisition.turns import Turns
from rxstream.data.clock import Duration, now_ns, to_span
from rxstream.data.stream_info import Reading
from rxstream.errors import DeviceError, ParameterError
from rxstream.printable import error_line, get_logger

__all__ = ["poll"]

_logger = get_logger(__name__)

# Longest wait of `close` for a `read`, and then for `release` [s]. Both together are less than
# `Device.close` waits for a driver.
_TIMEOUT = 2.0


def poll(
    read: Callable[[], "Reading | NDArray[Any] | None"],
    emit: Emit,
    fail: Fail,
    *,
    name: str,
    every: Duration | None = None,
    release: Callable[[], object] | None = None,
) -> Close:
    """Call ``read`` in a thread of its own until it raises or the source is closed.

    There are two kinds of devices. One sends by itself: its ``read`` blocks until something comes.
    One answers when it is asked: give ``every``, and say ``rate=None`` in its `StreamInfo`, as no
    clock of its own paces it. Then each sample is known to be taken between question and answer,
    which is as good as its `Chunk.uncertainty` says.

    Parameters
    ----------
    read
        Function that blocks until there is something, and returns a `Reading`, an array, or None
        if nothing came within its own timeout. That timeout, 0.1 s or less, is how long closing
        may take. It raises `EndOfStream` at the end of a file, any other error when the device is
        gone.
    emit, fail
        Arguments of ``Source.open``.
    name
        Name of the stream; the thread is called ``rxstream-<name>``.
    every
        Time from one call of ``read`` to the next [s], on a schedule that does not drift; None: at
        once. The host times around each call become the ``bounds`` of its reading, unless it has
        stamps, or bounds of its own, closer around the question. A call that is late is made at
        once; one whose next is due by then is skipped, and counted in a `Gap`, an ``overrun``.
    release
        Function that frees the hardware; called once, after the last ``read``, by the thread
        itself.

    Returns
    -------
    close
        Function that stops the thread and waits for its end; may be called twice, and from
        ``read``. It raises what ``release`` has raised; `DeviceError` if ``read`` has not returned
        after 2 s, or then ``release`` after 2 s more.

    Examples
    --------
    >>> from rxstream.errors import EndOfStream
    >>> values, done = iter([1, 2]), threading.Event()
    >>> def read():
    ...     try:
    ...         return next(values)
    ...     except StopIteration:
    ...         raise EndOfStream from None
    >>> close = poll(read, print, lambda error: done.set(), name="two")
    1
    2
    >>> done.wait(1)
    True
    >>> close()

    A voltmeter that answers in 10 ms, asked five times a second:

    >>> import time, numpy as np
    >>> from rxstream import Device, StreamInfo
    >>> def ask():
    ...     time.sleep(0.01)
    ...     return np.array([1.5])
    >>> class Voltmeter:
    ...     info, live = StreamInfo("volts", None, (), np.float64, "V"), True
    ...     def open(self, emit, fail):
    ...         return poll(ask, emit, fail, name="volts", every=0.2)
    >>> with Device(Voltmeter()) as volts:
    ...     chunk = next(iter(volts.reader()))
    >>> 0.005 <= chunk.uncertainty * 1e-9 < 0.1
    True
    """
    if not name:
        msg = "poll needs a name for its thread"
        raise ParameterError(msg)
    stop = threading.Event()
    ask = read if every is None else _Asked(read, Turns(to_span(every, "every"), stop), stop)

    return _Poller(ask, emit, fail, name, stop, release).close


class _Poller:
    """The thread that reads, and then releases; and how it is closed.

    What ``release`` raises is an error of closing: it goes to who closes.
    """

    def __init__(
        self,
        ask: Callable[[], "Reading | NDArray[Any] | None"],
        emit: Emit,
        fail: Fail,
        name: str,
        stop: threading.Event,
        release: Callable[[], object] | None,
    ) -> None:
        self._ask, self._emit, self._fail, self._name = ask, emit, fail, name
        self._stop, self._release = stop, release
        self._doing = "read"
        self._read_all = threading.Event()  # set before `release` is called
        self._error: BaseException | None = None  # of `release`
        self._closed_inside = False  # by the thread itself, which releases later
        self._thread = threading.Thread(target=self._run, name=f"rxstream-{name}", daemon=True)
        self._thread.start()

    def _run(self) -> None:
        stop = self._stop
        try:
            while not stop.is_set():
                self._doing = "read"
                reading = self._ask()
                if reading is not None and not stop.is_set():
                    self._doing = "emit"
                    self._emit(reading)
        except BaseException as error:  # noqa: BLE001 - whatever a driver raises is reported
            if not stop.is_set():
                self._doing = "emit"
                self._fail(error if isinstance(error, Exception) else wrap_error(self._name, error))
        finally:
            self._read_all.set()
            self._free()

    def _free(self) -> None:
        """Call ``release``."""
        try:
            if self._release is not None:
                self._release()
        except BaseException as error:  # noqa: BLE001 - as above
            if not self._closed_inside:
                self._error = error
                return
            # nobody waits for it
            _logger.error("%s: release raised: %s", self._name, error_line(error))
            note_failure(self._name, error)

    def close(self) -> None:
        """Stop the thread and wait for its end; raise what ``release`` has raised, once."""
        self._stop.set()
        if self._thread is threading.current_thread():
            self._closed_inside = True
            return
        if not self._read_all.wait(_TIMEOUT):
            raise DeviceError(self._late())
        self._thread.join(_TIMEOUT)
        if self._thread.is_alive():
            msg = (
                f"{self._name}: release has not returned within {_TIMEOUT:g} s; it may still hold "
                "the device"
            )
            raise DeviceError(msg)
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _late(self) -> str:
        """Return what the thread has not come back from."""
        if self._doing == "read":
            why = "it is to return None when nothing comes within 0.1 s"
        else:
            why = "a subscriber that is called in the thread of the device takes that long"
        return f"{self._name}: {self._doing} has not returned within {_TIMEOUT:g} s; {why}"


class _Asked:
    """A ``read`` that waits for its turn, and notes the times around each call."""

    __slots__ = ("_now", "_read", "_skipped", "_stop", "_turns")

    def __init__(
        self,
        read: Callable[[], "Reading | NDArray[Any] | None"],
        turns: Turns,
        stop: threading.Event,
        now: Callable[[], int] = now_ns,
    ) -> None:
        self._read, self._turns, self._stop, self._now = read, turns, stop, now
        self._skipped = 0

    def __call__(self) -> Reading | None:
        self._skipped += self._turns.next()
        if self._stop.is_set():
            return None
        before = self._now()
        answer = self._read()
        after = self._now()
        if answer is None:
            return None
        reading = answer if isinstance(answer, Reading) else Reading(answer)
        if reading.bounds is None and reading.device_time is None:
            reading = replace(reading, bounds=(before, after))
        if self._skipped:
            lost, reason = reading.lost or 0, reading.reason if reading.lost else "overrun"
            reading = replace(reading, lost=lost + self._skipped, reason=reason)
            self._skipped = 0
        return reading
