"""One session of a device: it opens the source, and again when that was lost, until it is shut."""

import sys
import threading
import time
from collections.abc import Callable
from functools import partial

from rxstream.acquisition.backoff import Backoff
from rxstream.acquisition.driver import DriverCall, wrap_error, wrap_given
from rxstream.acquisition.failures import note_failure
from rxstream.acquisition.faults import Faults
from rxstream.acquisition.ingest import Ingest, named
from rxstream.acquisition.mistakes import Mistakes
from rxstream.acquisition.opening import Opening
from rxstream.acquisition.source import Source, is_live
from rxstream.acquisition.stamper import Timestamps
from rxstream.acquisition.watchdog import Watchdog
from rxstream.data.clock import HostClock
from rxstream.data.stream_info import StreamInfo
from rxstream.errors import (
    ChunkError,
    DeviceClosedError,
    DeviceError,
    DeviceLostError,
    EndOfStream,
    FormatError,
    MissingExtraError,
    OverrunError,
    ParameterError,
    RxStreamError,
    StampError,
)
from rxstream.flag import Flag
from rxstream.printable import error_text, get_logger
from rxstream.window.subject import TimeWindowSubject

__all__ = ["DRIVER_TIMEOUT", "Connection"]

_logger = get_logger(__name__)

# Longest wait for a driver when the device is to be closed [s]. Those that wait for a thread of
# their own, or for a network, take up to 2 s.
DRIVER_TIMEOUT = 5.0

# How long a try to open may go on after `shut` [s]: less than that waits for it.
_LAST_TRY = 4.5

# How often a supervisor that waits for the driver looks whether the device is to be closed [s].
_LOOK = 0.05

# Calls of a driver that were given up and have not returned: each has a thread. With as many of
# them there is no further try to open.
_MAX_HANGING = 4

# Failures of different text that are reported of the tries after one loss: the same one each second
# would leave no other fault among those that are kept.
_MAX_FAILURES = 10

# Openings in turn that stalled after one reading at most, before `stalled_after` is suspected: a
# device that gives nothing more is worth a second try.
_SUSPICIOUS = 3

# Errors of who wrote the source or its options: the next opening would end by the same.
_FINAL = (ChunkError, ParameterError, MissingExtraError)


