"""Cost of a subscriber that never returns, for the producer."""

import threading
import time
from typing import Any

from common import Case, small
from reactivex.subject import Subject

from rxstream import Chunk, TimeWindowSubject

# Time that a slow subscriber takes for an item [s].
_SLOW = 0.001


def _produce(items: list[Chunk], *, good: bool, stalled: bool) -> float:
    """Return µs for each on_next, beside a good subscriber and one that is stuck."""
    subject = TimeWindowSubject(60.0)
    release, stuck = threading.Event(), threading.Event()
    got: list[Any] = []

    def stall(_: Chunk) -> None:
        stuck.set()
        release.wait()

    if stalled:
        subject.subscribe(stall)
    if good:
        subject.subscribe(got.append)
    subject.on_next(items[0])
    if stalled:
        stuck.wait()
    begin = time.perf_counter()
    for item in items[1:]:
        subject.on_next(item)
    took = time.perf_counter() - begin
    release.set()
    subject.on_completed()
    subject.wait(None)
    assert not good or _complete(got, items)
    return took / (len(items) - 1) * 1e6


def _complete(got: list[Chunk], items: list[Chunk]) -> bool:
    """Whether every sample came, or is in a gap."""
    samples = sum(map(len, got))
    lost = sum(gap.lost or 0 for chunk in got for gap in chunk.gaps)
    return samples + lost == sum(map(len, items))


def _beside_slow(subject: Subject[Any], items: list[Chunk]) -> float:
    """Return µs for each on_next beside a slow subscriber."""
    subject.subscribe(lambda _: time.sleep(_SLOW))
    begin = time.perf_counter()
    for item in items:
        subject.on_next(item)
    took = time.perf_counter() - begin
    subject.dispose()
    return took / len(items) * 1e6


def cases(*, quick: bool = False) -> list[Case]:
    """Return the benchmarks of this module."""
    items = small(200 if quick else 20_000)
    few = items[: 50 if quick else 300]
    return [
        Case("on_next beside a good and a stalled subscriber",
             lambda: _produce(items, good=True, stalled=True),
             lambda: _produce(items, good=True, stalled=False),
             "beside the good one alone", "µs", False, 0.95, 31),
        Case("on_next beside a stalled subscriber",
             lambda: _produce(items, good=False, stalled=True),
             lambda: _produce(items, good=False, stalled=False),
             "without subscribers", "µs", False, 0.95, 31),
        Case("on_next beside a subscriber that sleeps 1 ms",
             lambda: _beside_slow(TimeWindowSubject(60.0), few),
             lambda: _beside_slow(Subject(), few), "reactivex Subject", "µs", False),
    ]  # fmt: skip
