"""Opening and closing where a driver raises or hangs, and where others close too."""

import asyncio
import threading
import time
from typing import Any

import numpy as np
import pytest
from fakes import INFO, Hanging, Manual, eventually
from reactivex.scheduler import ImmediateScheduler

import rxstream
from rxstream import Chunk, Device
from rxstream import operators as ops
from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.errors import (
    DeviceBusyError,
    DeviceError,
    DeviceLostError,
    ParameterError,
)

pytestmark = pytest.mark.real

here = ImmediateScheduler()


class Unclosable(Manual):
    """Raises in close."""

    def open(self, emit: Emit, fail: Fail) -> Close:
        super().open(emit, fail)

        def close() -> None:
            msg = "usb"
            raise OSError(msg)

        return close


# -- drivers that raise ---------------------------------------------------------------------------


@pytest.mark.parametrize("error", [OSError("usb"), asyncio.CancelledError()], ids=repr)
def test_what_a_driver_raises_in_close_is_raised_when_all_is_done(error: BaseException) -> None:
    class Bad(Manual):
        def open(self, emit: Emit, fail: Fail) -> Close:
            super().open(emit, fail)

            def close() -> None:
                raise error

            return close

    source, got = Bad(), list[Any]()
    device = Device(source)
    device.subscribe(lambda chunk: (time.sleep(0.05), got.append(chunk)), on_completed=got.clear)
    device.open()
    source.emit(np.arange(10))
    with pytest.raises(DeviceError) as raised:
        device.close()
    assert got == []  # it had the chunk, and the end
    assert raised.value.__cause__ is error
    assert device.error is raised.value
    assert raised.value in list(device.faults)
    device.close()  # once


def test_an_exit_in_the_first_opening_leaves_it_closed() -> None:
    source = Manual(refuse=SystemExit(3))  # type: ignore[arg-type]
    device = Device(source)
    with pytest.raises(SystemExit):
        device.open()
    assert device.state == "closed"
    source.refuse = None
    with device:
        assert device.state == "open"


@pytest.mark.parametrize("raised", [KeyError("mine"), SystemExit(143)], ids=repr)
@pytest.mark.parametrize("kind", ["with", "async with"])
def test_what_a_block_raises_comes_before_what_closing_raises(
    raised: BaseException, kind: str
) -> None:
    device = Device(Unclosable())

    async def use_async() -> None:
        async with device:
            raise raised

    def use() -> None:
        with device:
            raise raised

    with pytest.raises(type(raised)) as seen:
        asyncio.run(use_async()) if kind == "async with" else use()
    assert seen.value is raised
    assert str(device.error) == "ramp: OSError: usb"
    assert rxstream.failed() == ("ramp: DeviceError: OSError: usb",)
    with pytest.raises(DeviceError, match="usb"), device:
        pass


@pytest.mark.parametrize("result", [None, 5, (print, INFO, 1), (), (5, INFO), (print, "mic")])
def test_an_opening_that_gives_no_way_to_close_is_refused(result: Any) -> None:
    class Bad(Manual):
        def open(self, emit: Emit, fail: Fail) -> Any:
            super().open(emit, fail)
            return result

    source = Bad()
    device = Device(source)
    with pytest.raises(
        ParameterError, match=r"open of Bad must return a function that closes it, or \(.*, not "
    ) as raised:
        device.open()
    assert repr(result)[:4] in str(raised.value)
    source.emit(np.arange(10))
    assert device.state == "closed"


def test_who_is_late_is_named_once_with_all_it_holds(caplog: pytest.LogCaptureFixture) -> None:
    source, inside, go = Manual(), threading.Semaphore(0), threading.Event()

    def hold(_chunk: Any) -> None:
        inside.release()
        go.wait(20)

    device = Device(source).open()
    device.pipe(ops.on_lag("gap", name="slow")).subscribe(hold)
    for _ in range(3):
        source.emit(np.arange(10))
    assert inside.acquire(timeout=10)
    for _ in range(2):
        source.emit(np.arange(10))
    for _ in range(2):
        device.close(drain=0.01)
    assert [r.getMessage() for r in caplog.records if "busy" in r.getMessage()] == [
        "ramp: closed, but subscriber slow is still busy, with 5 chunks to go"
    ]
    go.set()


