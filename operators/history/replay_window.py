"""replay_window: give any stream a past."""

from collections.abc import Callable
from threading import RLock
from typing import Any, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable, SingleAssignmentDisposable

from rxstream.data.chunk import Chunk
from rxstream.data.clock import Duration, Time, to_span
from rxstream.data.concat import unlike
from rxstream.data.copies import own_axis, own_data
from rxstream.data.slab_store import SampleCopies
from rxstream.data.stream_info import StreamInfo
from rxstream.errors import ChunkError
from rxstream.steps.heartbeats import keep_heartbeats
from rxstream.steps.step_error import no_chunk
from rxstream.steps.stream import Stream, label
from rxstream.window.log import Log
from rxstream.window.reader import Reader
from rxstream.window.rewindable import Rewindable
from rxstream.window.starts import StartPosition
from rxstream.window.subject import DEFAULT_BYTES, TimeWindowSubject, check_bytes

__all__ = ["replay_window"]

T = TypeVar("T")


class _Run:
    """One run of the source: from its first subscriber to the last, or to its end.

    It does not hold the source: that is freed when nobody has it, although somebody subscribes.
    """

    def __init__(self, subject: TimeWindowSubject, guard: RLock) -> None:
        self.subject, self._guard = subject, guard
        self.users = 0
        self.over = False  # ended by the source, and not because all have left
        self.running = SingleAssignmentDisposable()
        self._copies: SampleCopies[Any] | None = None
        self._info: StreamInfo | None = None

    def leave(self) -> None:
        """Count one less; the last one ends the run."""
        with self._guard:
            self.users -= 1
            if self.users:
                return
        self.running.dispose()
        self.subject.on_completed()

    def on_next(self, chunk: Chunk) -> None:
        """Copy a chunk into the window: a view would hold the large array it was cut from."""
        if not isinstance(chunk, Chunk):
            self.on_error(no_chunk(chunk))
            return
        data, copies = chunk.data, self._copies
        # Without samples it covers time only: its shape and dtype count for nothing.
        if not len(data):
            kept = own_data(data)
        else:
            if copies is None or self._info is None:
                copies = self._copies = SampleCopies(data.shape[1:], data.dtype)
                self._info = chunk.info
            elif self._info is not chunk.info and not copies.like(data):
                self.on_error(unlike(self._info, copies.shape, copies.dtype, chunk))
                return
            kept = copies.copy(data)
        try:
            self.subject.on_next(chunk._replace(data=kept, axis=own_axis(chunk.axis)))
        except ChunkError as error:
            self.on_error(error)

    def on_error(self, error: Exception) -> None:
        """End this window; other subscribers of the source go on."""
        self.over = True
        self.subject.on_error(error)

    def on_completed(self) -> None:
        """End this window."""
        self.over = True
        self.subject.on_completed()


