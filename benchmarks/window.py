"""The window itself: many readers, hand-over, a stalled reader, memory, looking back."""

import gc
import queue
import statistics
import threading
import time
import tracemalloc
from typing import Any

import numpy as np
from common import Case, small, sound
from reactivex.subject import ReplaySubject
from stream2py import SourceReader, StreamBuffer

from rxstream import Device, Reading, StreamInfo, TimeWindowSubject
from rxstream import operators as ops

READERS = 3


# -- three readers ------------------------------------------------------------------------------


def _ours_items(count: int) -> float:
    items = small(count)
    subject = TimeWindowSubject(60.0)
    got: list[list[Any]] = [[] for _ in range(READERS)]
    for seen in got:
        subject.pipe(ops.on_lag("block")).subscribe(seen.append)
    begin = time.perf_counter()
    for item in items:
        subject.on_next(item)
    subject.on_completed()
    subject.wait(None)
    took = time.perf_counter() - begin
    assert all(len(seen) == count for seen in got)
    return count / took


def _replay_items(count: int) -> float:
    items = small(count)
    subject: ReplaySubject[Any] = ReplaySubject(window=60.0)
    got: list[list[Any]] = [[] for _ in range(READERS)]
    for seen in got:
        subject.subscribe(seen.append)
    begin = time.perf_counter()
    for item in items:
        subject.on_next(item)
    took = time.perf_counter() - begin
    assert all(len(seen) == count for seen in got)
    return count / took


class _Ready(SourceReader):
    """A stream2py source that has its items ready."""

    sleep_time_on_read_none_s = 0.0005

    def __init__(self, items: list[Any]) -> None:
        self._items = items
        self._next = 0

    def open(self) -> None:
        self._next = 0

    def read(self) -> Any:
        if self._next == len(self._items):
            return None
        self._next += 1
        return self._items[self._next - 1]

    def close(self) -> None:
        pass

    @property
    def info(self) -> dict[str, Any]:
        return {}

    def key(self, data: Any) -> int:
        return int(data.start)


