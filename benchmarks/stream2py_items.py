"""Items a second of one stream2py reader: through ours, and through stream2py's own buffer."""

import logging
import time
from functools import partial
from typing import Any

from common import Case
from stream2py import SourceReader, StreamBuffer

from rxstream import Device
from rxstream.devices import from_stream2py


class _Counter(SourceReader):  # type: ignore[misc]  # it has no types
    """Numbers at once, each its own key."""

    sleep_time_on_read_none_s = 0.0005

    def __init__(self, count: int) -> None:
        self._count = count

    def open(self) -> None:
        self._next = 0

    def read(self) -> int | None:
        if self._next == self._count:
            return None
        self._next += 1
        return self._next - 1

    def close(self) -> None:
        pass

    @property
    def info(self) -> dict[str, Any]:
        return {}

    def key(self, data: int) -> int:
        return data


def _is_none(item: Any, reader: Any) -> bool:
    return item is None


def _ours(count: int) -> float:
    source = from_stream2py(partial(_Counter, count), ends=_is_none, live=False)
    device = Device(source)
    reader = device.reader()
    seen: list[int] = []
    begin = time.perf_counter()
    with device:
        for chunk in reader:
            seen.extend(chunk.data)
        took = time.perf_counter() - begin
    assert seen == list(range(count))
    return count / took


def _peer(count: int, size: int) -> float:
    """Read by ``size`` items at a time; one is its default."""
    buffer = StreamBuffer(_Counter(count), maxlen=count)
    seen: list[int] = []
    begin = time.perf_counter()
    buffer.start()
    reader = buffer.mk_reader()
    reader.set_sleep_time_on_iter_none(0.0005)
    while len(seen) < count:
        found = reader.read(n=size, blocking=True, ignore_no_item_found=True)
        if size == 1:
            seen.append(found)
        elif found is not None:
            seen.extend(found)
    took = time.perf_counter() - begin
    # It sleeps a second, which is not counted.
    buffer.stop()
    assert seen == list(range(count))
    return count / took


def cases(*, quick: bool = False) -> list[Case]:
    """Return the benchmarks of this module."""
    # that items are objects is meant here
    logging.getLogger("rxstream.acquisition.stamper").setLevel(logging.ERROR)
    count = 500 if quick else 50_000
    return [
        Case("items of a stream2py reader", lambda: _ours(count), lambda: _peer(count, 1),
             "stream2py BufferReader.read()", "items/s", True, 3),
        Case("items of a stream2py reader", lambda: _ours(count), lambda: _peer(count, 1000),
             "stream2py BufferReader.read(1000)", "items/s", True),
    ]  # fmt: skip
