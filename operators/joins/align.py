"""align: the matching samples of other streams for every sample of one (as-of join)."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeAlias

from reactivex import Observable, abc

from rxstream.data.chunk import Chunk
from rxstream.data.clock import Duration, to_span
from rxstream.data.interpolation import Method
from rxstream.errors import ParameterError
from rxstream.operators.joins.align_step import Align, Aligned, Unmatched
from rxstream.operators.joins.join_side import JoinSide
from rxstream.operators.values.grid_resampler import GridResampler, checked_rate
from rxstream.printable import shown
from rxstream.steps.heartbeats import keep_heartbeats
from rxstream.steps.in_order import lift_in_order
from rxstream.steps.multi import lift_multi, stream_names
from rxstream.steps.stream import Stream, label
from rxstream.validation import check_choice, is_number

__all__ = ["Unmatched", "align"]

Report: TypeAlias = Callable[[Unmatched], Any]

# Largest offset [s], 127 years: times with it still fit into int64 [ns].
_MAX_OFFSET = 4e9


@label
def align(
    *others: Observable[Chunk],
    method: Method = "nearest",
    tolerance: Duration = 1.0,
    offset: float | Sequence[float] = 0.0,
    rate: float | None = None,
    unmatched: Report | abc.ObserverBase[Unmatched] | None = None,
    lateness: Duration = 2.0,
) -> Callable[[Observable[Chunk]], Stream[Aligned]]:
    """For each sample of the source, look up the matching sample of every other stream.

    This is an as-of join: the samples that are returned have the times of the source.

    .. marble::

        --1---2---3---4---5--|          samples
        -a------b-----------c---|       of another stream
        [  align(other, tolerance=3)  ]
        --1---2---3-------5--|          the samples that have a partner,
        --a---b---b-------c--|          and their partners, as chunks of equal length

    Parameters
    ----------
    others
        The partners. Their samples may be reused or skipped without a report: it is a left join.
    method
        ``"nearest"``: the nearest sample, of two the earlier one; ``"previous"``: the last one not
        after; ``"linear"``: the value on the line between the samples before and after, whole
        numbers rounded; at exactly a sample's time that sample. Only ``"nearest"`` looks across
        gaps.
    tolerance
        Largest distance of a partner [s]; for a line, of both its ends.
    offset
        Added to the partners' times first [s]: one for all, or one for each.
    rate
        Rate of a common grid [Hz], whose times take the place of the source's: the source goes
        through `resample` first, with ``"linear"`` for floating point numbers, else ``"previous"``.
    unmatched
        A function or an observer that gets `Unmatched`: samples of the source that were left out,
        the partner that lacks them, and the reason. It is called in the stream, and holds that up
        while it works. An observer gets no end.
    lateness
        Largest lag of a stream behind the newest chunk of all [s], in stream time; one that lags
        more is not waited for. Counted by arrival, whatever the ``offset``.

    Returns
    -------
    operator
        Tuples of chunks ``(source, other1, other2, ...)`` of one length, one time axis, one index
        and the same gaps, those of the source. The partners keep name, unit and dtype. Samples
        for which a partner has none are left out: a `Gap` with reason ``"unmatched"`` before the
        next match counts them; it includes the gaps of the source that it runs across.

        Samples decided at once come in one tuple, with such gaps between them
        (`Chunk.gap_positions`). A tuple comes as soon as all its partners are known: with
        ``"previous"`` once they have come up to its time, else once no better one can come, at
        most ``tolerance`` later. It ends when the source has ended and all is decided.

        The result does not depend on how the streams are cut, or which one comes first, as long as
        none is later than ``lateness``. Nor do the reasons, except ``"late"``: a stream without
        heartbeats that is silent for longer than ``lateness`` is taken for late.

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
    [] [] gap of 1 s, 1 sample lost (unmatched)
    """
    names = stream_names(others, "align")
    check_choice(method, Method, "align: method")
    reach, late = to_span(tolerance, "tolerance", zero=True), to_span(lateness, "lateness")
    shifts = _offsets(offset, len(others))
    report = unmatched.on_next if isinstance(unmatched, abc.ObserverBase) else unmatched
    if report is not None and not callable(report):
        msg = f"align: unmatched must be a function or an observer, not {shown(unmatched)}"
        raise ParameterError(msg)
    on_unmatched: Report | None = report

    def make() -> Align:
        each = zip(names, shifts, strict=True)
        partners = [JoinSide(k, name, method, reach, by) for k, (name, by) in enumerate(each, 1)]
        return Align(partners, late, report=on_unmatched is not None)

    join: Callable[[Observable[Chunk]], Stream[Any]] = lift_multi(make, others, "align")
    onto = None if rate is None else _onto(rate)

    def operator(source: Observable[Chunk]) -> Stream[Aligned]:
        joined = join(source if onto is None else onto(source))
        return joined if on_unmatched is None else _reported(joined, on_unmatched)

    return operator


class _Onto:
    """A `Step`: samples on a grid, by a method that suits their type."""

    __slots__ = ("_rate", "_resampler")

    def __init__(self, rate: float) -> None:
        self._rate = rate
        self._resampler: GridResampler | None = None

    def push(self, chunk: Chunk) -> Iterable[Chunk]:
        if self._resampler is None:
            # between whole numbers, which may be flags or states, a line would invent values
            lines = chunk.info.dtype.kind in "fc"
            self._resampler = GridResampler(self._rate, "linear" if lines else "previous", None)
        return self._resampler.push(chunk)

    def flush(self) -> Iterable[Chunk]:
        return () if self._resampler is None else self._resampler.flush()


def _onto(rate: float) -> Callable[[Observable[Chunk]], Stream[Chunk]]:
    hz = checked_rate(rate, "align")
    return lift_in_order(lambda: _Onto(hz))


def _reported(joined: Stream[Any], report: Report) -> Stream[Aligned]:
    """Return the tuples, and send what is unmatched elsewhere."""
    items = keep_heartbeats(joined)

    def subscribe(
        observer: abc.ObserverBase[Aligned], scheduler: abc.SchedulerBase | None = None
    ) -> abc.DisposableBase:
        forward = observer.on_next

        def on_next(item: Any) -> None:
            if type(item) is tuple:
                forward(item)
            else:
                report(item)

        return items.subscribe(
            on_next, observer.on_error, observer.on_completed, scheduler=scheduler
        )

    return Stream(subscribe, joined)


def _offsets(offset: Any, count: int) -> list[int]:
    values = list(offset) if _are_several(offset) else [offset] * count
    if len(values) != count:
        msg = f"align: {len(values)} offsets for {count} streams; give one, or one for each"
        raise ParameterError(msg)
    return [_shift(value) for value in values]


def _are_several(offset: Any) -> bool:
    # numpy has arrays that hold one number and are iterable by their type alone
    return isinstance(offset, Iterable) and getattr(offset, "ndim", 1) > 0


def _shift(value: Any) -> int:
    if not is_number(value) or abs(value) > _MAX_OFFSET:
        msg = f"align: offset must be seconds, not {shown(value)}"
        raise ParameterError(msg)
    return round(float(value) * 1e9)
