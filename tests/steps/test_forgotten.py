"""Whoever pulls and goes without a word is forgotten: no cursor is left, and nobody held up."""

import asyncio
import gc
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fakes import Manual, eventually, ramp
from fault_programs import Numbered

from rxstream import Device, TimeWindowSubject
from rxstream import operators as ops

pytestmark = pytest.mark.slow

STREAMS: dict[str, Callable[[Any], Any]] = {
    "alone": lambda s: s,
    "rewound": lambda s: s.rewind(1),
    "on_lag": lambda s: s.on_lag("latest"),
    "pipeline": lambda s: s.pipe(ops.rechunk(5)),
    "replay_window": lambda s: s.pipe(ops.replay_window(5)),
    "pipeline of a past": lambda s: s.pipe(ops.rewind(1), ops.map_data(np.negative)),
    "join": lambda s: s.pipe(ops.merge_by_time(s)),
}


def leave_loop(stream: Any) -> None:
    """Leave a loop over a reader."""
    for chunk in stream.reader():
        assert len(chunk)
        break


def leave_iteration(stream: Any) -> None:
    """Leave a loop over the stream."""
    for chunk in stream:
        assert len(chunk)
        break


def drop_reader(stream: Any) -> None:
    """Make a reader, and no more."""
    stream.reader()


def drop_in_cycle(stream: Any) -> None:
    """Drop a reader that only the collector can find."""
    reader = stream.reader()
    reader.mine = reader


def leave_async(stream: Any) -> None:
    """Leave an `async for`."""

    async def run() -> None:
        async for chunk in stream:
            assert len(chunk)
            break

    asyncio.run(run())


def close_loop(stream: Any) -> None:
    """Close the event loop under an `async for`, which never ends."""

    async def run() -> None:
        async for chunk in stream:
            assert len(chunk)
            await asyncio.Event().wait()

    loop = asyncio.new_event_loop()
    task = loop.create_task(run())
    task._log_destroy_pending = False  # type: ignore[attr-defined]
    loop.call_later(0.05, loop.stop)
    loop.run_forever()
    loop.close()


WAYS = [leave_loop, leave_iteration, drop_reader, drop_in_cycle, leave_async, close_loop]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shape", STREAMS)
def test_no_cursor_is_left(shape: str, way: Callable[[Any], None]) -> None:
    source = Numbered(period=0.001)
    with Device(source, history=10) as device:
        assert eventually(lambda: device.log.newest() is not None)
        way(STREAMS[shape](device))
        gc.collect()
        assert eventually(lambda: not device.log.cursors())


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("shape", ["alone", "pipeline", "join"])
def test_a_file_goes_on(shape: str, way: Callable[[Any], None]) -> None:
    """A file waits for its slowest reader, and for no reader that nobody has."""
    source, got = Manual(live=False), list[int]()
    device = Device(source, history=0.05)
    device.subscribe(lambda chunk: got.append(len(chunk)))
    with device:
        source.emit(np.arange(10))
        way(STREAMS[shape](device.rewind(0.05)))
        gc.collect()
        for k in range(1, 100):
            source.emit(np.arange(10 * k, 10 * k + 10))
        assert eventually(lambda: sum(got) == 1000)


@pytest.mark.parametrize("woken", [True, False])
@pytest.mark.parametrize("shape", ["alone", "pipeline", "join"])
def test_a_loop_that_is_closed_under_a_wait(shape: str, woken: bool) -> None:
    """Whether the chunk that ends the wait comes before the loop is closed, or after."""

    async def run() -> None:
        async for _ in STREAMS[shape](device):
            pass

    source = Manual()
    with Device(source, history=10) as device:
        loop = asyncio.new_event_loop()
        task = loop.create_task(run())
        task._log_destroy_pending = False  # type: ignore[attr-defined]

        def waits() -> bool:
            loop.call_soon(loop.stop)
            loop.run_forever()
            return len(device.log.cursors()) == (2 if shape == "join" else 1)

        assert eventually(waits)
        if woken:
            source.emit(np.arange(10))
        loop.close()
        del task
        if not woken:
            source.emit(np.arange(10))
        # collected again each time, as pipelines pass chunks on in threads of their own
        assert eventually(lambda: gc.collect() >= 0 and not device.log.cursors())


def test_a_reader_that_is_read_is_not_forgotten() -> None:
    subject = TimeWindowSubject(60.0)
    reader = subject.reader()
    gc.collect()
    subject.on_next(ramp(0, 10))
    assert len(reader.read(10) or ()) == 10
    assert len(subject.log.cursors()) == 1
    reader.close()
    reader.close()
    assert not subject.log.cursors()
    subject.on_completed()
