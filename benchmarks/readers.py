"""Items a second to three subscribers: against ReplaySubject and stream2py."""

import threading
import time
from typing import Any

from common import Case, small
from reactivex.subject import ReplaySubject
from stream2py import SourceReader, StreamBuffer

from rxstream import Chunk, TimeWindowSubject
from rxstream import operators as ops

READERS = 3


def _ours(items: list[Chunk]) -> float:
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
    assert all(seen == items for seen in got)
    return len(items) / took


def _replay(items: list[Chunk]) -> float:
    subject: ReplaySubject[Any] = ReplaySubject(window=60.0)
    got: list[list[Any]] = [[] for _ in range(READERS)]
    for seen in got:
        subject.subscribe(seen.append)
    begin = time.perf_counter()
    for item in items:
        subject.on_next(item)
    subject.on_completed()
    took = time.perf_counter() - begin
    assert all(seen == items for seen in got)
    return len(items) / took


class _Ready(SourceReader):  # type: ignore[misc]  # it has no types
    """A stream2py source with all its items at hand."""

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


def _stream2py(items: list[Chunk]) -> float:
    buffer = StreamBuffer(_Ready(items), maxlen=len(items))
    got: list[list[Any]] = [[] for _ in range(READERS)]

    def read(seen: list[Any], reader: Any) -> None:
        while len(seen) < len(items):
            item = reader.read(blocking=True, ignore_no_item_found=True)
            if item is not None:
                seen.append(item)

    begin = time.perf_counter()
    buffer.start()
    threads = []
    for seen in got:
        reader = buffer.mk_reader()
        reader.set_sleep_time_on_iter_none(0.0005)
        threads.append(threading.Thread(target=read, args=(seen, reader)))
        threads[-1].start()
    for thread in threads:
        thread.join()
    took = time.perf_counter() - begin
    # It sleeps a second, which is not counted.
    buffer.stop()
    assert all(seen == items for seen in got)
    return len(items) / took


def cases(*, quick: bool = False) -> list[Case]:
    """Return the benchmarks of this module."""
    items = small(200 if quick else 20_000)
    fewer = items[:10_000]
    return [
        Case("items to 3 subscribers", lambda: _ours(items), lambda: _replay(items),
             "ReplaySubject(window=60)", "items/s", True, 10, 3),
        Case("items to 3 readers", lambda: _ours(fewer), lambda: _stream2py(fewer),
             "stream2py StreamBuffer", "items/s", True, 3, 3),
    ]  # fmt: skip
