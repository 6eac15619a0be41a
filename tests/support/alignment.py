"""Drive `ops.align` in virtual time: its parts by hand, or through Rx."""

from collections.abc import Sequence
from typing import Any

import reactivex as rx
from reactivex.subject import Subject

from rxstream import Chunk, concat
from rxstream import operators as ops

LONG = 1e6  # [s]: nobody is late


def interleave(ports: Sequence[Sequence[Chunk]], order: Sequence[bool]) -> list[tuple[int, Chunk]]:
    """Return all chunks with their ports, each port's in order; ``order`` tells whose is next."""
    left = [list(port) for port in ports]
    out: list[tuple[int, Chunk]] = []
    k, port = 0, 0
    while any(left):
        if k < len(order) and order[k]:
            port = (port + 1) % len(left)
        k += 1
        if not left[port] or k >= len(order):
            port = (port + 1) % len(left)
        if left[port]:
            out.append((port, left[port].pop(0)))
    return out


def direct(
    ports: Sequence[Sequence[Chunk]], order: Sequence[bool], **options: Any
) -> list[tuple[Chunk, ...]]:
    """Return what comes out when the ports' chunks come in this order, and then all end."""
    sources: list[Subject[Any]] = [Subject() for _ in ports]
    out: list[tuple[Chunk, ...]] = []
    errors: list[Exception] = []
    ends: list[None] = []
    joined = sources[0].pipe(ops.align(*sources[1:], **{"lateness": LONG} | options))
    joined.subscribe(out.append, errors.append, lambda: ends.append(None))
    for port, chunk in interleave(ports, order):
        sources[port].on_next(chunk)
    for source in sources:
        source.on_completed()
    if errors:
        raise errors[0]
    assert len(ends) == 1, "it completes once"
    return out


def cold(ports: Sequence[Sequence[Chunk]], **options: Any) -> list[tuple[Chunk, ...]]:
    """Return what comes out when each port gives all it has as soon as it is subscribed to."""
    out: list[tuple[Chunk, ...]] = []
    first, *others = (rx.from_iterable(port) for port in ports)
    first.pipe(ops.align(*others, **options)).subscribe(out.append)
    return out


def joined(items: Sequence[tuple[Chunk, ...]]) -> tuple[Chunk, ...]:
    """Return each stream as one chunk."""
    return tuple(concat(chunks) for chunks in zip(*items, strict=True))
