"""`Replay`: the history of a window as a stream that ends, given by ``past``."""

from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

from reactivex import Observable, abc
from reactivex.disposable import Disposable

from rxstream.data.chunk import Chunk
from rxstream.data.clock import Time
from rxstream.data.timed import interval_of, trim_to
from rxstream.errors import ParameterError
from rxstream.printable import shown
from rxstream.steps.heartbeats import keep_heartbeats
from rxstream.steps.lift import lift
from rxstream.steps.stream import Stream
from rxstream.steps.watermark import FOREVER, NEVER
from rxstream.window.log import Log
from rxstream.window.starts import StartPosition

__all__ = ["Replay"]


class Excerpt(NamedTuple):
    """The chunks of one subscription to a `Replay`."""

    warmup: list[Chunk]
    """Chunks before the requested start."""
    requested: list[Chunk]
    begin: int
    """The requested start [ns]."""


class Replay(Stream[Chunk]):
    """The history as a cold Observable: each subscription gets it again, then ends.

    A subscription gives what was requested. With a warm-up, `pipe` runs the operators over that
    too, so that filters have settled, and leaves out what they give for it.

    Parameters
    ----------
    log
        The window.
    back
        Length, counted back from the newest sample or from ``end`` [ns]. Exclusive with ``start``.
    start, end
        Interval [ns]; None for all there is.
    warmup
        How much earlier `pipe` begins [ns].
    cut
        Whether `pipe` cuts results to the requested start.
    """

    def __init__(
        self,
        log: Log,
        *,
        back: int | None = None,
        start: int | None = None,
        end: int | None = None,
        warmup: int = 0,
        cut: bool = True,
    ) -> None:
        super().__init__()
        self._log, self._back, self._from = log, back, start
        self._to = FOREVER if end is None else end
        self._warmup, self._cut = warmup, cut

    @property
    def name(self) -> str:
        """Name of the stream."""
        return self._log.name

    def between(self, t0: Time, t1: Time) -> Chunk:
        """Return what its window holds from ``t0`` to before ``t1``, also beyond the request.

        Raises
        ------
        ChunkError
            If nothing has ever come.
        ParameterError
            If ``t1`` is before ``t0``.
        """
        return self._log.between(t0, t1)

    def check_start(self, start: StartPosition) -> None:
        """Raise `ParameterError` if a start lies further back than its window reaches."""
        start.check(self._log)

    @property
    def chain(self) -> str:
        """Name of the stream, and which part of it."""
        seconds = "" if self._back is None else f"{self._back / 1e9:g}"
        return f"{self._log.name}.past({seconds})"

    def _subscribe_all(
        self, observer: abc.ObserverBase[Chunk], scheduler: abc.SchedulerBase | None
    ) -> abc.DisposableBase:
        return _deliver(self._read().requested, observer, scheduler)

    def _read(self) -> Excerpt:
        newest = self._log.newest()
        begin = NEVER if self._from is None else self._from
        if self._back is not None and newest is not None:
            begin = min(self._to, newest.end) - self._back
        chunks = self._log.chunks(begin - self._warmup, self._to)
        warmup = [chunk for chunk in chunks if chunk.covered_from < begin]
        requested = chunks[len(warmup) :]
        if warmup and warmup[-1].end > begin:
            over = warmup[-1]
            warmup[-1] = over.between(over.covered_from, begin)
            requested.insert(0, over.between(begin, over.end))
        return Excerpt(warmup, requested, begin)

    def pipe(self, *operators: Callable[[Any], Any]) -> Any:
        """Run operators over the history, its warm-up included, and leave out the warm-up's part.

        With a warm-up, what the last operator gives must have a time, by which it is cut or left
        out. Chunks, and tuples of chunks that cover the same interval, as of ``align``, are cut to
        the sample at the requested start. Anything else that is `Timed`, as a `Clip` or a joined
        window, stays whole if it ends after that start. Turn results into numbers in a further
        pipe: ``past.pipe(ops.window_by_time(1)).pipe(ops.map_parallel(peak))``. So too what counts
        or adds up from the beginning on, unless the warm-up is to be counted in.

        Raises
        ------
        ParameterError
            If the last operator gives no Observable; downstream, at the first result that has no
            time.
        """
        if not (operators and self._warmup):
            return super().pipe(*operators)
        # Operators check their source when they are applied to it: let them fail here already.
        built = Stream[Chunk](lambda *_: Disposable(), label=self.chain).pipe(*operators)
        if not isinstance(built, Observable):
            msg = f"past(...).pipe must end in an Observable, not in a {type(built).__name__}"
            raise ParameterError(msg)

        def subscribe(
            observer: abc.ObserverBase[Any], scheduler: abc.SchedulerBase | None
        ) -> abc.DisposableBase:
            excerpt = self._read()
            source = Stream(partial(_deliver, [*excerpt.warmup, *excerpt.requested]))
            last = lift(partial(_WarmupFilter, excerpt.begin, len(operators), cut=self._cut))
            results = keep_heartbeats(last(source.pipe(*operators)))
            return results.subscribe(observer, scheduler=scheduler)

        return built.over(subscribe) if isinstance(built, Stream) else Stream(subscribe, built)


class _WarmupFilter:
    """Drops results of the warm-up alone, and cuts chunks that reach over its end."""

    __slots__ = ("_begin", "_cut", "_number")

    def __init__(self, begin: int, number: int, *, cut: bool) -> None:
        self._begin, self._number, self._cut = begin, number, cut

    def push(self, item: Any) -> tuple[Any, ...]:
        interval = interval_of(item)
        if interval is None:
            msg = (
                f"past(warmup=...).pipe: what operator {self._number} gives has no time "
                f"({shown(item, 80)}), so whether it is of the warm-up is not known; end "
                "the pipe where "
                "results still have one: past(...).pipe(...).pipe(this_operator, ...)"
            )
            raise ParameterError(msg)
        start, end = interval
        if start >= self._begin:
            return (item,)
        if end <= self._begin:
            return ()
        return (trim_to(item, self._begin) if self._cut else item,)

    def flush(self) -> tuple[()]:
        return ()


def _deliver(
    chunks: list[Chunk],
    observer: abc.ObserverBase[Chunk],
    _scheduler: abc.SchedulerBase | None = None,
) -> abc.DisposableBase:
    for chunk in chunks:
        observer.on_next(chunk)
    observer.on_completed()
    return Disposable()
