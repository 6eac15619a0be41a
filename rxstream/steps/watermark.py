"""`Watermarks`: the time up to which each of several inputs has come, and which ones are late."""

from rxstream.data.chunk import Chunk
from rxstream.data.clock import FOREVER, NEVER
from rxstream.data.gap import Gap

__all__ = ["FOREVER", "NEVER", "Watermarks", "without_late"]


class Watermarks:
    """The time up to which each input has come, by event time only.

    Every chunk, also an empty one (a heartbeat), says that nothing before its `Chunk.end` is still
    to come. A silent input is waited for until it lags by more than ``lateness`` behind the *start*
    of the newest chunk of all: not its end, so that long chunks make no input late.

    Parameters
    ----------
    ports
        Number of inputs.
    lateness
        Largest lag behind the most advanced input [ns].
    from_end
        Whether lateness counts from the *end* of the newest chunk instead.

    Attributes
    ----------
    newest
        Time that lateness counts from [ns]; `NEVER` before the first chunk.

    Examples
    --------
    >>> import numpy as np
    >>> from rxstream.data.stream_info import StreamInfo
    >>> info, marks = StreamInfo("x", 1e9, (), np.int64), Watermarks(2, 3)
    >>> marks.advance(0, Chunk.regular(np.arange(2), info, start=5))
    >>> marks.deadline(0), marks.deadline(1), marks.frontier
    (7, 2, 2)
    """

    __slots__ = ("_done", "_ends", "_first", "_from_end", "_lateness", "newest")

    def __init__(self, ports: int, lateness: int, *, from_end: bool = False) -> None:
        self._ends = [NEVER] * ports
        self._done = [False] * ports
        self._lateness, self._from_end = lateness, from_end
        self._first = FOREVER  # the earliest `position` of all chunks [ns]
        self.newest = NEVER

    def position(self, chunk: Chunk) -> int:
        """Return the time of a chunk that its own and others' lateness counts from [ns]."""
        return chunk.end if self._from_end else chunk.covered_from

    def advance(self, port: int, chunk: Chunk) -> None:
        """Move an input on to its next chunk."""
        # as `advance_to`, in one call and past the properties: it runs for every chunk of every
        # input
        end = chunk._end  # noqa: SLF001
        if self._from_end:
            position = end
        else:
            position = chunk.covered_from if chunk._gap_positions else chunk._start  # noqa: SLF001
        if end > self._ends[port]:
            self._ends[port] = end
        if position < self._first:
            self._first = position
        if position > self.newest:
            self.newest = position

    def advance_to(self, port: int, position: int, end: int) -> None:
        """Move an input on to an item that is no chunk, at a `position`, up to ``end`` [ns]."""
        if end > self._ends[port]:
            self._ends[port] = end
        if position < self._first:
            self._first = position
        if position > self.newest:
            self.newest = position

    def done(self, port: int) -> None:
        """Take the end of an input."""
        self._done[port] = True

    def end(self, port: int) -> int:
        """Return the time up to which an input has come [ns]; `NEVER` before its first chunk."""
        return self._ends[port]

    def deadline(self, port: int) -> int | None:
        """Return the time before which nothing of an input is waited for [ns]; None: unknown."""
        if self.newest == NEVER:
            return None
        return max(self._ends[port], self.newest - self._lateness)

    @property
    def frontier(self) -> int:
        """The time before which nothing of any input is waited for [ns].

        `NEVER` before the first chunk of all; `FOREVER` after the end of all inputs.
        """
        front = min(
            (end for end, done in zip(self._ends, self._done, strict=True) if not done),
            default=FOREVER,
        )
        return front if self.newest == NEVER else max(front, self.newest - self._lateness)

    def behind(self, position: int | None = None) -> list[int]:
        """Return the inputs that are late, or would be by a chunk at a `position` [ns].

        For one without a chunk so far, lateness counts from the first chunk of the others.
        """
        newest = self.newest if position is None else max(position, self.newest)
        line = newest - self._lateness
        if self._first >= line:
            return []
        ends = enumerate(self._ends)
        return [port for port, end in ends if end < line and not self._done[port]]


def without_late(chunk: Chunk, t: int) -> Chunk:
    """Return a chunk without its samples before ``t`` [ns]; a `Gap` reports them.

    Examples
    --------
    >>> import numpy as np
    >>> from rxstream.data.stream_info import StreamInfo
    >>> chunk = Chunk.regular(np.arange(5), StreamInfo("x", 1e9, (), np.int64), start=0)
    >>> rest = without_late(chunk, 3)
    >>> rest.data, str(rest.gap)
    (array([3, 4]), 'gap of 3e-09 s, 3 samples lost (lag)')
    """
    if chunk.covered_from >= t:
        return chunk
    behind = chunk.between(chunk.covered_from, t)
    if not len(behind):
        return chunk
    rest = chunk.between(min(t, chunk.end), chunk.end)
    known = all(gap.lost is not None for gap in behind.gaps)
    lost = len(behind) + behind.lost if known else None
    return rest.with_gap(Gap(behind.covered_from, behind.end, lost, "lag"))
