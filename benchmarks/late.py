"""A subscriber comes late and gets the past: against ReplaySubject."""

import threading
import time
from typing import Any

import numpy as np
from common import Case, sound
from reactivex.subject import ReplaySubject

from rxstream import Chunk, TimeWindowSubject


class _Sum:
    """Count and sum of all samples, so that both sides read all of them."""

    def __init__(self, count: int) -> None:
        self.left, self.sum = count, 0.0
        self.done = threading.Event()

    def take_chunk(self, chunk: Chunk) -> None:
        self.sum += float(chunk.data.sum(dtype=np.float64))
        self.left -= len(chunk)
        if self.left == 0:
            self.done.set()

    def take(self, sample: float) -> None:
        self.sum += sample
        self.left -= 1
        if self.left == 0:
            self.done.set()

    def check(self, chunks: list[Chunk]) -> None:
        assert self.left == 0
        assert np.isclose(self.sum, sum(c.data.sum(dtype=np.float64) for c in chunks))


def _ours(chunks: list[Chunk], seconds: float) -> float:
    subject = TimeWindowSubject(seconds)
    for chunk in chunks:
        subject.on_next(chunk)
    count = sum(map(len, chunks))
    total = _Sum(count)
    begin = time.perf_counter()
    subject.rewind(seconds).subscribe(total.take_chunk)
    total.done.wait()
    took = time.perf_counter() - begin
    subject.dispose()
    total.check(chunks)
    return count / took


def _replay_samples(chunks: list[Chunk]) -> float:
    """Replay single samples, the usual items of a ReplaySubject."""
    samples = np.concatenate([chunk.data for chunk in chunks]).tolist()
    return _replay(samples, chunks, samples=True)


def _replay(items: list[Any], chunks: list[Chunk], *, samples: bool = False) -> float:
    subject: ReplaySubject[Any] = ReplaySubject(buffer_size=len(items))
    for item in items:
        subject.on_next(item)
    count = sum(map(len, chunks))
    total = _Sum(count)
    begin = time.perf_counter()
    subject.subscribe(total.take if samples else total.take_chunk)
    took = time.perf_counter() - begin
    total.check(chunks)
    return count / took


def cases(*, quick: bool = False) -> list[Case]:
    """Return the benchmarks of this module."""
    seconds = 1.0 if quick else 60.0
    few = 0.1 if quick else 1.0
    slow = sound(seconds, 0, block=10, rate=1000.0)
    fast, short = sound(seconds, 0), sound(few, 0)
    return [
        Case(f"a late subscriber gets the last {seconds:g} s, 1 kHz",
             lambda: _ours(slow, seconds), lambda: _replay_samples(slow),
             "ReplaySubject of samples", "samples/s", True, 50),
        Case(f"a late subscriber gets the last {few:g} s, 48 kHz",
             lambda: _ours(short, few), lambda: _replay_samples(short),
             "ReplaySubject of samples", "samples/s", True, 50),
        Case(f"a late subscriber gets the last {seconds:g} s, 48 kHz",
             lambda: _ours(fast, seconds), lambda: _replay(fast, fast),
             "ReplaySubject of chunks", "samples/s", True),
    ]  # fmt: skip
