"""Loads on the memory of windows and deliveries, one a process: ``python memory_cases.py <name>``.

Each prints how much the process grew at most, and what the law allows it: 1.25 times the larger of
``max_bytes`` and two chunks, one chunk for each subscriber, and 30 MB.
"""

import gc
import json
import logging
import os
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
import reactivex as rx
from reactivex import operators as rxo
from reactivex.scheduler import EventLoopScheduler, ImmediateScheduler

from rxstream import Chunk, Device, Reading, StreamInfo, TimeWindowSubject
from rxstream import operators as ops

MB = 1_000_000
FLOOR = 30 * MB  # interpreter, threads and what the allocator keeps
HISTORY = 1e6  # [s]; so bytes bound the windows
CASES: dict[str, Callable[[], int]] = {}


def allowed(max_bytes: int = 1, chunk: int = 0, subscribers: int = 0, *, windows: int = 1) -> int:
    """Return how much the process may grow [B]."""
    return int(windows * 1.25 * max(max_bytes, 2 * chunk)) + subscribers * chunk + FLOOR


def case(make: Callable[[], int]) -> Callable[[], int]:
    """Enter a load, which returns what is allowed for it [B]."""
    CASES[make.__name__] = make
    return make


class ByHand:
    """A source that emits what the load gives it."""

    live = True

    def __init__(self, info: StreamInfo) -> None:
        self.info = info

    def open(self, emit: Callable[[Any], object], fail: Any) -> Callable[[], None]:
        """Keep the function to call."""
        self.emit = emit
        return lambda: None


def device_of(info: StreamInfo, max_bytes: int, **options: Any) -> tuple[ByHand, Device]:
    """Return an open device, and the source that feeds it."""
    source = ByHand(info)
    return source, Device(source, history=HISTORY, max_bytes=max_bytes, **options).open()


class Slow:
    """A subscriber that takes a chunk each 20 ms."""

    def __call__(self, _item: Any) -> None:
        time.sleep(0.02)


def camera(max_bytes: int, shape: tuple[int, ...] = (1080, 1920)) -> tuple[ByHand, Device, Any]:
    """Return an open camera, and a frame for it."""
    source, device = device_of(StreamInfo("cam", 100.0, shape, np.dtype(np.uint8)), max_bytes)
    return source, device, np.ones((1, *shape), np.uint8)


def film(source: ByHand, frame: Any, frames: int, pause: float = 0.003) -> None:
    """Emit frames, slowly enough that subscribers have a turn."""
    for _ in range(frames):
        source.emit(frame)
        time.sleep(pause)


# -- windows -------------------------------------------------------------------------------------


@case
def events_with_stamps() -> int:
    source, _device = device_of(
        StreamInfo("x", None, dtype=np.dtype(np.uint8), device_clock="host"), 20 * MB
    )
    _device.subscribe(Slow())
    for k in range(3000):
        stamps = 1_600_000_000_000_000_000 + np.arange(k * 10_000, (k + 1) * 10_000)
        source.emit(Reading(np.zeros(10_000, np.uint8), device_time=stamps))
    return allowed(20 * MB, 170_000, 1)


@case
def stamps_beside_a_rate() -> int:
    info = StreamInfo("x", 1e6, dtype=np.dtype(np.uint8), device_clock="own")
    source, _device = device_of(info, 20 * MB)
    for k in range(2000):
        stamps = np.arange(k * 10_000, (k + 1) * 10_000) * 1000
        source.emit(Reading(np.zeros(10_000, np.uint8), device_time=stamps))
    return allowed(20 * MB, 170_000)


@case
def small_events() -> int:
    """One sample a chunk: bookkeeping is nearly all there is."""
    source, _device = device_of(StreamInfo("x", None, dtype=np.dtype(np.uint8)), 20 * MB)
    one = np.zeros(1, np.uint8)
    for _ in range(100_000):
        source.emit(one)
    return allowed(20 * MB, 1000)


