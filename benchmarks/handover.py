"""Latency of the hand-over to a subscriber on another thread."""

import queue
import statistics
import threading
import time
from typing import Any

from common import Case, small

from rxstream import Chunk, TimeWindowSubject

# Distance of the items [s]: the threads are idle in between.
_PACE = 0.002


def _ours(items: list[Chunk]) -> float:
    subject = TimeWindowSubject(60.0)
    sent: list[float] = []
    got: list[float] = []
    subject.subscribe(lambda _: got.append(time.perf_counter()))
    pace = threading.Event()
    for item in items:
        pace.wait(_PACE)
        sent.append(time.perf_counter())
        subject.on_next(item)
    subject.on_completed()
    subject.wait(None)
    return _median(sent, got)


def _queue(items: list[Chunk]) -> float:
    line: queue.SimpleQueue[Any] = queue.SimpleQueue()
    sent: list[float] = []
    got: list[float] = []

    def take() -> None:
        while line.get() is not None:
            got.append(time.perf_counter())

    thread = threading.Thread(target=take)
    thread.start()
    pace = threading.Event()
    for item in items:
        pace.wait(_PACE)
        sent.append(time.perf_counter())
        line.put(item)
    line.put(None)
    thread.join()
    return _median(sent, got)


def _median(sent: list[float], got: list[float]) -> float:
    """Return the median latency [µs]; both lists are in the order of the items."""
    late = [b - a for a, b in zip(sent, got, strict=True)]
    return statistics.median(late) * 1e6


def cases(*, quick: bool = False) -> list[Case]:
    """Return the benchmark of this module."""
    items = small(30 if quick else 300)
    return [
        Case("hand-over to a thread, median", lambda: _ours(items), lambda: _queue(items),
             "queue.SimpleQueue", "µs", False, 0.5),
    ]  # fmt: skip
