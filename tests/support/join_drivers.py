"""Drive operators on several streams in virtual time."""

from collections.abc import Callable, Sequence
from typing import Any

import reactivex as rx
from hypothesis import strategies as st
from reactivex.subject import Subject

from rxstream import Chunk
from rxstream.steps.heartbeats import keep_heartbeats
from rxstream.testing import recut, recut_by_time, streams

LONG = 1e6  # [s]: nobody is late


@st.composite
def scenes(draw: st.DrawFn, source: st.SearchStrategy[list[Chunk]] | None = None) -> Any:
    """Return two or three streams that overlap in time, other cuts of them, and two orders."""
    base = streams() if source is None else source
    ports = []
    for _ in range(draw(st.integers(2, 3))):
        chunks = draw(base)
        begin = draw(st.integers(0, 10**8))
        ports.append([chunk.shifted(begin - chunks[0].covered_from) for chunk in chunks])
    cuts = st.lists(st.integers(0, 120), max_size=6)
    shares = st.lists(st.floats(0, 1), max_size=6)
    other = [recut(recut_by_time(port, draw(shares)), draw(cuts)) for port in ports]
    turns = st.lists(st.integers(0, 2), max_size=60)
    return ports, other, draw(turns), draw(turns)


def play(
    make: Callable[..., Any], ports: Sequence[Sequence[Chunk]], turns: Sequence[int]
) -> list[Any]:
    """Return what comes out when the ports take turns so, then in order, and then all end.

    Heartbeats come out too.

    Parameters
    ----------
    make
        ``make(*others)`` makes the operator.
    """
    sources: list[Subject[Any]] = [Subject() for _ in ports]
    out: list[Any] = []
    errors: list[Exception] = []
    ends: list[None] = []
    joined = keep_heartbeats(sources[0].pipe(make(*sources[1:])))
    joined.subscribe(out.append, errors.append, lambda: ends.append(None))
    left = [list(port) for port in ports]
    for turn in turns:
        port = turn % len(left)
        if left[port]:
            sources[port].on_next(left[port].pop(0))
    for source, chunks in zip(sources, left, strict=True):
        for chunk in chunks:
            source.on_next(chunk)
        source.on_completed()
    if errors:
        raise errors[0]
    assert len(ends) == 1, "it completes once"
    return out


def cold(make: Callable[..., Any], ports: Sequence[Sequence[Chunk]]) -> list[Any]:
    """Return what comes out when each port gives all it has as soon as it is subscribed to."""
    out: list[Any] = []
    first, *others = (rx.from_iterable(port) for port in ports)
    keep_heartbeats(first.pipe(make(*others))).subscribe(out.append)
    return out
