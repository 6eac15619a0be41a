"""replay_window: give any stream a past."""

from collections.abc import Callable
from threading import RLock
from typing import Any

from numpy.typing import NDArray
from reactivex import Observable, abc
from reactivex.disposable import Disposable

from rxstream.data.chunk import Chunk
from rxstream.data.clock import Duration, Time, to_span
from rxstream.data.concat import unlike
from rxstream.data.slab_store import SlabStore
from rxstream.data.stream_info import StreamInfo
from rxstream.window.log import Policy
from rxstream.window.starts import StartPosition, WindowView
from rxstream.window.subject import DEFAULT_BYTES, TimeWindowSubject, check_bytes

__all__ = ["replay_window"]

_SLABS = 32  # into which the bytes that are kept are divided, at least


class _Store:
    """Copies chunks into slabs, so that a view does not hold the large array it was cut from.

    A slab lasts as long as one chunk in it, so they are short against the bytes that are kept.
    """

    __slots__ = ("_info", "_most", "_slabs", "_subject")

    def __init__(self, subject: TimeWindowSubject, max_bytes: int) -> None:
        self._subject, self._most = subject, max_bytes // _SLABS
        self._slabs: SlabStore[Any] | None = None
        self._info: StreamInfo | None = None

    def on_next(self, chunk: Chunk) -> None:
        data, slabs, info = chunk.data, self._slabs, self._info
        if not len(data):  # it tells of time only, whatever its dtype
            kept = data.copy()
            kept.flags.writeable = False
            self._give(chunk, kept)
            return
        if slabs is None or info is None:
            samples = min(16 * len(data), len(data) * self._most // max(1, data.nbytes))
            slabs = self._slabs = SlabStore(data.shape[1:], data.dtype, slab=samples)
            self._info = chunk.info
        elif info is not chunk.info:
            if not slabs.like(data):  # ours end; the source and who else listens to it go on
                self._subject.on_error(unlike(info, slabs.shape, slabs.dtype, chunk))
                return
            self._info = chunk.info
        kept = slabs.append(data)
        slabs.trim(slabs.stop)
        self._give(chunk, kept)

    def _give(self, chunk: Chunk, kept: NDArray[Any]) -> None:
        self._subject.on_next(
            Chunk(
                kept,
                chunk.axis,
                chunk.start,
                chunk.end,
                chunk.index,
                chunk.info,
                chunk.gap_positions,
            )
        )


class _Replayed(Observable[Chunk]):
    """Runs its source while it has subscribers, and keeps the last seconds of what it gave."""

    def __init__(self, source: Observable[Chunk], span: int, max_bytes: int) -> None:
        super().__init__()
        self._source, self._span, self._most = source, span, max_bytes
        self._subject = self._make()
        self._guard = RLock()
        self._users = 0
        self._running: abc.DisposableBase | None = None

    def _make(self) -> TimeWindowSubject:
        return TimeWindowSubject(self._span / 1e9, max_bytes=self._most, name="replay")

    def _subscribe_core(
        self, observer: abc.ObserverBase[Chunk], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        return self.attach(observer, scheduler, StartPosition())

    def attach(
        self,
        observer: abc.ObserverBase[Chunk],
        scheduler: abc.SchedulerBase | None,
        start: StartPosition,
    ) -> abc.DisposableBase:
        """Subscribe from a start on; the first subscriber sets the source going."""
        with self._guard:
            if self._users == 0:
                self._subject = self._make()  # old chunks never pass for new ones
            self._users += 1
            first, subject = self._users == 1, self._subject
            subscription = subject.attach(observer, scheduler, start)
        if first:
            store = _Store(subject, self._most)
            self._running = self._source.subscribe(
                store.on_next, subject.on_error, subject.on_completed, scheduler=scheduler
            )

        def leave() -> None:
            subscription.dispose()
            with self._guard:
                self._users -= 1
                running, last = self._running, self._users == 0
            if last and running is not None:
                running.dispose()
                subject.on_completed()

        return Disposable(leave)

    def check_start(self, start: StartPosition) -> None:
        """Raise `ParameterError` if a start lies further back than the window reaches."""
        self._subject.check_start(start)

    def rewind(self, seconds: Duration | None = None, *, to: Time | None = None) -> WindowView:
        """Begin in the past and go on live."""
        return WindowView(self, StartPosition()).rewind(seconds, to=to)

    def on_lag(self, policy: Policy, *, name: str | None = None) -> WindowView:
        """Choose what happens to a subscriber that is too slow."""
        return WindowView(self, StartPosition()).on_lag(policy, name=name)

    def last(self, seconds: Duration) -> Chunk:  # type: ignore[override]  # Rx's fluent `last` is .pipe(last())
        """Return the newest ``seconds`` [s] as one chunk."""
        return self._subject.last(seconds)

    def between(self, t0: Time, t1: Time) -> Chunk:
        """Return what lies from ``t0`` to before ``t1``."""
        return self._subject.between(t0, t1)


def replay_window(
    duration: Duration, *, max_bytes: int = DEFAULT_BYTES
) -> Callable[[Observable[Chunk]], Observable[Chunk]]:
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
    return lambda source: _Replayed(source, span, max_bytes)