@case
def gaps_in_every_chunk() -> int:
    source, _device = device_of(StreamInfo("x", 1000.0, dtype=np.dtype(np.int16)), 5 * MB)
    data = np.zeros(10, np.int16)
    for _ in range(30_000):
        source.emit(Reading(data, lost=3))
    return allowed(5 * MB, 1000)


@case
def frames_larger_than_max_bytes() -> int:
    source, device, frame = camera(1, (4000, 6000))
    device.subscribe(Slow())
    film(source, frame, 40)
    return allowed(1, frame.nbytes, 1)


@case
def large_frames() -> int:
    source, _device, frame = camera(100 * MB, (4000, 6000))
    film(source, frame, 30)
    return allowed(100 * MB, frame.nbytes)


@case
def strings_and_structures() -> int:
    kinds: list[Any] = ["U200", [("a", "i8"), ("b", "f4", 30)]]
    for dtype in kinds:
        source, _device = device_of(StreamInfo("x", None, dtype=np.dtype(dtype)), 10 * MB)
        for _ in range(3000):
            source.emit(np.zeros(20, dtype))
    return allowed(10 * MB, 20 * 800, windows=2)


@case
def objects() -> int:
    """Samples that are objects are counted by an estimate, as far as the device takes them."""
    source, _device = device_of(StreamInfo("x", None, dtype=np.dtype(object)), 20 * MB)
    for k in range(4000):
        texts = np.empty(10, object)
        texts[:] = [f"{k} {j} " * 300 for j in range(10)]
        source.emit(texts)
    return allowed(20 * MB, 30_000)


@case
def chunks_put_by_hand() -> int:
    """A subject takes chunks as they are, with stamps of their own."""
    info = StreamInfo("x", None, dtype=np.dtype(np.uint8))
    subject = TimeWindowSubject(HISTORY, max_bytes=20 * MB, name="x")
    for k in range(2000):
        stamps = np.arange(k * 10_000, (k + 1) * 10_000)
        subject.on_next(Chunk.stamped(np.zeros(10_000, np.uint8), stamps, info))
    return allowed(20 * MB, 90_000)


@case
def replay_window() -> int:
    source, device, frame = camera(10 * MB, (480, 640))
    kept = device.pipe(ops.map_data(lambda x: x.astype(np.float32)), ops.replay_window(
        HISTORY, max_bytes=40 * MB))  # fmt: skip
    kept.subscribe(lambda _: None)
    kept.subscribe(Slow())
    film(source, frame, 300)
    return allowed(10 * MB, frame.nbytes, 1) + allowed(40 * MB, 4 * frame.nbytes, 2) - FLOOR


# -- who is slow ---------------------------------------------------------------------------------


@case
def slow_subscribers() -> int:
    source, device, frame = camera(140 * MB)
    for _ in range(7):
        device.subscribe(Slow())
    film(source, frame, 400)
    return allowed(140 * MB, frame.nbytes, 7)


@case
def hanging_subscribers() -> int:
    """Each begins in the past, and takes one chunk for ever."""
    source, device, frame = camera(40 * MB)
    never = threading.Event()
    for _ in range(7):
        film(source, frame, 30)
        device.rewind(1000).subscribe(lambda _: never.wait(60))  # type: ignore[arg-type]
        time.sleep(0.05)
    return allowed(40 * MB, frame.nbytes, 7)


@case
def policies() -> int:
    source, device, frame = camera(40 * MB)
    for policy in ("gap", "latest", "error") * 2:
        device.pipe(ops.on_lag(policy)).subscribe(Slow(), lambda _: None)
    film(source, frame, 200)
    return allowed(40 * MB, frame.nbytes, 6)