class _ReplayWindow(Rewindable):
    """Runs its source while it has subscribers or readers, and keeps the last seconds of it."""

    def __init__(self, source: Observable[Chunk], span: int, max_bytes: int) -> None:
        super().__init__(source=source)
        self._source, self._span, self._max_bytes = source, span, max_bytes
        self._guard = RLock()
        self._run = self._new_run()

    def _new_run(self) -> _Run:
        subject = TimeWindowSubject(self._span / 1e9, max_bytes=self._max_bytes, name="replay")
        return _Run(subject, self._guard)

    @property
    def log(self) -> Log:
        """The log of the present run of the source, or of the last one."""
        return self._run.subject.log

    def attach(
        self,
        observer: abc.ObserverBase[Chunk],
        scheduler: abc.SchedulerBase | None,
        start: StartPosition,
    ) -> abc.DisposableBase:
        """Subscribe from a start on; the first subscriber starts the source."""

        def attach(run: _Run) -> abc.DisposableBase:
            joined = run.subject.attach(observer, scheduler, start)
            return CompositeDisposable(joined, Disposable(run.leave))

        return self._join(attach, start, scheduler)

    def attach_reader(self, start: StartPosition) -> Reader:
        """Return a reader that begins at a start; it counts as a subscriber until it is closed."""
        return self._join(lambda run: run.subject.attach_reader(start, run.leave), start)

    def _join(
        self,
        attach: Callable[[_Run], T],
        start: StartPosition,
        scheduler: abc.SchedulerBase | None = None,
    ) -> T:
        with self._guard:
            run = self._run
            # When the source has ended, its past can still be had, and then the end. Else a new
            # run begins with an empty window: old chunks never pass for new ones.
            ended = run.over and start.is_past(run.subject.log)
            if not ended and (run.over or not run.users):
                run = self._new_run()
            # First attached, then started: a cold source gives everything at once.
            attached = attach(run)
            run.users += 1
            first, self._run = run.users == 1, run
        if first and not ended:
            run.running.disposable = keep_heartbeats(self._source).subscribe(
                run.on_next, run.on_error, run.on_completed, scheduler=scheduler
            )
        return attached

    def between(self, t0: Time, t1: Time) -> Chunk:
        """Return what lies from ``t0`` to before ``t1``, as far as the window holds it.

        Raises
        ------
        ChunkError
            If nothing has come yet; it runs only while somebody subscribes or reads.
        ParameterError
            If ``t1`` is before ``t0``.
        """
        run = self._run
        try:
            return super().between(t0, t1)
        except ChunkError:
            if run.users or run.over:
                raise
        msg = f"{self.chain} keeps nothing: it runs while somebody subscribes, or reads"
        raise ChunkError(msg)

    def __repr__(self) -> str:
        window = f"{self.log.held:.3g} s of {self._span / 1e9:g} s kept"
        return f"<Stream {self.chain}: {window}, subscribers: {self._run.users}>"


@label
def replay_window(
    duration: Duration, *, max_bytes: int = DEFAULT_BYTES
) -> Callable[[Observable[Chunk]], Stream[Chunk]]:
    """Give any pipeline a past: hot, shared, and rewindable, like a device.

    The source runs once, however many subscribe, from the first subscriber to the last; each reads
    at its own pace. When all have left, the next begins with an empty window. When the source has
    ended, ``rewind`` and ``reader(rewind=)`` give its past and the end.

    .. marble::

        --1--2--3--4--5--6--7-->
        [   replay_window(2)  ]
        --1--2--3--4--5--6--7-->     first subscriber
                     ^ .pipe(rewind(1))
                     4-5--6--7-->    second subscriber

    Parameters
    ----------
    duration
        Sample time kept [s].
    max_bytes
        Bytes kept, whichever is less: samples, stamps, raw evidence and bookkeeping.

    Returns
    -------
    operator
        The same chunks, copied once into the window.

    Raises
    ------
    ParameterError
        If ``duration`` is not positive, or ``max_bytes`` no whole number >= 1.
    ChunkError
        Downstream, if the shape or dtype of the samples changes, or a chunk begins before the end
        of the one before it.

    Examples
    --------
    >>> import numpy as np, reactivex as rx
    >>> from reactivex.scheduler import ImmediateScheduler
    >>> from reactivex.subject import Subject
    >>> from rxstream import Chunk, StreamInfo
    >>> from rxstream import operators as ops
    >>> info, source, here = StreamInfo("x", 10.0, (), np.int64), Subject(), ImmediateScheduler()
    >>> doubled = source.pipe(ops.map_data(lambda x: 2 * x), replay_window(60))
    >>> first = doubled.subscribe(lambda chunk: None, scheduler=here)
    >>> source.on_next(Chunk.regular(np.arange(10), info, start=0))
    >>> second = doubled.pipe(ops.rewind(0.2)).subscribe(
    ...     lambda chunk: print(chunk.data), scheduler=here)
    [16 18]
    >>> second.dispose(); first.dispose()
    """
    span = to_span(duration, "replay_window")
    check_bytes(max_bytes)
    return lambda source: _ReplayWindow(source, span, max_bytes)
