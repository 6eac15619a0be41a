"""Counters that do not count: they stay where they are, or go to and fro."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from rxstream.data.stream_info import DeviceCounter
from rxstream.timing.online.counters import REPEATS, least_standstill

__all__ = ["Stuck", "stuck_counter"]

Ints = NDArray[np.int64]

# A wider counter does not come back to where it was by the samples of one chunk.
_WIDEST_TURN = 62


class Stuck(NamedTuple):
    """Where a counter has ceased to count."""

    since: int
    """First chunk with a number that had been, or that comes again."""
    found: int
    """Chunk at which that is certain."""


def stuck_counter(counter: Ints, count: Ints, arrival: Ints, spec: DeviceCounter) -> Stuck | None:
    """Return where a counter stays, or begins to go to and fro; None if it counts.

    Parameters
    ----------
    counter
        At the last sample of each chunk, raw ``(m,)``.
    count
        Samples of each chunk ``(m,)``.
    arrival
        Arrivals ``(m,)`` [ns].
    spec
        What it counts.

    Examples
    --------
    >>> numbers = np.minimum(np.arange(20), 5)
    >>> one = np.ones(20, np.int64)
    >>> stuck_counter(numbers, one, np.arange(20) * 10, DeviceCounter(16))
    Stuck(since=6, found=13)
    """
    repeats = np.zeros(len(counter), np.bool_)
    repeats[1:] = counter[1:] == counter[:-1]
    repeats[2:] |= counter[2:] == counter[:-2]
    lasting = least_standstill(spec)
    if spec.kind != "ticks" and spec.bits <= _WIDEST_TURN:
        # As many samples as make a whole turn leave it where it was.
        repeats &= 2 * count % (1 << spec.bits) != 0
    edges = np.flatnonzero(np.diff(repeats, prepend=False, append=False))
    begins, ends = edges[::2], edges[1::2]
    long = ends - begins >= REPEATS
    begins, ends = begins[long], ends[long]
    long = arrival[ends - 1] - arrival[begins] >= lasting
    if not long.any():
        return None
    begin = int(begins[np.argmax(long)])
    found = max(begin + REPEATS - 1, int(np.searchsorted(arrival, arrival[begin] + lasting)))
    # Of two numbers that take turns the second is wrong, too.
    return Stuck(begin if counter[begin] == counter[begin - 1] else begin - 1, found)
