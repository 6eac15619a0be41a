"""replay_window: give any stream a past."""

from collections.abc import Callable
from threading import RLock
from typing import Any, TypeVar

from reactivex import Observable, abc
from reactivex.disposable import CompositeDisposable, Disposable, SingleAssignmentDisposable

from rxstream.data.chunk import Chunk
from rxstream.data.clock import Duration, to_span
from rxstream.data.concat import unlike
from rxstream.data.slab_store import SlabStore
from rxstream.data.stream_info import StreamInfo
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

# The bytes kept are divided into at least so many slabs: a slab lasts as long as one chunk in it,
# so it must be short against them.
_MIN_SLABS = 32

# Chunks to a slab, where `max_bytes` leaves room for it.
_CHUNKS_PER_SLAB = 16


class _ChunkStore:
    """Copies chunks into slabs, so that a view does not hold the large array it was cut from."""

    __slots__ = ("_info", "_slab_bytes", "_slabs", "_subject")

    def __init__(self, subject: TimeWindowSubject, max_bytes: int) -> None:
        self._subject, self._slab_bytes = subject, max_bytes // _MIN_SLABS
        self._slabs: SlabStore[Any] | None = None
        self._info: StreamInfo | None = None

    def on_next(self, chunk: Chunk) -> None:
        if not isinstance(chunk, Chunk):
            self._subject.on_error(no_chunk(chunk))
            return
        data, slabs, info = chunk.data, self._slabs, self._info
        # Without samples it covers time only: its shape and dtype count for nothing.
        if not len(data):
            kept = data.copy()
            kept.flags.writeable = False
            self._subject.on_next(chunk._replace(data=kept))
            return
        if slabs is None or info is None:
            samples = len(data) * self._slab_bytes // max(1, data.nbytes)
            samples = min(_CHUNKS_PER_SLAB * len(data), samples)
            slabs = self._slabs = SlabStore(data.shape[1:], data.dtype, slab=samples)
            self._info = chunk.info
        elif info is not chunk.info:
            # This window ends; the source and its other subscribers go on.
            if not slabs.like(data):
                self._subject.on_error(unlike(info, slabs.shape, slabs.dtype, chunk))
                return
            self._info = chunk.info
        kept = slabs.append(data)
        slabs.trim(slabs.stop)
        self._subject.on_next(chunk._replace(data=kept))


class _ReplayWindow(Rewindable):
    """Runs its source while it has subscribers or readers, and keeps the last seconds of it."""

    def __init__(self, source: Observable[Chunk], span: int, max_bytes: int) -> None:
        super().__init__(source=source)
        self._source, self._span, self._max_bytes = source, span, max_bytes
        self._subject = self._new_subject()
        self._guard = RLock()
        self._users = 0
        self._running = SingleAssignmentDisposable()

    def _new_subject(self) -> TimeWindowSubject:
        return TimeWindowSubject(self._span / 1e9, max_bytes=self._max_bytes, name="replay")

    @property
    def log(self) -> Log:
        """The log of the present run of the source, or of the last one."""
        return self._subject.log

    def attach(
        self,
        observer: abc.ObserverBase[Chunk],
        scheduler: abc.SchedulerBase | None,
        start: StartPosition,
    ) -> abc.DisposableBase:
        """Subscribe from a start on; the first subscriber starts the source."""
        joined = self._join(lambda subject: subject.attach(observer, scheduler, start), scheduler)
        return CompositeDisposable(joined, Disposable(self._leave))

    def attach_reader(self, start: StartPosition) -> Reader:
        """Return a reader that begins at a start; it counts as a subscriber until it is closed."""
        return self._join(lambda subject: subject.attach_reader(start, self._leave))

    def _join(
        self, attach: Callable[[TimeWindowSubject], T], scheduler: abc.SchedulerBase | None = None
    ) -> T:
        with self._guard:
            # A new run begins with an empty window: old chunks never pass for new ones.
            subject = self._subject if self._users else self._new_subject()
            # First attached, then started: a cold source gives everything at once.
            attached = attach(subject)
            self._users += 1
            if self._users > 1:
                return attached
            self._subject, self._running = subject, SingleAssignmentDisposable()
            running = self._running
        store = _ChunkStore(subject, self._max_bytes)
        running.disposable = keep_heartbeats(self._source).subscribe(
            store.on_next, subject.on_error, subject.on_completed, scheduler=scheduler
        )
        return attached

    def _leave(self) -> None:
        with self._guard:
            self._users -= 1
            if self._users:
                return
            running, subject = self._running, self._subject
        running.dispose()
        subject.on_completed()

    def __repr__(self) -> str:
        window = f"{self.log.held:.3g} s of {self._span / 1e9:g} s kept"
        return f"<Stream {self.chain}: {window}, subscribers: {self._users}>"


@label
def replay_window(
    duration: Duration, *, max_bytes: int = DEFAULT_BYTES
) -> Callable[[Observable[Chunk]], Stream[Chunk]]:
    """Give any pipeline a past: hot, shared, and rewindable, like a device.

    The source runs once, however many subscribe, from the first subscriber to the last; each reads
    at its own pace. When all have left, the next begins with an empty window.

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
        Bytes kept, whichever is less; of memory, a sixteenth more at most, or two chunks.

    Returns
    -------
    operator
        The same chunks, copied once into the window.

    Raises
    ------
    ParameterError
        If ``duration`` is not positive, or ``max_bytes`` no whole number >= 1.
    ChunkError
        Downstream, if the shape or dtype of the samples changes.

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
