"""meter: report true rate, jitter, delay, losses and clock of a stream."""

from collections.abc import Callable

from reactivex import Observable

from rxstream.data.chunk import Chunk
from rxstream.data.clock import Duration, to_span
from rxstream.data.flow import Flow, Meter
from rxstream.steps.lift import lift
from rxstream.steps.stream import Stream, label

__all__ = ["meter"]


class _Meter:
    __slots__ = ("_every", "_meter", "_next")

    def __init__(self, every: int) -> None:
        self._every, self._meter = every, Meter()
        self._next: int | None = None

    def push(self, chunk: Chunk) -> tuple[Flow, ...]:
        if self._next is None:
            self._next = chunk.start + self._every
        self._meter.push(chunk)
        if chunk.end < self._next:
            return ()
        self._next += self._every * ((chunk.end - self._next) // self._every + 1)
        return (self._meter.flow(),)

    def flush(self) -> tuple[Flow, ...]:
        return () if self._next is None else (self._meter.flow(),)


@label
def meter(every: Duration = 1.0) -> Callable[[Observable[Chunk]], Stream[Flow]]:
    """Report flow statistics: true rate, ppm, jitter, delay, losses, uncertainty of times.

    .. marble::

        --a-b-c--x-d-e-f-g--|
        [   meter(every=3)  ]
        ------m------m------m|

    Parameters
    ----------
    every
        Stream time from one report to the next [s].

    Returns
    -------
    operator
        A `Flow` each ``every`` seconds and one at the end. Counts are since the subscription; the
        rate is measured from when the clock model has settled.

    Raises
    ------
    ParameterError
        If ``every`` is not positive.

    Examples
    --------
    >>> import numpy as np, reactivex as rx
    >>> from rxstream import Chunk, StreamInfo
    >>> info = StreamInfo("x", 10.0, (), np.int64)
    >>> chunk = Chunk.regular(np.arange(30), info, start=0)
    >>> rx.of(chunk[:15], chunk[15:]).pipe(meter(every=10)).subscribe(
    ...     lambda flow: print(flow.samples, flow.rate, flow.lost)).dispose()
    30 10.0 0
    """
    span = to_span(every, "every")
    return lift(lambda: _Meter(span))