@case
def readers_that_nobody_reads() -> int:
    source, device, frame = camera(40 * MB)
    kept: list[Any] = [device.reader() for _ in range(4)]
    kept += [device.pipe(ops.map_data(np.negative)).reader() for _ in range(4)]
    film(source, frame, 150)
    # of a pipeline one waits in the hand-over, and one in the hands of its worker
    return allowed(40 * MB, frame.nbytes, 4 + 2 * 4 + (not kept))


@case
def slow_behind_a_pipeline() -> int:
    source, device, frame = camera(40 * MB)
    for _ in range(4):
        device.pipe(ops.map_data(np.negative), rxo.map(lambda c: c)).subscribe(Slow())
    film(source, frame, 150)
    return allowed(40 * MB, frame.nbytes, 2 * 4)


# -- who leaves ----------------------------------------------------------------------------------


@case
def many_subscriptions() -> int:
    source, device, frame = camera(10 * MB, (100, 100))
    for k in range(10_000):
        subscription = device.subscribe(lambda _: None)
        if not k % 100:
            source.emit(frame)
        subscription.dispose()
    return allowed(10 * MB, frame.nbytes)


@case
def many_devices() -> int:
    """Each is opened, filled, closed and dropped; the collector has to find them."""
    for k in range(1000):
        source, device, frame = camera(MB, (300, 300))
        device.subscribe(lambda _: None)
        for _ in range(10):
            source.emit(frame)
        device.close()
        if not k % 10:
            gc.collect()
    return allowed(MB, frame.nbytes, 1)


@case
def many_openings() -> int:
    source, device, frame = camera(10 * MB, (300, 300))
    device.close()
    for _ in range(1000):
        with device:
            device.subscribe(lambda _: None)
            for _ in range(10):
                source.emit(frame)
    return allowed(10 * MB, frame.nbytes, 1)


@case
def dropped_devices() -> int:
    """Never opened, or closed, with readers and subscribers waiting."""
    for k in range(300):
        source, device, frame = camera(2 * MB, (300, 300))
        device.subscribe(lambda _: None)
        kept = device.reader()
        for _ in range(20):
            source.emit(frame)
        device.close()
        device.reader(rewind=1)
        del kept
        if not k % 10:
            gc.collect()
    return allowed(2 * MB, frame.nbytes, 2)


@case
def dropped_subjects() -> int:
    """As in a notebook whose cell is run again and again; nobody completes them."""
    info = StreamInfo("x", 1000.0, (1000,), np.dtype(np.float64))
    for _ in range(30):
        subject = TimeWindowSubject(HISTORY, max_bytes=8 * MB)
        subject.subscribe(lambda _: None)
        subject.pipe(ops.rechunk(5)).subscribe(lambda _: None)
        subject.subscribe(lambda _: None, scheduler=ImmediateScheduler())
        for k in range(10):
            subject.on_next(Chunk.regular(np.ones((100, 1000)), info, start=k * 100_000_000))
        del subject
        gc.collect()
    # threads that nobody wakes end by and by
    return allowed(8 * MB, 800_000, 3, windows=4)


@case
def dropped_readers() -> int:
    source, device, frame = camera(10 * MB, (300, 300))
    for _ in range(300):
        device.reader(rewind=1000)
        device.pipe(ops.rechunk(1)).reader()
        for chunk in device.rewind(1000).pipe(ops.rechunk(1)) if len(device.last(1)) else ():
            assert len(chunk) == 1
            break
        for _ in range(5):
            source.emit(frame)
    return allowed(10 * MB, frame.nbytes, 4)


@case
def raising_subscribers() -> int:
    """What they have in their frames goes with them."""
    source, device, frame = camera(MB, (100, 100))

    def raises(_chunk: Any) -> None:
        mine = np.ones(MB)
        raise ValueError(len(mine))

    for _ in range(100):
        device.subscribe(raises)
        device.subscribe(raises, scheduler=ImmediateScheduler())
        device.pipe(ops.rechunk(1), rxo.map(raises)).subscribe(lambda _: None)
        source.emit(frame)
        source.emit(frame)
        while device.log.cursors():
            time.sleep(0.001)
    # faults keeps errors, 100 at most; of these none with frames
    return allowed(MB, frame.nbytes, 2) + 3 * 8 * MB


