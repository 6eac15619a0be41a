"""`retry()` and `repeat()` on what is over follow a device to its next stream, and never spin."""

import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import reactivex as rx
from fakes import Manual, eventually
from reactivex import operators as rxo
from reactivex.scheduler import EventLoopScheduler, ImmediateScheduler
from schedules import dispose_idle

from rxstream import Device
from rxstream import operators as ops
from rxstream.errors import DeviceLostError, EndOfStream

pytestmark = pytest.mark.real


@pytest.fixture
def loop() -> Iterator[EventLoopScheduler]:
    scheduler = EventLoopScheduler()
    yield scheduler
    dispose_idle(scheduler)


class Counted(Device):
    """A device that counts how often it is subscribed to."""

    def __init__(self, source: Manual, name: str = "ramp") -> None:
        super().__init__(source, name=name, history=10)
        self.subscriptions = 0

    def attach(self, *args: Any) -> Any:
        self.subscriptions += 1
        return super().attach(*args)


SHAPES: dict[str, Callable[[Any, Any, Any], Any]] = {
    "alone": lambda s, again, _: s.pipe(again),
    "ours": lambda s, again, _: s.pipe(ops.map_data(np.abs), again, ops.map_data(np.negative)),
    "RxPY": lambda s, again, _: s.pipe(rxo.map(lambda c: c), again),
    "observe_on": lambda s, again, loop: s.pipe(rxo.observe_on(loop), again),
    "observe_on and ours": lambda s, again, loop: s.pipe(
        rxo.observe_on(loop), ops.map_data(np.abs), rxo.filter(len), again
    ),
    "immediate": lambda s, again, _: s.pipe(rxo.observe_on(ImmediateScheduler()), again),
    "rewound": lambda s, again, _: s.pipe(ops.rewind(5), again),
    "replay_window": lambda s, again, _: s.pipe(ops.replay_window(5), again),
    "latest": lambda s, again, _: s.pipe(ops.latest(), again),
    "merge": lambda s, again, _: s.pipe(rxo.merge(rx.empty()), again),
    "second input": lambda s, again, _: rx.never().pipe(ops.merge_by_time(s), again),
}
ENDS = {
    "retry": (rxo.retry(), DeviceLostError("gone")),
    "repeat": (rxo.repeat(), EndOfStream()),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("again", ENDS)
def test_it_follows_a_device_to_its_next_stream(
    shape: str, again: str, loop: EventLoopScheduler
) -> None:
    operator, end = ENDS[again]
    if (shape, again) == ("second input", "repeat"):
        pytest.skip("a join ends with its last input, and this one has a silent one")
    source = Manual()
    device, got, ends = Counted(source), list[int](), list[Any]()

    def take(chunk: Any) -> None:
        got.extend(int(abs(value)) for value in chunk.data)

    subscription = SHAPES[shape](device, operator, loop).subscribe(take, ends.append, ends.append)
    for opening in range(3):
        device.open()
        source.emit(np.arange(4) + 4 * opening)
        if shape != "second input":
            assert eventually(lambda: len(got) == 4 * opening + 4), got  # noqa: B023
        source.fail(end)
        assert eventually(lambda: device.subscriptions == opening + 2)  # noqa: B023
        threading.Event().wait(0.05)  # a spin would show
        assert device.subscriptions == opening + 2
        device.close()
    assert ends == []
    if shape != "second input":
        assert got == list(range(12))
    with device:
        subscription.dispose()
        assert eventually(lambda: not device.log.cursors())


def test_a_stream_that_ends_before_its_device_begins_anew_at_once() -> None:
    source, got = Manual(), list[int]()
    device = Counted(source)
    with device:
        subscription = device.pipe(rxo.take(1), rxo.repeat(3)).subscribe(
            lambda chunk: got.append(int(chunk.data[0]))
        )
        for k in range(3):
            assert eventually(lambda: device.subscriptions == k + 1)  # noqa: B023
            source.emit(np.arange(4 * k, 4 * k + 4))
            assert eventually(lambda: len(got) == k + 1)  # noqa: B023
    subscription.dispose()
    assert got == [0, 4, 8]


def test_one_subscribed_to_at_the_end_of_another_gets_its_own_end() -> None:
    first, second, ends = Manual(), Manual(), list[str]()
    a, b = Device(first, name="a"), Device(second, name="b")
    with a, b:
        second.fail(EndOfStream())
        assert b.wait(5)
        a.subscribe(on_completed=lambda: b.subscribe(on_completed=lambda: ends.append("b")))
        first.fail(EndOfStream())
        assert eventually(lambda: ends == ["b"])
        # not inside an end: it gets the end of the stream that is over
        a.subscribe(on_completed=lambda: ends.append("a"))
        assert eventually(lambda: ends == ["b", "a"])


def test_a_subscriber_may_subscribe_again_by_itself() -> None:
    source, got = Manual(), list[int]()
    device = Counted(source)

    def begin(_error: Any = None) -> None:
        device.subscribe(lambda chunk: got.append(len(chunk)), begin)

    begin()
    for opening in range(3):
        device.open()
        source.emit(np.arange(5))
        source.fail(DeviceLostError("gone"))
        assert eventually(lambda: device.subscriptions == opening + 2)  # noqa: B023
        device.close()
    with device:
        assert got == [5, 5, 5]