def test_who_is_late_in_the_end_of_the_stream_is_named(caplog: pytest.LogCaptureFixture) -> None:
    go = threading.Event()
    device = Device(Manual()).open()
    device.subscribe(lambda _: None, on_completed=lambda: go.wait(20) and None)
    device.close(drain=0.05)
    assert "is still busy, with the end of the stream" in caplog.text
    go.set()


# -- closing in several places --------------------------------------------------------------------


def test_who_closes_it_again_waits_for_what_a_subscriber_began() -> None:
    source, go_on, got = Manual(), threading.Event(), list[int]()
    device = Device(source).open()

    def slow(chunk: Chunk[Any]) -> None:
        go_on.wait(10)
        got.append(len(chunk))

    closed = threading.Event()
    device.subscribe(slow)
    device.subscribe(lambda _: (device.close(), closed.set()))
    source.emit(np.arange(10))
    assert closed.wait(10)  # it waits for no other subscriber
    assert (device.state, got) == ("closed", [])
    threading.Timer(0.1, go_on.set).start()
    device.close()
    assert got == [10]


def test_a_subscriber_of_two_devices_closes_both_at_once() -> None:
    """It runs inside the lock of the join, which the other device's thread waits for."""
    sources = [Manual(), Manual()]
    a, b = (Device(source, name=name) for source, name in zip(sources, "ab", strict=True))
    took = list[float]()

    def stop(_item: Any) -> None:
        begin = time.monotonic()
        a.close()
        b.close()
        took.append(time.monotonic() - begin)

    with a, b:
        a.pipe(ops.merge_by_time(b, lateness=0.01)).subscribe(stop)
        for _ in range(100):
            for source in sources:
                source.emit(np.arange(10))
            if took:
                break
            time.sleep(0.01)
    assert took[0] < 2


def test_a_subscriber_behind_threads_of_its_own_closes_both_at_once() -> None:
    sources = [Manual(), Manual()]
    a, b = (Device(source, name=name) for source, name in zip(sources, "ab", strict=True))
    took = list[float]()

    def stop(_item: Any) -> None:
        begin = time.monotonic()
        a.close()
        b.close()
        took.append(time.monotonic() - begin)

    with a, b:
        a.pipe(ops.map_parallel(len), ops.map_parallel(str)).subscribe(stop)
        sources[0].emit(np.arange(10))
        assert eventually(lambda: took)
    assert took[0] < 2


def test_a_subscriber_that_opens_a_device_has_it_whole_when_it_closes_it() -> None:
    """E.g. to record for some seconds at a key: the file is to be complete after its block."""
    keys, source, got = Manual(), Manual(), list[int]()
    seen = list[int]()

    def slow(chunk: Chunk[Any]) -> None:
        time.sleep(0.05)
        got.append(len(chunk))

    def record(_key: Any) -> None:
        with Device(source) as device:
            device.subscribe(slow)
            for _ in range(4):
                source.emit(np.arange(10))
        seen.append(len(got))

    with Device(keys) as keyboard:
        keyboard.subscribe(record)
        keys.emit(np.arange(1))
        assert eventually(lambda: seen)
    assert seen == [4]


def test_a_subscriber_closes_it_while_it_catches_up() -> None:
    """The source's thread waits for its turn then, and the driver's close for that thread."""
    waits = threading.Event()

    class Eager(Manual):
        def open(self, emit: Emit, fail: Fail) -> Close:
            early = threading.Event()

            def run() -> None:
                emit(np.arange(10))
                early.set()
                delivering.wait(10)
                waits.set()
                emit(np.arange(10, 20))

            thread = threading.Thread(target=run, daemon=True)
            thread.start()
            early.wait(10)
            return lambda: thread.join(10)

    delivering, got = threading.Event(), list[int]()
    device = Device(Eager())

    def stop(chunk: Chunk[Any]) -> None:
        got.append(chunk.index)
        delivering.set()
        waits.wait(10)
        begin = time.monotonic()
        device.close()
        assert time.monotonic() - begin < 4

    device.subscribe(stop, scheduler=here)
    device.open()
    assert got == [0]
    assert not list(device.faults)