@case
def raising_behind_a_queue() -> int:
    """What `observe_on` and `buffer_with_time` hold for a subscriber that is cut off goes too."""
    source, device, frame = camera(10 * MB)
    loop = EventLoopScheduler()

    def raises(_item: Any) -> None:
        raise ValueError

    device.pipe(rxo.observe_on(loop)).subscribe(raises)
    device.pipe(rxo.buffer_with_time(0.05), rxo.filter(bool)).subscribe(raises)
    film(source, frame, 200, 0.005)
    # before the timer of 50 ms is up, ten frames wait for it
    return allowed(10 * MB, frame.nbytes, 15)


# -- what is kept --------------------------------------------------------------------------------


@case
def one_sample_kept_of_each_second() -> int:
    """`Chunk.copy` holds its own samples, and no more."""
    info = StreamInfo("mic", 48_000.0, (2,), np.dtype(np.float32))
    source, device = device_of(info, 5 * MB)
    kept: list[Chunk[Any]] = []
    device.subscribe(lambda chunk: kept.append(chunk[:1].copy()), scheduler=ImmediateScheduler())
    block = np.zeros((4800, 2), np.float32)
    for _ in range(3000):
        source.emit(block)
    assert len(kept) == 3000
    return allowed(5 * MB, block.nbytes, 1)


@case
def a_silent_partner() -> int:
    """An hour of a stream whose partner never says a word."""
    info, silent = StreamInfo("a", 1000.0, dtype=np.dtype(np.float32)), StreamInfo("b", 1000.0)
    a = TimeWindowSubject(1.0, max_bytes=10 * MB, name="a", clock=lambda: 0)
    b = TimeWindowSubject(1.0, max_bytes=10 * MB, name="b", clock=lambda: 0)
    assert silent.rate == info.rate
    here = ImmediateScheduler()
    joins: tuple[Any, ...] = (
        ops.align(b, tolerance=0.1),
        ops.merge_by_time(b),
        ops.join_windows(b, duration=1.0),
        ops.resample(onto=b),
    )
    for join in joins:
        a.pipe(join).subscribe(lambda _: None, lambda _: None, scheduler=here)
    a.pipe(ops.rechunk(5000, hop=100)).subscribe(lambda _: None, scheduler=here)
    a.pipe(ops.window_by_time(10.0, every=1.0)).subscribe(lambda _: None, scheduler=here)
    data = np.zeros(1000, np.float32)
    for k in range(3600):
        a.on_next(Chunk.regular(data, info, start=k * 1_000_000_000, index=k * 1000))
    return allowed(10 * MB, data.nbytes, 6)


# -- measuring -----------------------------------------------------------------------------------


def resident() -> int:
    """Return the memory of this process [B]; Linux only."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")


class Peak:
    """Looks at the memory each few milliseconds."""

    def __init__(self) -> None:
        self.most = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _look(self) -> None:
        while not self._stop.wait(0.005):
            self.most = max(self.most, resident())


def warm_up() -> None:
    """Load what the first use loads."""
    source, device, frame = camera(1, (10, 10))
    device.pipe(ops.rechunk(2), rxo.map(len)).subscribe(lambda _: None)
    rx.of(1).subscribe(lambda _: None)
    source.emit(frame)
    device.close()
    gc.collect()


def main(name: str) -> None:
    """Run a load, and print what it took and what it may."""
    logging.disable(logging.CRITICAL)
    warm_up()
    before = resident()
    with Peak() as peak:
        limit = CASES[name]()
    print(json.dumps({"grown": max(peak.most, resident()) - before, "allowed": limit}), flush=True)
    os._exit(0)


if __name__ == "__main__":
    main(sys.argv[1])
