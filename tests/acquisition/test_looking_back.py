"""Device: looking back, and pulling from it."""

import asyncio
import datetime as dt

import numpy as np
import pytest
from fakes import MS, HandClock, Manual, feed

from rxstream import Device, concat
from rxstream.errors import (
    DeviceLostError,
    EndOfStream,
    ParameterError,
)

pytestmark = pytest.mark.real


def test_looking_back_by_every_kind_of_time() -> None:
    source, clock = Manual(), HandClock()
    with Device(source, clock=clock, timestamps="arrival") as device:
        assert len(device.last(1)) == 0
        t = clock.now()
        for k in range(10):
            feed(source, 10 * k, 10, t + (k + 1) * 10 * MS)
        assert device.last(dt.timedelta(milliseconds=15)).data.tolist() == list(range(85, 100))
        whole = device.between(t, t + 100 * MS)
        x = dt.datetime.fromtimestamp(t / 1e9, dt.UTC) + dt.timedelta(milliseconds=20)
        y = np.datetime64(t + 40 * MS, "ns")
        part = device.between(x, y)
        assert abs(len(part) - 20) <= 1
        assert device.between(t, x) + part + device.between(y, t + 100 * MS) == whole
        assert device.at(t + 55 * MS).data.tolist() == [55]
        with pytest.raises(ParameterError, match="time zone"):
            device.between(dt.datetime(2026, 1, 1), y)  # noqa: DTZ001 - that is the point


def test_the_reader_pulls() -> None:
    source = Manual()
    with Device(source) as device:
        feed(source, 0, 100, 10**18)
        with device.reader(rewind=0.05) as reader:
            first = reader.read(30, timeout=5)
            assert first is not None
            assert len(first) == 30
            rest = reader.read(timeout=5)
            assert rest is not None
            assert concat([first, rest]).data.tolist() == list(range(50, 100))
            with pytest.raises(TimeoutError, match="ramp"):
                reader.read(10, timeout=0.01)
            feed(source, 100, 7, 10**18 + 107 * MS)
            with pytest.raises(TimeoutError):
                reader.read(10, timeout=0.01)
            feed(source, 107, 7, 10**18 + 114 * MS)
            more = reader.read(10, timeout=5)
            assert more is not None
            assert more.data.tolist() == list(range(100, 110))  # what came before is kept
            source.fail(EndOfStream())
            end = reader.read(10, timeout=5)
            assert end is not None
            assert end.data.tolist() == list(range(110, 114))
            assert reader.read(10, timeout=5) is None


def test_the_reader_raises_what_the_stream_raises() -> None:
    source = Manual()
    with Device(source) as device, device.reader() as reader:
        source.fail(DeviceLostError("gone"))
        with pytest.raises(DeviceLostError):
            reader.read(1, timeout=5)


def test_async_for() -> None:
    source = Manual()

    async def run() -> list[int]:
        got: list[int] = []
        with Device(source) as device:
            loop = asyncio.get_running_loop()

            def produce() -> None:
                for k in range(20):
                    feed(source, 10 * k, 10, 10**18 + 10 * k * MS)
                source.fail(EndOfStream())

            iterator = device.__aiter__()
            task = asyncio.ensure_future(anext(iterator))  # type: ignore[arg-type]
            await asyncio.sleep(0)
            work = loop.run_in_executor(None, produce)
            got.append((await task).index)
            async for chunk in iterator:
                got.append(chunk.index)
            await work
        return got

    assert asyncio.run(run()) == list(range(0, 200, 10))