class Connection:
    """One session, with all its openings of the source.

    States, and the threads that change them::

        closed --open()--> open --error of the source--> failed, ended    (the source's)
                           |  ^
                           |  '--opened again--.                          (supervisor)
                           '--error--> lost ---+--tries used up--> failed
        any --shut()--> closed; the error of `lost` and `failed` stays

    ``_guard`` protects the state, the opening and the supervisor; nothing foreign is called while
    it is held.
    """

    def __init__(
        self,
        source: Source,
        name: str,
        subject: TimeWindowSubject,
        faults: Faults,
        *,
        timestamps: Timestamps,
        path_delay: int,
        backoff: Backoff | None,
        stalled_after: int | None,
        clock: HostClock,
    ) -> None:
        self._source, self._name, self.subject, self._faults = source, name, subject, faults
        self._backoff, self._stalled_after, self._clock = backoff, stalled_after, clock
        self.ingest = Ingest(
            named(source.info, name), subject, faults,
            timestamps=timestamps, path_delay=path_delay,
            live=is_live(source), slept=clock.slept,
        )  # fmt: skip
        # re-entrant: a signal handler may close the device in the midst of anything
        self._guard = threading.RLock()
        self._turn = threading.RLock()  # that of all its openings
        self._closing, self._mistakes = Flag(), Mistakes(source)
        self._opening: Opening | None = None
        self._supervisor: threading.Thread | None = None
        self._watchdog: Watchdog | None = None
        # of this opening, those before it; openings in turn that stalled with hardly any
        self._readings_before = self._stalls = 0
        self._hanging: list[DriverCall] = []  # calls of the driver that have not returned in time
        self._opened_at = self._wait = 0.0  # of the last opening [s], and the wait before it
        self.state = "closed"
        self.error: Exception | None = None

    @property
    def info(self) -> StreamInfo:
        """Description of the stream."""
        return self.ingest.info

    # -- life ---------------------------------------------------------------------------------

    def open(self) -> None:
        """Open the hardware in the calling thread; raise what it raises.

        Raises
        ------
        DeviceClosedError
            If it was closed elsewhere meanwhile.
        """
        self._opening = opening = self._new_opening()
        if not self._begin(opening, opening.open()):
            msg = f"{self._name} was closed while it was being opened"
            raise DeviceClosedError(msg)

    def start(self) -> None:
        """Process readings that arrived before `open` returned."""
        opening, span = self._opening, self._stalled_after
        if span is not None:
            self._watchdog = Watchdog(
                self._name, span, now=self._clock.now, look=self._heard, stalled=self._stall,
                over=self._closing,
            )  # fmt: skip
        if opening is not None:
            opening.start()

    def give_up(self) -> None:
        """Have an opening under way closed by the thread that opens it."""
        with self._guard:
            self._closing.set()
            opening = self._opening
        if opening is not None:
            opening.give_up()

    def shut(self, timeout: float) -> Exception | None:
        """Stop the hardware, waiting up to ``timeout`` [s]; nothing is emitted afterwards.

        Returns
        -------
        error
            What the driver raised, or that it hangs.
        """
        deadline = time.monotonic() + timeout
        with self._guard:
            self._closing.set()
            opening, supervisor = self._opening, self._supervisor
        self.subject.log.release()  # the source's thread may be held by a blocking subscriber
        error: Exception | None = None
        if opening is not None:
            error = self._close(opening, timeout)
            # each of them may be what the other waits for
            mine = supervisor is threading.current_thread() or opening.is_inside()
            if supervisor is not None and not mine:
                supervisor.join(max(0.0, deadline - time.monotonic()))
                if supervisor.is_alive():
                    error = error or self._report_hanging(timeout)
        if self._watchdog is not None:
            self._watchdog.join(deadline - time.monotonic())
        with self._guard:
            self.error = self.error or error
            self.state = "closed"
            # they know each other: so the window of an old stream is freed without a collection
            self._opening = None
        return error

    def wait_free(self, timeout: float, patience: float) -> str:
        """Wait until the driver can be opened anew.

        Calls that were given up are left alone where the driver has been opened beside them.

        Parameters
        ----------
        timeout
            Longest wait for what closes it [s].
        patience
            Longest wait for a call that was given up already [s].

        Returns
        -------
        hanging
            What still hangs, and for how long; empty if nothing does.
        """
        supervisor = self._supervisor
        if supervisor is not None and supervisor is not threading.current_thread():
            supervisor.join(max(0.0, timeout))
            if supervisor.is_alive():
                return f"its driver is still closing, for more than {timeout:.3g} s"
        deadline = time.monotonic() + patience
        for call in self._still_hanging():
            if not call.harmless and not call.wait(deadline - time.monotonic()):
                return (
                    f"{call.what} of its driver has hung for "
                    f"{time.monotonic() - call.since:.3g} s; unplug the device, or end the program"
                )
        return ""

    def _new_opening(self) -> Opening:
        return Opening(
            self._source, self._clock, self._turn, self.ingest.append, self._lose,
            name=self._name, live=is_live(self._source), max_bytes=self.subject.log.max_bytes,
        )  # fmt: skip

    def _begin(self, opening: Opening, info: StreamInfo | None) -> bool:
        """Let a source that has been opened be the one; False if the device is to be closed."""
        if info is not None:
            self.ingest.describe(named(info, self._name))
        with self._guard:
            if not self._closing.is_set():
                self._opening, self._opened_at = opening, time.monotonic()
                self.ingest.silence.begin(self._clock.now())
                self._readings_before = self.ingest.readings
                if self.state == "closed":
                    self.state = "open"
                return True
        self._close(opening, DRIVER_TIMEOUT)
        return False

    def _close(self, opening: Opening, timeout: float) -> Exception | None:
        """Close an opening; return what the driver raised, or that it hangs, and report it."""
        call = opening.close(self._name, timeout)
        if call is None:
            return None
        if not call.done:
            self._hanging.append(call)
            return self._report_hanging(timeout)
        if call.error is None:
            return None
        error = wrap_error(self._name, call.error, DeviceError)
        _logger.error("%s: its driver raised in close: %s", self._name, error_text(error))
        self._report(error)
        return error

    def _still_hanging(self) -> list[DriverCall]:
        self._hanging = [call for call in self._hanging if not call.done]
        return self._hanging

    def _report_hanging(self, timeout: float) -> DeviceError:
        msg = f"{self._name}: its driver has not returned within {timeout:.3g} s and is given up"
        error = DeviceError(msg)
        _logger.error("%s", error)
        self._report(error)
        return error

    def _report(self, error: Exception) -> None:
        if isinstance(error, RxStreamError):
            self._faults.report(error)

    # -- loss and return ----------------------------------------------------------------------

    def _lose(self, opening: Opening, given: object) -> None:
        """Take an error of the source, most often in its own thread.

        It cannot be closed there, so another thread takes over; there it is logged as well, for
        handlers may be slow.
        """
        if isinstance(given, OverrunError | StampError):
            if isinstance(given, OverrunError) and given.reason == "overrun":
                self.ingest.overrun()
            self._report(given)
            return
        if not opening.cut():  # another thread has just reported the same
            return
        error = wrap_given(self._name, given)
        run: Callable[[], None]
        backoff = self._backoff
        lived = time.monotonic() - self._opened_at
        if backoff is not None and self._may_return(error) and not self._repeats(error, lived):
            with self._guard:
                self.state, self.error = "lost", error
            self._report(error)
            # one that is lost as soon as it is open waits longer each time, as one that cannot open
            wait = backoff.first if lived > self._wait else self._longer(self._wait, backoff)
            run = partial(self._recover, opening, error, backoff, wait)
        else:
            self._end(error)
            run = partial(self._finish, opening, error)
        helper = threading.Thread(target=run, name=f"rxstream-{self._name}-supervisor", daemon=True)
        try:
            with self._guard:  # who sees it may join it
                helper.start()
                self._supervisor = helper
        except RuntimeError as lacking:
            # the system has no more threads, or the program is at its end
            _logger.error("%s: it is closed when the device is: %s", self._name, lacking)
            if self.state == "lost":
                self._end(error)

    def _heard(self) -> object:
        """Return what changes with each sample; None while none is expected."""
        if self.state in ("failed", "ended"):
            raise StopIteration
        # while a reading is processed the source waits, as a file for its slowest reader
        if self.state != "open" or not self._turn.acquire(blocking=False):
            return None
        try:
            return self._opening, self.ingest.samples
        finally:
            self._turn.release()

    def _stall(self) -> None:
        """Take a source for lost that is open and gives no samples."""
        opening, seconds = self._opening, (self._stalled_after or 0) / 1e9
        msg = f"{self._name}: no sample has come for {seconds:g} s (stalled_after={seconds:g})"
        self._stalls += 1
        if self.ingest.readings > self._readings_before + 1:
            self._stalls = 0
        if opening is not None:
            opening.fail(DeviceLostError(msg))
        if self._stalls == _SUSPICIOUS:
            hint = DeviceError(
                f"{self._name}: stalled_after={seconds:g} has ended {_SUSPICIOUS} openings in "
                "turn, each with one reading at most; if the device works, it sends more rarely or "
                "takes longer to begin: give stalled_after more than its longest pause [s]"
            )
            _logger.warning("%s", hint)
            self._report(hint)

    def _may_return(self, error: Exception) -> bool:
        """Whether a further opening may end otherwise than by the same error."""
        if isinstance(error, FormatError):
            return is_live(self._source)  # a garbled message, and not a file
        return not isinstance(error, (*_FINAL, EndOfStream))

    def _repeats(self, error: Exception, lived: float) -> bool:
        """Whether each opening ends by the same mistake in the source; say so."""
        repeats = self._mistakes.repeats(error, lived)
        if repeats:
            _logger.error("%s: not opened again: each time the same mistake ends it", self._name)
        return repeats

    def _end(self, error: Exception, *, reported: bool = False) -> None:
        """End the stream; the error may be ``reported`` already."""
        if isinstance(error, EndOfStream):
            self.state = "ended"
            self.subject.on_completed()
            return
        with self._guard:
            self.state, self.error = "failed", error
        note_failure(self._name, error)
        if not reported:
            self._report(error)
        self.subject.on_error(error)

    def _finish(self, opening: Opening, error: Exception) -> None:
        """Close a source that has ended; run by the supervisor."""
        if not isinstance(error, EndOfStream):
            _log("%s: failed: %s", self._name, error)
        failure = self._close(opening, DRIVER_TIMEOUT)
        if failure is not None and self.error is None:
            # a file has ended well, and nobody closes it who could be told
            with self._guard:
                self.error = failure
            note_failure(self._name, failure)

    def _recover(self, opening: Opening, error: Exception, backoff: Backoff, wait: float) -> None:
        """Open a lost source again, the first time after ``wait`` [s]; run by the supervisor."""
        _log("%s: lost: %s; it is opened again", self._name, error)
        self._close(opening, backoff.timeout)
        if not self._expect_hole():
            return
        tries, reported = 0, dict[str, Exception]()
        while not self._closing.wait(wait):
            self._wait = wait
            tries += 1
            failure = self._try_open(backoff.timeout, tries)
            if failure is None:
                return
            text = error_text(failure)
            # one that was reported stays the one: it may be what the stream ends with
            failure = reported.get(text, failure)
            last = not self._may_return(failure) or tries == backoff.tries
            if last or self._repeats(failure, 0.0):
                _log("%s: failed: %s", self._name, failure)
                self._end(failure, reported=text in reported)
                return
            with self._guard:
                self.error = failure
            if text not in reported and len(reported) < _MAX_FAILURES:
                reported[text] = failure
                _logger.warning("%s: it cannot be opened again yet: %s", self._name, text)
                self._report(failure)
            wait = self._longer(wait, backoff)
        note_failure(self._name, self.error or error)  # closed before it has come back

    @staticmethod
    def _longer(wait: float, backoff: Backoff) -> float:
        return min(max(wait, backoff.first) * backoff.factor, backoff.most)

    def _expect_hole(self) -> bool:
        """Prepare for the next opening; False if the device is closed before the last one is out.

        A thread of the last one may still be in the middle of a reading.
        """
        while not self._turn.acquire(timeout=_LOOK):
            if self._closing.is_set():
                return False
        try:
            self.ingest.disconnect()
        finally:
            self._turn.release()
        return True

    def _try_open(self, timeout: float, number: int) -> Exception | None:
        """Open the source again, and go on with it; return the error if that is not possible."""
        if len(self._still_hanging()) >= _MAX_HANGING:
            return DeviceError(f"{self._name}: {_MAX_HANGING} calls of its driver hang")
        opening = self._new_opening()
        found: list[StreamInfo | None] = []
        call = DriverCall(self._name, "open", lambda: found.append(opening.open()))
        if not self._wait_for(call, timeout) and opening.give_up():
            self._hanging.append(call)
            return DeviceError(f"{self._name}: its driver hangs in open, for {timeout:.3g} s")
        call.wait(_LAST_TRY)
        if call.error is not None:
            return wrap_error(self._name, call.error)
        for hanging in self._still_hanging():
            hanging.harmless = True
        try:
            begun = self._begin(opening, found[0])
        except ChunkError as error:
            self._close(opening, DRIVER_TIMEOUT)
            return error
        if begun:
            opening.start(self._return)
            _logger.warning("%s: open again, at try %d", self._name, number)
        return None

    def _return(self) -> None:
        with self._guard:
            self.state, self.error = "open", None

    def _wait_for(self, call: DriverCall, timeout: float) -> bool:
        """Wait for a call of the driver; not for long once the device is to be closed."""
        deadline, shutting = time.monotonic() + timeout, False
        while not call.wait(_LOOK):
            now = time.monotonic()
            if self._closing.is_set() and not shutting:
                deadline, shutting = min(deadline, now + _LAST_TRY), True
            if now > deadline:
                return False
        return True


def _log(text: str, name: str, error: Exception) -> None:
    """Log at ERROR that a device is lost or has failed; a mistake in its source with its lines."""
    cause = error.__cause__
    show = cause if cause is not None and _is_mistake(cause) else None
    _logger.error(text, name, error_text(error), exc_info=show)


def _is_mistake(cause: BaseException) -> bool:
    """Whether it is no error of I/O, nor one that the package of a driver has for its own."""
    package = type(cause).__module__.partition(".")[0]
    return not isinstance(cause, OSError) and (
        package == "numpy" or package in sys.stdlib_module_names
    )
