"""`TimeWindowSubject`: a hot stream with a past, and a worker for each subscriber."""

import threading
from collections.abc import Callable
from typing import cast

from reactivex import abc
from reactivex.subject import Subject

from rxstream.data.chunk import Chunk
from rxstream.data.clock import Duration, Time, now_ns, to_ns, to_span
from rxstream.errors import ChunkError, ParameterError, SubscriberError
from rxstream.validation import is_whole
from rxstream.window.janitor import janitor
from rxstream.window.log import Log, Policy
from rxstream.window.starts import Excerpt, Replay, StartPosition, WindowView
from rxstream.window.worker import SubscriberWorker, log_report

__all__ = ["DEFAULT_BYTES", "TimeWindowSubject", "check_bytes"]

DEFAULT_BYTES = 1 << 30
_FOREVER = 1 << 62


def check_bytes(max_bytes: int) -> None:
    """Raise `ParameterError` if there is no room for a chunk."""
    if not is_whole(max_bytes, 1):
        msg = f"max_bytes must be a whole number >= 1, not {max_bytes!r}"
        raise ParameterError(msg)


class TimeWindowSubject(Subject[Chunk]):
    """A Subject of chunks that keeps the last seconds of sample time.

    Every subscriber reads one shared log with a cursor and a worker thread of its own (or on the
    ``scheduler`` given to ``subscribe``): the producer never waits for a slow one, and an
    exception in one does not touch the others.

    Parameters
    ----------
    history
        Sample time kept [s].
    max_bytes
        Bytes kept, whichever is less.
    name
        For threads and messages.
    report
        Takes the `SubscriberError` of a subscriber that raised; default: the logging module.
    clock
        Gives the time [ns] by which an idle window ages. With a clock of your own (virtual time)
        call `trim` yourself; with the host clock it is done for you.

    Examples
    --------
    >>> import numpy as np
    >>> from reactivex.scheduler import ImmediateScheduler
    >>> from rxstream.data.stream_info import StreamInfo
    >>> info = StreamInfo("ramp", rate=10.0, dtype=np.int64)
    >>> ramp = TimeWindowSubject(1.0)
    >>> for k in range(30):
    ...     ramp.on_next(Chunk.regular(np.array([k]), info, start=k * 100_000_000, index=k))
    >>> past = []
    >>> _ = ramp.rewind(0.3).subscribe(
    ...     lambda chunk: past.extend(chunk.data), scheduler=ImmediateScheduler())
    >>> [int(value) for value in past]
    [27, 28, 29]
    >>> ramp.last(0.2).data
    array([28, 29])
    >>> ramp.on_completed()
    """

    def __init__(
        self,
        history: Duration = 60.0,
        *,
        max_bytes: int = DEFAULT_BYTES,
        name: str = "stream",
        report: Callable[[SubscriberError], None] = log_report,
        clock: Callable[[], int] = now_ns,
    ) -> None:
        super().__init__()
        check_bytes(max_bytes)
        self.log = Log(to_span(history, "history"), max_bytes, name, clock)
        self._report = report
        self._guard = threading.Lock()
        self._deliveries: list[SubscriberWorker] = []
        self._ended = threading.Event()
        self._tidy = clock is now_ns
        self._unwatch: Callable[[], None] | None = None

    # -- the observer's side ------------------------------------------------------------------

    def on_next(self, value: Chunk) -> None:
        """Append a chunk; returns at once, unless a subscriber asked to block."""
        self.log.append(value)
        if self._unwatch is None:
            self._watch()

    def on_error(self, error: Exception) -> None:
        """End with an error, after everything that is there."""
        self._end(error)

    def on_completed(self) -> None:
        """End, after everything that is there."""
        self._end(None)

    def dispose(self) -> None:
        """Cut off every subscriber and let go of the window."""
        for delivery in list(self._deliveries):
            delivery.dispose()
        self._end(None)
        self.log.clear()
        super().dispose()

    def _end(self, error: Exception | None) -> None:
        self.log.end(error)
        self._ended.set()
        with self._guard:
            self._tidy = False
            unwatch, self._unwatch = self._unwatch, None
        if unwatch is not None:
            unwatch()

    def _watch(self) -> None:
        """Have the idle window trimmed now and then."""
        with self._guard:
            if self._tidy and self._unwatch is None:
                every = max(0.02, min(1.0, self.log.span / 8e9))
                self._unwatch = janitor.watch(self.trim, every)

    def trim(self) -> bool:
        """Let go of what is past although nothing new comes; return whether to call again."""
        if self.log.trim_idle():
            return True
        self._unwatch = None
        if self.log.start < self.log.stop:  # something has just come, and found itself watched
            self._watch()
        return False

    # -- the subscriber's side ----------------------------------------------------------------

    def check_start(self, start: StartPosition) -> None:
        """Raise `ParameterError` if a start lies further back than the window reaches."""
        if start.seconds is not None and start.seconds > self.log.span:
            msg = (
                f"rewind({start.seconds / 1e9:g}): the history of {self.log.name} is "
                f"{self.log.span / 1e9:g} s; make history= longer"
            )
            raise ParameterError(msg)

    def attach(
        self,
        observer: abc.ObserverBase[Chunk],
        scheduler: abc.SchedulerBase | None,
        start: StartPosition,
    ) -> abc.DisposableBase:
        """Subscribe from a start on."""
        since = self.since(start)
        delivery = SubscriberWorker(self.log, observer, scheduler, start, self._report)
        with self._guard:
            self._deliveries = [d for d in self._deliveries if not d.done.is_set()]
            self._deliveries.append(delivery)
        delivery.start(since)
        return delivery

    def since(self, start: StartPosition) -> int | None:
        """Return the time [ns] at which a start lies now; None for "now"."""
        self.check_start(start)
        if start.seconds is None:
            return start.to
        newest = self.log.newest()
        # with nothing there yet, "now" could come after a first chunk that is just arriving
        return -_FOREVER if newest is None else newest.end - start.seconds

    def _subscribe_core(
        self,
        observer: abc.ObserverBase[Chunk],
        scheduler: abc.SchedulerBase | None = None,
    ) -> abc.DisposableBase:
        return self.attach(observer, scheduler, StartPosition())

    def rewind(self, seconds: Duration | None = None, *, to: Time | None = None) -> WindowView:
        """Begin ``seconds`` [s] before the newest sample, or at the time ``to``, and go on live."""
        return WindowView(self, StartPosition()).rewind(seconds, to=to)

    def on_lag(self, policy: Policy, *, name: str | None = None) -> WindowView:
        """Choose what happens to a subscriber that is too slow: gap, latest, error, block."""
        return WindowView(self, StartPosition()).on_lag(policy, name=name)

    def drain(self, timeout: float) -> list[SubscriberWorker]:
        """Wait until every subscriber's thread has ended; return those that have not [s]."""
        deadline = now_ns() + round(timeout * 1e9)
        return [
            delivery
            for delivery in list(self._deliveries)
            if not delivery.join(max(0.0, (deadline - now_ns()) / 1e9))
        ]

    def wait(self, span: int | None) -> bool:
        """Wait up to ``span`` [ns] until the stream has ended and every subscriber had it all."""
        deadline = None if span is None else now_ns() + span
        left = None if span is None else span / 1e9
        if not self._ended.wait(left):
            return False
        for delivery in list(self._deliveries):
            left = None if deadline is None else max(0.0, (deadline - now_ns()) / 1e9)
            if not delivery.done.wait(left):
                return False
        return True

    # -- looking back -------------------------------------------------------------------------

    def last(self, seconds: Duration) -> Chunk:  # type: ignore[override]  # Rx's fluent `last` is .pipe(last())
        """Return the newest ``seconds`` [s] as one chunk.

        Raises
        ------
        ChunkError
            If nothing has come yet.
        """
        span = to_span(seconds, "last", zero=True)
        newest = self.log.newest()
        end = newest.end if newest else 0
        return self.log.between(end - span, end)

    def between(self, t0: Time, t1: Time) -> Chunk:
        """Return what lies from ``t0`` to before ``t1``, as far as the window holds it.

        Raises
        ------
        ChunkError
            If nothing has come yet.
        ParameterError
            If ``t1`` is before ``t0``.
        """
        x, y = to_ns(t0), to_ns(t1)
        if y < x:
            msg = f"between({x}, {y}): the end is before the start"
            raise ParameterError(msg)
        return self.log.between(x, y)

    def at(self, t: Time) -> Chunk:
        """Return the sample at ``t``, or the last one before it, as a chunk of one.

        Raises
        ------
        ChunkError
            If the window holds no sample at or before ``t``.
        """
        when = to_ns(t)
        oldest = when
        for span in (10**9, self.log.span):  # most often it lies near; else look everywhere
            oldest = when - span
            newest = self.log.newest()
            if newest is not None and oldest > newest.end:
                oldest = newest.start
            for chunk in reversed(self.log.chunks(oldest, when + 1)):
                if len(chunk):
                    return cast("Chunk", chunk[len(chunk) - 1 :])
        msg = f"{self.log.name}: no sample at or before {when} is in the window"
        raise ChunkError(msg)

    def past(
        self,
        seconds: Duration | None = None,
        *,
        start: Time | None = None,
        end: Time | None = None,
        warmup: Duration = 0.0,
        cut: bool = True,
    ) -> Replay:
        """Return a cold Observable over the history: each subscription gets it again, then ends.

        Where operators take other streams, give them their past too, as in
        ``mic.past(20).pipe(ops.align(cam.past(20)))``: a device itself is waited for, and one that
        is closed until it is opened again.

        Parameters
        ----------
        seconds
            The newest so many [s]; or
        start, end
            from a time to a time; default: all there is.
        warmup
            How much earlier the operators of its ``pipe`` begin [s], for as long as they remember:
            a filter's settling time, a window's length. What they give for it is left out, so
            that ``mic.past(20, warmup=1).pipe(a, b)`` gives for 20 s what live gave. Other streams
            in it need as much more: ``cam.past(21)``. What works in threads of its own and gives no
            chunks, as ``map_parallel``, comes in a further pipe: ``.pipe(a, b).pipe(c)``.
        cut
            Cut what the pipe gives to the sample at the asked start. False leaves chunks whole
            that reach over it: windows.

        Raises
        ------
        ParameterError
            For a ``warmup`` without a start to come before.

        Examples
        --------
        The last of each window of 0.3 s; the window that reaches over the start stays whole:

        >>> import numpy as np
        >>> from rxstream import Chunk, StreamInfo
        >>> from rxstream import operators as ops
        >>> info, ramp = StreamInfo("ramp", rate=10.0, dtype=np.int64), TimeWindowSubject(60)
        >>> ramp.on_next(Chunk.regular(np.arange(30), info, start=0))
        >>> ramp.past(0.4, warmup=0.3, cut=False).pipe(ops.window_by_time(0.3)).subscribe(
        ...     lambda window: print(window.data)).dispose()
        [24 25 26]
        [27 28 29]
        >>> ramp.on_completed()
        """
        span = None if seconds is None else to_span(seconds, "past")
        x = None if start is None else to_ns(start)
        y = None if end is None else to_ns(end)
        warm = to_span(warmup, "warmup", zero=True)
        if warm and span is None and x is None:
            msg = f"past(warmup={warmup!r}) needs seconds or start=, before which it lies"
            raise ParameterError(msg)

        def read() -> Excerpt:
            newest, stop = self.log.newest(), _FOREVER if y is None else y
            begin = -_FOREVER if x is None else x
            if x is None and span is not None and newest is not None:
                begin = min(stop, newest.end) - span
            chunks = self.log.chunks(begin - warm, stop)
            before = [c for c in chunks if c.covered_from < begin]
            asked = chunks[len(before) :]
            if before and before[-1].end > begin:
                over = before[-1]
                before[-1] = over.between(over.covered_from, begin)
                asked.insert(0, over.between(begin, over.end))
            return Excerpt(before, asked, begin)

        return Replay(read, self, warm=warm > 0, cut=cut)
