"""samples: emit one item for each sample."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from reactivex import Observable

from rxstream.data.chunk import Chunk
from rxstream.data.gap import Gap
from rxstream.steps.lift import lift
from rxstream.steps.stream import Stream, label

__all__ = ["samples"]


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """One sample on its own."""

    time: int
    """Time at which it was taken [ns]."""
    value: Any
    """A number, an array of the sample's shape (read-only), or a record."""
    index: int
    """Its number since the session began, lost samples counted in."""
    gap: Gap | None
    """Loss right before it, or None."""

    @property
    def start(self) -> int:
        """The same as `time` [ns]."""
        return self.time

    @property
    def end(self) -> int:
        """1 ns after `time` [ns]: a sample has a time of its own, and no length."""
        return self.time + 1

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Sample):
            return NotImplemented
        mine, theirs = (self.time, self.index, self.gap), (other.time, other.index, other.gap)
        return mine == theirs and np.array_equal(self.value, other.value)

    def __hash__(self) -> int:
        return hash((self.time, self.index, self.gap))  # arrays have no hash


class _Samples:
    __slots__ = ("_pending",)

    def __init__(self) -> None:
        # A gap after the last sample of a chunk belongs to the first sample of the next one.
        self._pending: Gap | None = None

    def push(self, chunk: Chunk) -> list[Sample]:
        times = chunk.time.tolist()
        numbers = range(chunk.index, chunk.index + len(times))
        if not chunk.gap_positions and self._pending is None:
            return [
                Sample(t, value, k, None)
                for t, value, k in zip(times, chunk.data, numbers, strict=True)
            ]
        gaps: dict[int, Gap] = {} if self._pending is None else {0: self._pending}
        lost: dict[int, int] = {}
        for at, gap in chunk.gap_positions:
            gaps[at] = gaps[at].join(gap) if at in gaps else gap
            lost[at] = lost.get(at, 0) + (gap.lost or 0)
        self._pending = gaps.pop(len(times), None)
        out, shift = [], 0
        for i, (t, value) in enumerate(zip(times, chunk.data, strict=True)):
            shift += lost.get(i, 0) if i else 0
            out.append(Sample(t, value, chunk.index + i + shift, gaps.get(i)))
        return out

    def flush(self) -> tuple[()]:
        return ()


@label
def samples() -> Callable[[Observable[Chunk]], Stream[Sample]]:
    """Emit each sample as an item of its own: time, value, index, and the gap before it.

    For slow streams and for RxPY's own operators: one Python object for each sample costs a
    thousand times as much as one for each chunk.

    .. marble::

        --[a b]---[c]--|
        [  samples()   ]
        --a-b-----c----|

    Returns
    -------
    operator
        `Sample` records: time [ns], value, index, gap. A gap after the last sample of all is left
        out, as no sample follows it; `gaps` emits every gap.

    Examples
    --------
    >>> import numpy as np, reactivex as rx
    >>> from rxstream import Chunk, StreamInfo
    >>> chunk = Chunk.regular(np.arange(2), StreamInfo("x", 10.0, (), np.int64), start=0)
    >>> rx.of(chunk).pipe(samples()).subscribe(
    ...     lambda s: print(s.time, int(s.value), s.index)).dispose()
    0 0 0
    100000000 1 1
    """
    return lift(_Samples)