def _stream2py_items(count: int) -> float:
    items = small(count)
    buffer = StreamBuffer(_Ready(items), maxlen=count)
    got = [0] * READERS

    def read(k: int, reader: Any) -> None:
        while got[k] < count:
            if reader.read(blocking=True, ignore_no_item_found=True) is not None:
                got[k] += 1

    buffer.start()
    begin = time.perf_counter()
    readers = [buffer.mk_reader() for _ in range(READERS)]
    for reader in readers:
        reader.set_sleep_time_on_iter_none(0.0005)
    threads = [threading.Thread(target=read, args=(k, reader)) for k, reader in enumerate(readers)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - begin
    buffer.stop()  # sleeps a second; not counted
    return count / took


# -- hand-over ----------------------------------------------------------------------------------


def _ours_handover(count: int) -> float:
    subject = TimeWindowSubject(60.0)
    late: list[float] = []
    sent = 0.0
    subject.subscribe(lambda _: late.append(time.perf_counter() - sent))
    pace = threading.Event()
    for item in small(count):
        pace.wait(0.002)
        sent = time.perf_counter()
        subject.on_next(item)
    subject.on_completed()
    subject.wait(None)
    return statistics.median(late) * 1e6


def _queue_handover(count: int) -> float:
    line: queue.SimpleQueue[Any] = queue.SimpleQueue()
    late: list[float] = []
    sent = 0.0

    def take() -> None:
        while line.get() is not None:
            late.append(time.perf_counter() - sent)

    thread = threading.Thread(target=take)
    thread.start()
    pace = threading.Event()
    for item in small(count):
        pace.wait(0.002)
        sent = time.perf_counter()
        line.put(item)
    line.put(None)
    thread.join()
    return statistics.median(late) * 1e6


# -- a stalled reader ---------------------------------------------------------------------------


def _produce(count: int, *, stalled: bool) -> float:
    items = small(count)
    subject = TimeWindowSubject(60.0)
    release, stuck = threading.Event(), threading.Event()
    if stalled:
        subject.subscribe(lambda _: (stuck.set(), release.wait()))
        subject.on_next(items[0])
        stuck.wait()
    begin = time.perf_counter()
    for item in items[1:]:
        subject.on_next(item)
    took = time.perf_counter() - begin
    subject.dispose()
    release.set()
    subject.drain(10)
    return took / (count - 1) * 1e6


# -- memory -------------------------------------------------------------------------------------

_CHANNELS = 8


class _Flood:
    """A source that gives what the test hands it."""

    info = StreamInfo("flood", 48_000.0, (_CHANNELS,), np.dtype(np.float32))

    def open(self, emit: Any, _fail: Any) -> Any:
        self.emit = emit
        return lambda: None


def _held_bytes(seconds: float) -> float:
    """Return what 60 s of a device really take, by tracemalloc, after three times as much."""
    source = _Flood()
    block = np.ones((480, _CHANNELS), np.float32)
    gc.collect()
    tracemalloc.start()
    device = Device(source, history=seconds)  # type: ignore[arg-type]
    with device:
        before = tracemalloc.get_traced_memory()[0]
        for k in range(int(3 * seconds * 100)):
            source.emit(Reading(block, arrival=10**18 + (k + 1) * 10_000_000))
        gc.collect()
        held = tracemalloc.get_traced_memory()[0] - before
        assert abs(device.last(seconds).duration - seconds) < 0.02
    tracemalloc.stop()
    return held / 1e6


def _plain_bytes(seconds: float) -> float:
    return seconds * 48_000 * _CHANNELS * 4 / 1e6


# -- a late subscriber --------------------------------------------------------------------------


def _ours_late(seconds: float) -> float:
    chunks = sound(seconds, 0)
    subject = TimeWindowSubject(seconds)
    for chunk in chunks:
        subject.on_next(chunk)
    count = sum(map(len, chunks))
    seen = 0
    done = threading.Event()

    def take(chunk: Any) -> None:
        nonlocal seen
        seen += len(chunk)
        if seen >= count:
            done.set()

    begin = time.perf_counter()
    subscription = subject.rewind(seconds).subscribe(take)
    done.wait()
    took = time.perf_counter() - begin
    subscription.dispose()
    subject.on_completed()
    return seen / took


def _replay_late(seconds: float) -> float:
    """Replay samples, as people put them into a ReplaySubject."""
    samples = np.concatenate([chunk.data for chunk in sound(seconds, 0)]).tolist()
    subject: ReplaySubject[float] = ReplaySubject(buffer_size=len(samples))
    for sample in samples:
        subject.on_next(sample)
    seen = 0

    def take(_: float) -> None:
        nonlocal seen
        seen += 1

    begin = time.perf_counter()
    subject.subscribe(take)
    took = time.perf_counter() - begin
    assert seen == len(samples)
    return seen / took


def _replay_late_chunks(seconds: float) -> float:
    chunks = sound(seconds, 0)
    subject: ReplaySubject[Any] = ReplaySubject(buffer_size=len(chunks))
    for chunk in chunks:
        subject.on_next(chunk)
    seen = 0

    def take(chunk: Any) -> None:
        nonlocal seen
        seen += len(chunk)

    begin = time.perf_counter()
    subject.subscribe(take)
    return seen / (time.perf_counter() - begin)


def cases(*, quick: bool = False) -> list[Case]:
    """Return the benchmarks of this module."""
    n = 200 if quick else 20_000
    few = 100 if quick else 2_000
    seconds = 1.0 if quick else 60.0
    short = 0.1 if quick else 2.0
    return [
        Case("items to 3 subscribers", lambda: _ours_items(n), lambda: _replay_items(few),
             "ReplaySubject(window=60)", "items/s", True, 10),
        Case("items to 3 readers", lambda: _ours_items(n), lambda: _stream2py_items(few),
             "stream2py StreamBuffer", "items/s", True, 3),
        Case("hand-over to a thread, median", lambda: _ours_handover(30 if quick else 300),
             lambda: _queue_handover(30 if quick else 300), "queue.SimpleQueue", "µs", False, 0.5),
        Case("on_next beside a stalled subscriber", lambda: _produce(n, stalled=True),
             lambda: _produce(n, stalled=False), "without it", "µs", False, 0.95, 31),
        Case(f"memory of {seconds:g} s of 8 × 48 kHz float32", lambda: _held_bytes(seconds),
             lambda: _plain_bytes(seconds), "the samples alone", "MB", False, 1 / 1.15, 1),
        Case(f"a late subscriber gets the last {seconds:g} s", lambda: _ours_late(seconds),
             lambda: _replay_late(short), "ReplaySubject of samples", "samples/s", True, 50),
        Case("the same, chunks replayed", lambda: _ours_late(seconds),
             lambda: _replay_late_chunks(seconds), "ReplaySubject of chunks", "samples/s", True),
    ]  # fmt: skip
