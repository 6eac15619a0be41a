"""The one value that flows: a `Chunk` of samples, its times, and what was lost before them."""

from collections.abc import Sequence
from typing import Any, Generic, Self, cast

import numpy as np
from numpy.typing import DTypeLike, NDArray
from typing_extensions import TypeVar

from rxstream.data.axis import NO_TIMES, Axis, Evidence, max_uncertainty
from rxstream.data.checked import (
    as_array,
    check_facts,
    checked_data,
    regular_axis,
    same_values,
    stamped_axis,
)
from rxstream.data.clock import Time, format_time, to_ns
from rxstream.data.copies import own_axis, own_data
from rxstream.data.displayed import Displayed
from rxstream.data.gap import Gap, GapAt, cut_gaps
from rxstream.data.stream_info import StreamInfo
from rxstream.errors import ChunkError, ParameterError
from rxstream.printable import shown
from rxstream.validation import is_time, is_whole

__all__ = ["Chunk"]

S = TypeVar("S", bound=np.generic, default=Any)


class Chunk(Displayed, Generic[S]):
    """Samples with their times; immutable, and cheap to slice.

    Make one with `Chunk.regular` or `Chunk.stamped`. A part holds the memory of the whole, and a
    small chunk of a device up to 64 KiB that it shares with others: keep a `copy` of what is rare.

    Examples
    --------
    >>> info = StreamInfo("ramp", rate=1000.0, dtype=np.int64)
    >>> chunk = Chunk.regular(np.arange(5), info, start=0)
    >>> chunk.time.tolist()
    [0, 1000000, 2000000, 3000000, 4000000]
    >>> chunk[1:3].index, chunk[1:3].start, chunk[1:3].end
    (1, 1000000, 3000000)
    >>> chunk.between(0, 2_000_000) + chunk.between(2_000_000, 5_000_000) == chunk
    True
    """

    __slots__ = ("_axis", "_data", "_end", "_gap_positions", "_index", "_info", "_start")

    def __init__(
        self, data: NDArray[S], axis: Axis, start: int, end: int, index: int, info: StreamInfo,
        gap_positions: tuple[GapAt, ...] = (),
    ) -> None:  # fmt: skip
        """Take parts that fit; nothing is checked here (``data`` must be read-only)."""
        self._data, self._axis = data, axis
        self._start, self._end, self._index = start, end, index
        self._info, self._gap_positions = info, gap_positions

    # -- making one ---------------------------------------------------------------------------

    @classmethod
    def regular(
        cls, data: NDArray[S], info: StreamInfo, *, start: Time, index: int = 0,
        gap: Gap | None = None, period: float | None = None, uncertainty: float = 0.0,
    ) -> Self:  # fmt: skip
        """Return a chunk of samples at equal distances.

        Parameters
        ----------
        data
            ``(n, *info.shape)``.
        info
            Its ``rate`` gives the distance of samples, unless ``period`` [ns] does.
        start
            Time of the first sample.
        index
            Number of the first sample since the session began, lost samples counted in.
        gap
            What was lost right before.
        period
            True distance of samples [ns], at least 1.
        uncertainty
            Half width of the 95 % interval of the times [ns].

        Raises
        ------
        ParameterError
            If there is neither a rate nor a period, or it is less than 1 ns.
        ChunkError
            If the data is not of the shape and dtype that ``info`` says.
        """
        view = checked_data(data, info)
        check_facts(index, gap, uncertainty)
        axis = regular_axis(info, to_ns(start), period, len(view), uncertainty)
        end = axis.at(len(view))
        return cls(view, axis, axis.origin, end, index, info, (GapAt(0, gap),) if gap else ())

    @classmethod
    def stamped(
        cls, data: NDArray[S], time: "NDArray[np.int64] | Sequence[int]", info: StreamInfo, *,
        start: Time | None = None, end: Time | None = None, index: int = 0,
        gap: Gap | None = None, uncertainty: float = 0.0,
    ) -> Self:  # fmt: skip
        """Return a chunk of samples with a time each.

        Parameters
        ----------
        data
            ``(n, *info.shape)``.
        time
            int64 ``(n,)`` [ns], non-decreasing. Each sample has a time of its own: of equal stamps
            the later ones come 1 ns after the one before, or, where ``end`` leaves no room for
            that, the earlier ones 1 ns before the next.
        info
            Description of the stream.
        start, end
            Covered interval: nothing else happened from ``start`` to before ``end``.
            Default: from the first time to 1 ns after the last. An empty chunk needs both.
        index, gap, uncertainty
            As for `regular`.

        Raises
        ------
        ChunkError
            If stamps go back, do not match the data, lie outside ``start`` and ``end``, or are
            more than there are nanoseconds between these.

        Examples
        --------
        >>> keys = StreamInfo("keys", dtype=np.int64)
        >>> Chunk.stamped(np.arange(4), [5, 5, 5, 9], keys).time.tolist()
        [5, 6, 7, 9]
        """
        view = checked_data(data, info)
        check_facts(index, gap, uncertainty)
        axis, t0, t1 = stamped_axis(time, len(view), start, end, uncertainty)
        return cls(view, axis, t0, t1, index, info, (GapAt(0, gap),) if gap else ())

    @classmethod
    def empty(
        cls,
        info: StreamInfo,
        start: int,
        end: int | None = None,
        *,
        index: int = 0,
        gap_positions: tuple[GapAt, ...] = (),
    ) -> Self:
        """Return a chunk without samples: a heartbeat, or gaps that no sample follows.

        Parameters
        ----------
        info
            Description of the stream.
        start, end
            Covered interval [ns]; ``end`` is ``start`` if it is not given.
        index
            Number of the sample that comes next.
        gap_positions
            Gaps, all at position 0.

        Examples
        --------
        >>> Chunk.empty(StreamInfo("mic", rate=8000.0, shape=(2,)), 5, 9).shape
        (0, 2)
        """
        data = np.empty((0, *info.shape), info.dtype)
        data.flags.writeable = False
        stop = start if end is None else end
        return cls(cast("NDArray[S]", data), NO_TIMES, start, stop, index, info, gap_positions)

    # -- what it holds ------------------------------------------------------------------------

    @property
    def data(self) -> NDArray[S]:
        """Samples ``(n, *shape)``, read-only; axis 0 is time."""
        return self._data

    @property
    def info(self) -> StreamInfo:
        """Description of the stream."""
        return self._info

    @property
    def start(self) -> int:
        """Start of the covered interval [ns]; the first sample is at or after it."""
        return self._start

    @property
    def end(self) -> int:
        """End of the covered interval [ns], exclusive: nothing before it is still to come."""
        return self._end

    @property
    def index(self) -> int:
        """Number of the first sample since the session began, lost samples counted in."""
        return self._index

    @property
    def next_index(self) -> int:
        """Number of the sample that comes next, samples lost before it counted in."""
        after = self._index + len(self._data)
        if self._gap_positions:
            after += sum(gap.lost or 0 for at, gap in self._gap_positions if at)
        return after

    @property
    def first_index(self) -> int:
        """Number of the first sample covered, samples lost right before `index` counted in."""
        return self._index - sum(gap.lost or 0 for at, gap in self._gap_positions if at == 0)

    @property
    def shape(self) -> tuple[int, ...]:
        """Shape of the samples, ``(n, *info.shape)``."""
        return self._data.shape

    @property
    def dtype(self) -> np.dtype[S]:
        """Type of the samples."""
        return self._data.dtype

    @property
    def axis(self) -> Axis:
        """The times, compactly."""
        return self._axis

    @property
    def time(self) -> NDArray[np.int64]:
        """Times [ns], int64 ``(n,)``; made when asked."""
        return self._axis.times()

    @property
    def rate(self) -> float | None:
        """Nominal rate [Hz], or None."""
        return self._info.rate

    @property
    def duration(self) -> float:
        """``end - start`` [s]."""
        return (self._end - self._start) / 1e9

    @property
    def gap_positions(self) -> tuple[GapAt, ...]:
        """Every gap with its position: the number of samples before it."""
        return self._gap_positions

    @property
    def gap(self) -> Gap | None:
        """What was lost right before the first sample, or None."""
        found: Gap | None = None
        for at, gap in self._gap_positions:
            if at:
                break
            found = gap if found is None else found.join(gap)
        return found

    @property
    def gaps(self) -> tuple[Gap, ...]:
        """Every gap before, between and after the samples."""
        return tuple(gap for _, gap in self._gap_positions)

    @property
    def lost(self) -> int:
        """Number of samples known to be lost in its gaps."""
        return sum(gap.lost or 0 for _, gap in self._gap_positions)

    @property
    def coverage(self) -> float:
        """Share of the time from `start` to `end` that no gap covers, 0 to 1."""
        span = self._end - self._start
        if not self._gap_positions or span <= 0:
            return 1.0
        missing = sum(
            max(0, min(gap.end, self._end) - max(gap.start, self._start))
            for _, gap in self._gap_positions
        )
        return 1.0 - missing / span

    @property
    def uncertainty(self) -> float:
        """Half width of the 95 % interval of its times [ns], where they are least certain.

        A latency nobody can see is not in it. NaN where nobody can know: of stamps made on
        arrival, and of stamps that an interface gives without saying how good they are.
        """
        return max_uncertainty(self._axis.parts())

    @property
    def evidence(self) -> tuple[Evidence, ...]:
        """The raw evidence of each reading its samples came from."""
        found = (part.evidence for part in self._axis.parts())
        return tuple(item for item in found if item is not None)

    @property
    def arrival(self) -> int | None:
        """Host time [ns] at which its last sample arrived, or None."""
        evidence = self._axis.parts()[-1].evidence
        return None if evidence is None else evidence.arrival

    @property
    def nbytes(self) -> int:
        """Bytes of the samples."""
        return self._data.nbytes

    def __len__(self) -> int:
        return len(self._data)

    def __bool__(self) -> bool:
        """Return True, also for an empty one: a heartbeat is news, not nothing."""
        return True

    def __array__(self, dtype: DTypeLike | None = None, copy: bool | None = None) -> NDArray[Any]:
        if dtype is None or np.dtype(dtype) == self._data.dtype:
            return self._data.copy() if copy else self._data
        return self._data.astype(dtype)

    # -- parts of it --------------------------------------------------------------------------

    def __getitem__(self, key: slice) -> "Chunk[S]":
        """Return samples ``i:j`` as a view."""
        if not isinstance(key, slice) or key.step not in (None, 1):
            msg = f"chunk[{shown(key)}]: take samples by chunk[i:j]; for values use chunk.data[...]"
            raise TypeError(msg)
        n = len(self._data)
        i, j, _ = key.indices(n)
        j = max(i, j)
        if i == 0 and j == n:
            return self
        index, gap_positions = self._index + i, self._gap_positions
        if gap_positions:
            index += sum(gap.lost or 0 for at, gap in gap_positions if 0 < at <= i)
            gap_positions = tuple(
                GapAt(at - i, gap) for at, gap in gap_positions if i <= at < j or (i < j == n == at)
            )
        end = self._edge(j, before=True)
        start = end if i == j else self._edge(i, before=False)
        return Chunk(
            self._data[i:j], self._axis.cut(i, j), start, end, index, self._info, gap_positions
        )

    def _edge(self, i: int, *, before: bool) -> int:
        """Return where samples ``:i`` end (`before`), or ``i:`` begin, on this side of a gap."""
        if before and i == len(self._data):
            return self._end
        gaps = [gap for at, gap in self._gap_positions if at == i]
        if gaps and before:
            return min(gaps[0].start, self._start) if i == 0 else gaps[0].start
        if gaps and i:
            return gaps[-1].end
        return self._axis.at(i) if i else self._start

    def between(self, t0: Time, t1: Time) -> "Chunk[S]":
        """Return what lies from ``t0`` to before ``t1``, exactly.

        ``a.between(x, y) + a.between(y, z) == a.between(x, z)``; a gap that is cut keeps its
        parts, whose ``lost`` add up. Times outside are clipped.

        Raises
        ------
        ParameterError
            If ``t1`` is before ``t0``.
        """
        x, y = to_ns(t0), to_ns(t1)
        if y < x:
            msg = f"between({x}, {y}): the end is before the start"
            raise ParameterError(msg)
        low = self.covered_from
        x, y = min(max(x, low), self._end), min(max(y, low), self._end)
        if x == low and y == self._end:
            return self
        axis = self._axis
        i, j = axis.find(x), axis.find(y)
        start, shift, gap_positions = x, 0, self._gap_positions
        if gap_positions:
            start, shift, gap_positions = cut_gaps(gap_positions, i, j, x, y, self._end)
        data, index = self._data[i:j], self._index + i + shift
        return Chunk(data, axis.cut(i, j), start, y, index, self._info, gap_positions)

    @property
    def covered_from(self) -> int:
        """Start of the covered interval with the gap right before it [ns]."""
        if self._gap_positions and self._gap_positions[0][0] == 0:
            return min(self._start, self._gap_positions[0][1].start)
        return self._start

    def __add__(self, other: "Chunk[S]") -> "Chunk[S]":
        from rxstream.data.concat import concat  # concat builds chunks, so it imports this module

        return concat((self, other))

    # -- the same with something else ---------------------------------------------------------

    def with_data(self, data: NDArray[Any], info: StreamInfo | None = None) -> "Chunk[Any]":
        """Return other values ``(n, ...)`` at the same times.

        Raises
        ------
        ChunkError
            If the number of samples is another.
        """
        if type(data) is not np.ndarray:
            data = as_array(data, "with_data: data")
        if info is not None and not isinstance(info, StreamInfo):
            msg = f"with_data: info must be a StreamInfo, or None, not {shown(info)}"
            raise ParameterError(msg)
        if not data.ndim or len(data) != len(self._data):
            count = len(data) if data.ndim else "none"
            msg = f"with_data: {len(self._data)} samples before, {count} after"
            raise ChunkError(msg)
        view = data.view()
        view.flags.writeable = False
        return self._replace(data=view, info=self._info.like(view) if info is None else info)

    def shifted(self, by: int) -> "Chunk[S]":
        """Return the same samples and gaps at times later by ``by`` [ns]; less than 0: earlier."""
        fits = is_whole(by) and is_time(self._start + int(by)) and is_time(self._end + int(by))
        if not fits:
            msg = f"shifted: by must be whole nanoseconds within int64, not {shown(by)}"
            raise ParameterError(msg)
        by = int(by)
        return self._replace(
            axis=self._axis.shifted(by), start=self._start + by, end=self._end + by,
            gap_positions=tuple(GapAt(at, gap.shifted(by)) for at, gap in self._gap_positions),
        )  # fmt: skip

    def with_gap(self, gap: Gap) -> "Chunk[S]":
        """Return it with one more gap right before the first sample."""
        if not isinstance(gap, Gap):
            msg = f"with_gap takes a Gap, not {shown(gap)}"
            raise ParameterError(msg)
        return self._replace(gap_positions=(GapAt(0, gap), *self._gap_positions))

    def copy(self) -> "Chunk[S]":
        """Return the same in memory of its own; raw evidence is shared."""
        return self._replace(data=own_data(self._data), axis=own_axis(self._axis))

    def _replace(
        self, *, data: NDArray[Any] | None = None, axis: Axis | None = None,
        start: int | None = None, end: int | None = None, index: int | None = None,
        info: StreamInfo | None = None, gap_positions: tuple[GapAt, ...] | None = None,
    ) -> "Chunk[Any]":  # fmt: skip
        """Return the same with other parts, which must fit; nothing is checked."""
        return Chunk(
            self._data if data is None else data,
            self._axis if axis is None else axis,
            self._start if start is None else start,
            self._end if end is None else end,
            self._index if index is None else index,
            self._info if info is None else info,
            self._gap_positions if gap_positions is None else gap_positions,
        )

    def __reduce__(self) -> tuple[Any, ...]:
        return _unpickled, (
            self._data, self._axis, self._start, self._end, self._index, self._info,
            self._gap_positions,
        )  # fmt: skip

    # -- equality, display --------------------------------------------------------------------

    def __eq__(self, other: object) -> bool:
        """Whether stream, times, samples and gaps are equal; the evidence is not compared."""
        if not isinstance(other, Chunk):
            return NotImplemented
        return (
            self._start == other._start
            and self._end == other._end
            and self._index == other._index
            and self._gap_positions == other._gap_positions
            and self._info == other._info
            and self._data.shape == other._data.shape
            and bool(np.array_equal(self.time, other.time))
            and same_values(self._data, other._data)
        )

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shape = " × ".join(map(str, self._data.shape))
        dtype = "structured" if self._data.dtype.names else str(self._data.dtype)
        text = (
            f"<Chunk {self._info.name}: {shape} {dtype}, #{self._index}, "
            f"{format_time(self._start)} + {self.duration:.6g} s"
        )
        return text + "".join(f", {gap}" for gap in self.gaps) + ">"


def _unpickled(data: NDArray[Any], *rest: Any) -> Chunk:
    data.flags.writeable = False  # pickle does not keep that
    return Chunk(data, *rest)
