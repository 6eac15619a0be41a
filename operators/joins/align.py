"""align: for every sample of one stream its partner in others."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, get_args

from reactivex import Observable, abc

from rxstream.data.chunk import Chunk
from rxstream.data.clock import Duration, to_span
from rxstream.errors import ParameterError
from rxstream.operators.joins.align_step import Align, Aligned, Unmatched
from rxstream.operators.joins.join_side import JoinSide
from rxstream.operators.signal.grid_resampler import GridResampler
from rxstream.operators.signal.resample import checked_rate
from rxstream.steps.lift import lift
from rxstream.steps.multi import lift_multi, stream_names
from rxstream.validation import is_number

__all__ = ["Unmatched", "align"]

Method = Literal["nearest", "previous", "linear"]
Report = Callable[[Unmatched], Any]


def align(
    *others: Observable[Chunk],
    method: Method = "nearest",
    tolerance: Duration = 1.0,
    offset: float | Sequence[float] = 0.0,
    rate: float | None = None,
    unmatched: Report | abc.ObserverBase[Unmatched] | None = None,
    lateness: Duration = 2.0,
) -> Callable[[Observable[Chunk]], Observable[tuple[Chunk, ...]]]:
    """Give for every sample its partner in each of the other streams, at the same times.

    .. marble::

        --1---2---3---4---5--|          samples
        -a------b-----------c---|       of another stream
        [  align(other, tolerance=3)  ]
        --1---2---3-------5--|          the samples that have a partner,
        --a---b---b-------c--|          and their partners, as chunks of equal length

    Parameters
    ----------
    others
        The partners. Their samples may be used several times or never, which is not told: the
        join has one side.
    method
        ``"nearest"``: the sample least far away, of two the earlier one; ``"previous"``: the last
        one not after; ``"linear"``: the value on the line between the one before and the one after,
        whole numbers rounded; at exactly a sample's time that sample. Only ``"nearest"`` looks
        across gaps.
    tolerance
        How far a partner may be [s]; for a line, both of its ends.
    offset
        Added to the partners' times before [s]: one for all, or one for each.
    rate
        Instead of at the source's times, at those of a common grid at this rate [Hz]: the source
        goes through `resample` first, on lines if it is of floating point numbers, else held.
    unmatched
        A function or an observer, called with `Unmatched`: samples of the source left out, by
        which partner, and why; an observer gets no end. Called in the stream: what takes long
        holds it up.
    lateness
        By how much a stream may be behind the newest chunk of all [s], in stream time, until it is
        waited for no more; by its arrival, whatever its ``offset``.

    Returns
    -------
    operator
        Tuples of chunks ``(source, other1, other2, ...)`` of one length, one time axis, one index
        and the same gaps, those of the source. The partners keep name, unit and dtype. Samples
        that some partner does not serve are left out: a `Gap` with why ``"unmatched"`` before the
        next match tells how many; where it goes on over a gap of the source, that is in it.

        What is decided at once comes in one tuple, with such gaps between its samples
        (`Chunk.gap_positions`). A tuple comes as soon as all its partners are known: with
        ``"previous"`` when they have told of its time, else when it is sure that no better one
        comes, at most ``tolerance`` later. It ends when the source has ended and all is decided.

        What comes does not depend on how the streams are cut, or which one comes first, as long as
        none is later than ``lateness``. Nor do the reasons, but for ``"late"``: a stream without
        heartbeats, silent for longer than ``lateness``, is taken for late.

    Raises
    ------
    ParameterError
        If there are no partners, one is no Observable, the method is unknown, ``tolerance`` is
        negative, ``lateness`` or ``rate`` not positive, there are more or fewer offsets than
        partners, or ``unmatched`` cannot be called.
    ChunkError
        Downstream, for lines between samples that are no numbers.

    See Also
    --------
    resample : one stream at other times.
    merge_by_time : several streams in the order of their times.

    Examples
    --------
    >>> import numpy as np, reactivex as rx
    >>> from rxstream import Chunk, StreamInfo
    >>> a = Chunk.regular(np.arange(4), StreamInfo("a", 1.0, (), np.int64), start=0)
    >>> b = Chunk.regular(np.arange(25.0), StreamInfo("b", 10.0, (), np.float64), start=50_000_000)
    >>> def show(pair):
    ...     print(*(chunk.data for chunk in pair), pair[0].gap)
    >>> rx.of(a).pipe(align(rx.of(b), tolerance=0.1)).subscribe(show).dispose()
    [0 1 2] [ 0.  9. 19.] None
    [] [] gap of 1 s, 1 samples lost (unmatched)
    """
    names = stream_names(others, "align")
    if method not in get_args(Method):
        msg = f"align: method must be 'nearest', 'previous' or 'linear', not {method!r}"
        raise ParameterError(msg)
    reach, late = to_span(tolerance, "tolerance", zero=True), to_span(lateness, "lateness")
    shifts = _offsets(offset, len(others))
    report = unmatched.on_next if isinstance(unmatched, abc.ObserverBase) else unmatched
    if report is not None and not callable(report):
        msg = f"align: unmatched must be a function or an observer, not {unmatched!r}"
        raise ParameterError(msg)
    told: Report | None = report

    def make() -> Align:
        each = zip(names, shifts, strict=True)
        partners = [JoinSide(k, name, method, reach, by) for k, (name, by) in enumerate(each, 1)]
        return Align(partners, late, tell=told is not None)

    join: Callable[[Observable[Chunk]], Observable[Any]] = lift_multi(make, others, "align")
    onto = None if rate is None else _onto(rate)

    def operator(source: Observable[Chunk]) -> Observable[Aligned]:
        joined = join(source if onto is None else onto(source))
        return joined if told is None else _reported(joined, told)

    return operator


class _Onto:
    """A `Step`: samples on a grid, on lines where there can be any that are exact."""

    __slots__ = ("_raster", "_rate")

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._raster: GridResampler | None = None

    def push(self, chunk: Chunk) -> Iterable[Chunk]:
        if self._raster is None:
            lines = chunk.info.dtype.kind in "fc"
            self._raster = GridResampler(self._rate, "linear" if lines else "previous", None)
        return self._raster.push(chunk)

    def flush(self) -> Iterable[Chunk]:
        return () if self._raster is None else self._raster.flush()


def _onto(rate: float) -> Callable[[Observable[Chunk]], Observable[Chunk]]:
    hz = checked_rate(rate, "align")
    return lift(lambda: _Onto(hz))


def _reported(joined: Observable[Any], report: Report) -> Observable[Aligned]:
    """Return the tuples, and send what is unmatched elsewhere."""

    def subscribe(
        observer: abc.ObserverBase[Aligned], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        forward = observer.on_next

        def on_next(item: Any) -> None:
            if type(item) is tuple:
                forward(item)
            else:
                report(item)

        return joined.subscribe(
            on_next, observer.on_error, observer.on_completed, scheduler=scheduler
        )

    return Observable(subscribe)


def _offsets(offset: Any, count: int) -> list[int]:
    values = list(offset) if isinstance(offset, Iterable) else [offset] * count
    if len(values) != count:
        msg = f"align: {len(values)} offsets for {count} streams; give one, or one for each"
        raise ParameterError(msg)
    return [_shift(value) for value in values]


def _shift(value: Any) -> int:
    if not is_number(value) or abs(value) > _FAR:
        msg = f"align: offset must be seconds, not {value!r}"
        raise ParameterError(msg)
    return round(float(value) * 1e9)


_FAR = 4e9  # [s]
