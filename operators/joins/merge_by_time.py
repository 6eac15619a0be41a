"""merge_by_time: one stream of the samples of several, in the order of their times."""

from collections import deque
from collections.abc import Callable
from itertools import pairwise

import numpy as np
from reactivex import Observable

from rxstream.data.chunk import Chunk
from rxstream.data.clock import Duration, to_span
from rxstream.steps.in_order import InOrder
from rxstream.steps.multi import lift_multi, stream_names
from rxstream.steps.stream import Stream, label
from rxstream.steps.watermark import NEVER, Watermarks, without_late

__all__ = ["merge_by_time"]


class _MergeByTime:
    __slots__ = ("_order", "_out_to", "_waiting", "finished", "marks")

    def __init__(self, ports: int, lateness: int) -> None:
        self.marks = Watermarks(ports, lateness)
        self.finished = False
        self._waiting: list[deque[Chunk]] = [deque() for _ in range(ports)]
        self._out_to = NEVER  # all samples before it are out [ns]
        self._order = [InOrder("merge_by_time") for _ in range(ports)]

    def push(self, port: int, chunk: Chunk) -> list[Chunk]:
        self._order[port].check(chunk)
        self.marks.advance(port, chunk)
        self._waiting[port].append(without_late(chunk, self._out_to))
        return self._advance()

    def done(self, port: int) -> list[Chunk]:
        self.marks.done(port)
        return self._advance()

    def _advance(self) -> list[Chunk]:
        """Return all samples before the frontier."""
        front = self.marks.frontier
        if front <= self._out_to:
            return []
        self._out_to = front
        pieces: list[Chunk] = []
        for waiting in self._waiting:
            while waiting and waiting[0].covered_from < front:
                chunk = waiting.popleft()
                j = chunk.axis.find(front)
                if j == len(chunk):
                    pieces.append(chunk)
                    continue
                waiting.appendleft(chunk[j:])
                if j:
                    pieces.append(chunk[:j])
                break
        return pieces if len(pieces) < 2 else _in_order(pieces)


def _in_order(pieces: list[Chunk]) -> list[Chunk]:
    """Return the pieces, cut where samples of another come between.

    Of samples at one time, those of the earlier piece come first. A piece without samples comes
    where it ends.
    """
    # the piece that each sample of all of them in order belongs to
    times = [piece.time if len(piece) else np.array([piece.end - 1]) for piece in pieces]
    owner = np.repeat(np.arange(len(pieces)), [len(part) for part in times])
    owner = owner[np.concatenate(times).argsort(kind="stable")]
    cuts = [0, *(np.flatnonzero(owner[1:] != owner[:-1]) + 1).tolist(), len(owner)]
    at = [0] * len(pieces)
    out: list[Chunk] = []
    for a, b in pairwise(cuts):
        k = int(owner[a])
        i = at[k]
        at[k] = j = i + b - a
        out.append(pieces[k][i:j] if len(pieces[k]) else pieces[k])
    return out


@label
def merge_by_time(
    *others: Observable[Chunk], lateness: Duration = 2.0
) -> Callable[[Observable[Chunk]], Stream[Chunk]]:
    """Merge streams into one whose samples come in the order of their times.

    Rx's own *merge* emits in the order of arrival, so the result depends on threads.

    .. marble::

        --a-----b------c---|
        ---1-2----3-4----5-|    other
        [ merge_by_time(other) ]
        ---a-12-b-34---c-5-|    each when no earlier one can come

    Parameters
    ----------
    others
        The other streams, of any kind; `Chunk.info` names the stream of a chunk.
    lateness
        Largest lag of a stream behind the newest chunk of all [s], in stream time; one that lags
        more is not waited for.

    Returns
    -------
    operator
        Chunks of all streams, cut where a sample of another one comes between: the last sample of
        one is not after the first of the next. Of samples at one time, those of the source come
        first, then the others' in their order. Gaps stay where they were in their streams, and
        empty chunks (heartbeats) are passed on.

        Samples come once all streams have come up to their time, by a chunk or a heartbeat. Those
        later than ``lateness``, after later ones of other streams, are left out; a `Gap` with
        reason ``"lag"`` reports them. It ends when all streams have ended.

    Raises
    ------
    ParameterError
        If there are no others, one is no Observable, or ``lateness`` is not positive.
    ChunkError
        Downstream, if an input goes back, as one that was merged before: give all in one call,
        ``merge_by_time(b, c)``.

    See Also
    --------
    align : the matching samples of other streams for each sample of one.
    join_windows : several streams in the same windows.

    Examples
    --------
    >>> import numpy as np, reactivex as rx
    >>> from rxstream import Chunk, StreamInfo
    >>> a = Chunk.regular(np.arange(4), StreamInfo("a", 1.0, (), np.int64), start=0)
    >>> keys = StreamInfo("b", None, (), np.dtype("U1"))
    >>> b = Chunk.stamped(np.array(["x", "y"]), [1_100_000_000, 1_200_000_000], keys)
    >>> rx.of(a).pipe(merge_by_time(rx.of(b))).subscribe(
    ...     lambda c: print(c.info.name, c.data)).dispose()
    a [0 1]
    b ['x' 'y']
    a [2 3]
    """
    ports = 1 + len(stream_names(others, "merge_by_time"))
    late = to_span(lateness, "lateness")
    return lift_multi(lambda: _MergeByTime(ports, late), others, "merge_by_time")
