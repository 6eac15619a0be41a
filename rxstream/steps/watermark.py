"""`Watermarks`: up to when each of several streams has told, and who is waited for no more."""

from rxstream.data.chunk import Chunk
from rxstream.data.gap import Gap

__all__ = ["FOREVER", "NEVER", "Watermarks", "without_late"]

FOREVER = 1 << 62  # [ns]
NEVER = -FOREVER


class Watermarks:
    """Up to when each port has told, in event time only.

    A stream tells with every chunk, also with an empty one (a heartbeat), that nothing before its
    `Chunk.end` is still to come. One that tells nothing is waited for until it is ``lateness``
    behind the *start* of the newest chunk of all: not its end, so that long chunks make nobody
    late.

    Parameters
    ----------
    ports
        How many streams there are.
    lateness
        By how much one may be behind the most advanced of all [ns].

    Examples
    --------
    >>> import numpy as np
    >>> from rxstream.data.stream_info import StreamInfo
    >>> info, marks = StreamInfo("x", 1e9, (), np.int64), Watermarks(2, 3)
    >>> marks.see(0, Chunk.regular(np.arange(2), info, start=5))
    >>> marks.low(0), marks.low(1), marks.front
    (7, 2, 2)
    """

    __slots__ = ("_done", "_ends", "_first", "_lateness", "_newest")

    def __init__(self, ports: int, lateness: int) -> None:
        self._ends = [NEVER] * ports
        self._done = [False] * ports
        self._lateness = lateness
        self._first = FOREVER  # where the earliest chunk of all begins
        self._newest = NEVER  # where the newest chunk of all begins

    def see(self, port: int, chunk: Chunk) -> None:
        """Take note of the next chunk of a port."""
        end, start = chunk.end, chunk.covered_from
        if end > self._ends[port]:
            self._ends[port] = end
        if start < self._first:
            self._first = start
        if start > self._newest:
            self._newest = start

    def done(self, port: int) -> None:
        """Take note that a port has ended."""
        self._done[port] = True

    def end(self, port: int) -> int:
        """Return up to when a port has told [ns]; `NEVER`, if it has told nothing."""
        return self._ends[port]

    def low(self, port: int) -> int | None:
        """Return the time [ns] before which nothing of a port is waited for; None: not known."""
        newest, end = self._newest, self._ends[port]
        if newest == NEVER:
            return None
        line = newest - self._lateness
        return max(end, line)

    @property
    def front(self) -> int:
        """The time [ns] before which nothing of any port is waited for.

        `NEVER`, if nothing has come yet; `FOREVER`, if all have ended.
        """
        front = min(
            (end for end, done in zip(self._ends, self._done, strict=True) if not done),
            default=FOREVER,
        )
        return front if self._newest == NEVER else max(front, self._newest - self._lateness)

    def behind(self, start: int | None = None) -> list[int]:
        """Return the ports that are later than allowed, were there a chunk from ``start`` [ns].

        One that has told nothing counts from where the others began.
        """
        newest = self._newest if start is None else max(start, self._newest)
        line, first = newest - self._lateness, self._first
        if first >= line:
            return []
        ends = enumerate(self._ends)
        return [port for port, end in ends if end < line and not self._done[port]]


def without_late(chunk: Chunk, t: int) -> Chunk:
    """Return a chunk without its samples before ``t`` [ns]; they are told as a `Gap`.

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