def test_inner_blocks_leave_it_open_for_outer_ones() -> None:
    source = Manual()
    device = Device(source)
    with device:
        with device, device:
            pass
        assert device.state == "open"
        with pytest.raises(ZeroDivisionError), device:
            _ = 1 / 0
        assert device.state == "open"
    assert (device.state, source.opened, source.closed) == ("closed", 1, 1)


def test_a_block_that_cannot_open_is_not_counted() -> None:
    source = Manual(refuse=DeviceBusyError("held"))
    device = Device(source)
    with pytest.raises(DeviceBusyError), device:
        pass
    source.refuse = None
    with device:
        pass
    assert device.state == "closed"


def test_async_with_keeps_the_loop_going() -> None:
    async def main() -> list[int]:
        source, got = Manual(), list[int]()
        device = Device(source)

        async def feed() -> None:
            for k in range(5):
                source.emit(np.arange(10 * k, 10 * k + 10))
                await asyncio.sleep(0.01)

        async with device as same:
            assert same is device
            task = asyncio.create_task(feed())
            async for chunk in device:
                got.append(len(chunk))
                if len(got) == 3:
                    break
            await task
        assert (device.state, source.closed) == ("closed", 1)
        return got

    assert asyncio.run(main()) == [10, 10, 10]


def test_a_cancelled_async_with_closes_what_comes_late() -> None:
    source = Hanging("open")
    device = Device(source)

    async def use() -> None:
        async with device:
            raise AssertionError

    async def main() -> None:
        task = asyncio.create_task(use())
        await asyncio.to_thread(source.hangs.wait, 10)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        source.release.set()

    asyncio.run(main())
    assert eventually(lambda: (source.opened, source.closed) == (1, 1))
    assert device.state == "closed"


# -- what a closed device has ---------------------------------------------------------------------


def closed_with_past() -> tuple[Device, Manual]:
    source = Manual()
    device = Device(source, timestamps="arrival")
    with device:
        source.emit(np.arange(1000))
    return device, source


def test_after_close_a_rewind_gives_the_past_and_ends() -> None:
    device, source = closed_with_past()
    ended, got = threading.Event(), list[int]()
    newest = device.last(1).end
    views = [device.rewind(0.5), device.rewind(to=newest - 500_000_000)]
    for view in views:
        ended.clear()
        got.clear()
        view.subscribe(lambda c: got.append(len(c)), on_completed=ended.set)
        assert ended.wait(10)
        assert sum(got) == 500
    assert sum(map(len, device.reader(rewind=0.5))) == 500
    assert sum(map(len, device.rewind(0.5))) == 500
    assert source.opened == 1


def test_after_close_a_live_subscription_waits_for_the_next_opening() -> None:
    device, source = closed_with_past()
    end = device.last(1).end
    got, past_next = list[int](), list[int]()
    device.subscribe(lambda c: got.append(len(c)))
    device.rewind(to=end + 1).subscribe(lambda c: past_next.append(len(c)))
    reader = device.reader()
    time.sleep(0.02)  # its samples begin 10 ms before they come
    with device:
        source.emit(np.arange(10))
    assert got == past_next == [10]
    assert [len(chunk) for chunk in reader] == [10]


def test_who_subscribes_inside_the_end_gets_the_next_stream() -> None:
    """As RxPY's `retry` does; the same end again would be the same again."""
    source, got, errors = Manual(), list[int](), list[Exception]()
    device = Device(source)

    def again(error: Exception) -> None:
        errors.append(error)
        device.subscribe(lambda c: got.append(len(c)), again)

    device.subscribe(lambda c: got.append(len(c)), again)
    with device:
        source.emit(np.arange(10))
        source.fail(DeviceLostError("gone"))
        assert eventually(lambda: errors)
    with device:
        source.emit(np.arange(20))
    assert got == [10, 20]
    assert [str(error) for error in errors] == ["gone"]


def test_emit_says_what_is_dropped() -> None:
    source = Manual()
    device = Device(source)
    chunks: list[Chunk[Any]] = []
    device.subscribe(chunks.append)
    with device:
        assert source.emit(np.zeros((3, *source.info.shape), source.info.dtype)) is True
    assert source.emit(np.zeros((3, *source.info.shape), source.info.dtype)) is False
    assert eventually(lambda: sum(map(len, chunks)) == 3)
