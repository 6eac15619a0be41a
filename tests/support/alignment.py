"""Drive `ops.align` in virtual time."""

from collections.abc import Sequence
from functools import partial
from typing import Any

from join_drivers import LONG, cold, play

from rxstream import Chunk, concat
from rxstream import operators as ops

__all__ = ["LONG", "aligned", "aligned_cold", "joined"]

Tuples = list[tuple[Chunk, ...]]


def aligned(ports: Sequence[Sequence[Chunk]], turns: Sequence[int], **options: Any) -> Tuples:
    """Return what comes out when the ports take turns so, then in order, and then all end."""
    return play(partial(ops.align, **{"lateness": LONG} | options), ports, turns)


def aligned_cold(ports: Sequence[Sequence[Chunk]], **options: Any) -> Tuples:
    """Return what comes out when each port gives all it has as soon as it is subscribed to."""
    return cold(partial(ops.align, **options), ports)


def joined(items: Sequence[tuple[Chunk, ...]]) -> tuple[Chunk, ...]:
    """Return each stream as one chunk."""
    return tuple(concat(chunks) for chunks in zip(*items, strict=True))
