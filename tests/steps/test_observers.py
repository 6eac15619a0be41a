"""Who raises, and who is told: subscribers and operators, on every kind of thread."""

import asyncio
import contextlib
import gc
import threading
import weakref
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import reactivex as rx
from fakes import Manual, eventually, ramp
from reactivex import operators as rxo
from reactivex.scheduler import (
    EventLoopScheduler,
    ImmediateScheduler,
    NewThreadScheduler,
)
from reactivex.subject import Subject
from schedules import dispose_idle

from rxstream import Chunk, Device, TimeWindowSubject
from rxstream import operators as ops
from rxstream.errors import RxStreamError, SubscriberError

KINDS: tuple[type[BaseException], ...] = (
    ValueError, SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError,
)  # fmt: skip


@pytest.fixture
def loop() -> Iterator[EventLoopScheduler]:
    scheduler = EventLoopScheduler()
    yield scheduler
    dispose_idle(scheduler)


class Window:
    """A window whose reports are kept."""

    def __init__(self) -> None:
        self.reported: list[SubscriberError] = []
        self.subject = TimeWindowSubject(60.0, name="mic", report=self.reported.append)
        self.count, self.data = 0, list[Any]()

    def push(self, n: int = 1) -> None:
        for _ in range(n):
            chunk = ramp(10 * self.count, 10)
            self.data.append(weakref.ref(chunk.data))
            self.count += 1
            self.subject.on_next(chunk)


@pytest.fixture
def window() -> Iterator[Window]:
    made = Window()
    yield made
    made.subject.dispose()


class Raising:
    """A subscriber that raises at its third item."""

    def __init__(self, kind: type[BaseException]) -> None:
        self.kind, self.items, self.errors = kind, 0, list[Any]()

    def __call__(self, _item: Any) -> None:
        self.items += 1
        if self.items == 3:
            raise self.kind("mine")


SHAPES: dict[str, Callable[[Any, Any], Any]] = {
    "alone": lambda s, _: s,
    "immediate": lambda s, _: s.pipe(rxo.observe_on(ImmediateScheduler())),
    "observe_on": lambda s, loop: s.pipe(rxo.observe_on(loop)),
    "observe_on behind ours": lambda s, loop: s.pipe(ops.rechunk(10), rxo.observe_on(loop)),
    "ours behind observe_on": lambda s, loop: s.pipe(rxo.observe_on(loop), ops.rechunk(10)),
    "new thread": lambda s, _: s.pipe(rxo.observe_on(NewThreadScheduler())),
    "timer": lambda s, _: s.pipe(rxo.buffer_with_time(0.01), rxo.filter(len), rxo.flat_map(list)),
    "delay": lambda s, loop: s.pipe(rxo.delay(0.001, loop)),
    "flat_map": lambda s, loop: s.pipe(rxo.flat_map(lambda c: rx.just(c, loop))),
    "join": lambda s, _: s.pipe(ops.merge_by_time(rx.empty())),
}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("kind", KINDS)
def test_a_subscriber_that_raises_is_reported_and_cut_off_alone(
    shape: str, kind: type[BaseException], window: Window, loop: EventLoopScheduler
) -> None:
    """On the worker's thread, a scheduler's, a timer's: reported at once; the others go on."""
    stream, bad = SHAPES[shape](window.subject, loop), Raising(kind)
    good: list[Any] = []
    stream.subscribe(bad, bad.errors.append)
    stream.subscribe(good.append)
    window.push(10)
    assert eventually(lambda: window.reported and len(good) == 10)
    assert eventually(lambda: len(window.subject.log.cursors()) == 1)
    window.push(10)
    assert eventually(lambda: len(good) == 20)
    assert (bad.items, bad.errors) == (3, [])
    (error,) = window.reported
    assert isinstance(error.__cause__, kind)
    assert str(error).startswith("mic")
    assert "Raising raised and is cut off" in str(error)


def test_nothing_is_kept_for_who_was_cut_off(window: Window, loop: EventLoopScheduler) -> None:
    """The queue of `observe_on` and what waits for a timer go with the subscriber."""
    for stream in (
        window.subject.pipe(rxo.observe_on(loop)),
        window.subject.pipe(rxo.buffer_with_time(0.01)),
    ):
        window.reported.clear()
        bad = Raising(ValueError)
        bad.items = 2
        stream.subscribe(bad)
        window.push(100)
        assert eventually(lambda: window.reported)
    assert eventually(lambda: not window.subject.log.cursors())
    window.subject.log.clear()
    window.reported.clear()
    gc.collect()
    assert eventually(lambda: not [ref for ref in window.data if ref() is not None])


def test_the_faults_of_a_device_tell_it(loop: EventLoopScheduler) -> None:
    source, faults, bad = Manual(), list[Any](), Raising(ValueError)
    device = Device(source, history=1)
    device.faults.subscribe(faults.append)
    device.pipe(ops.rechunk(5), rxo.observe_on(loop)).subscribe(bad)
    with device:
        source.emit(np.arange(20))
        assert eventually(lambda: faults)
    assert "ramp | rechunk(5) | RxPY: subscriber Raising raised" in str(faults[0])


def test_an_error_that_nobody_takes_is_logged_once_and_blames_nobody(
    window: Window, loop: EventLoopScheduler, caplog: pytest.LogCaptureFixture
) -> None:
    told: list[Any] = []
    for _ in range(3):
        window.subject.subscribe(lambda _: None)
        window.subject.pipe(rxo.observe_on(loop)).subscribe(lambda _: None)
        window.subject.pipe(ops.rechunk(5)).subscribe(on_completed=lambda: None)
    window.subject.pipe(rxo.observe_on(loop)).subscribe(lambda _: None, told.append)
    window.subject.on_error(OSError("unplugged"))
    assert window.subject.wait(10**10)
    assert eventually(lambda: told)
    (record,) = caplog.records
    assert record.levelname == "ERROR"
    assert record.getMessage().endswith("the stream ended by an error: OSError('unplugged')")
    assert record.exc_info is None
    assert window.reported == []


@pytest.mark.parametrize("kind", [SystemExit, KeyboardInterrupt])
def test_an_exit_in_the_main_thread_ends_the_program(
    kind: type[BaseException], window: Window
) -> None:
    bad, good = Raising(kind), list[Any]()
    window.subject.subscribe(good.append, scheduler=ImmediateScheduler())
    subscription = window.subject.subscribe(bad, scheduler=ImmediateScheduler())
    window.push(2)
    with contextlib.suppress(kind):
        window.push()
    subscription.dispose()
    window.push()
    assert bad.items == 3
    assert len(good) == 4


def test_the_source_of_a_cold_stream_gets_what_its_subscriber_raises() -> None:
    past = TimeWindowSubject(60.0)
    past.on_next(ramp(0, 30))
    past.on_completed()
    cold = rx.of(ramp(0, 30)).pipe(ops.rechunk(5))
    for source in (cold, past.past(10), past.past(10).pipe(ops.rechunk(5))):
        for shape in (ops.rechunk(10), ops.merge_by_time(rx.empty()), rxo.filter(len)):
            told: list[Any] = []
            with pytest.raises(ValueError, match="mine"):
                source.pipe(shape).subscribe(_raise, told.append)
            assert told == []


def _raise(_item: Any) -> None:
    msg = "mine"
    raise ValueError(msg)


def test_a_nested_subscription_is_a_subscription_of_the_program(window: Window) -> None:
    """Also one made while the outer one is still being made, as in the past of a window."""
    window.push(1)
    errors: list[Any] = []

    def nest(_chunk: Any) -> None:
        window.subject.rewind(60).subscribe(_raise, errors.append, scheduler=ImmediateScheduler())

    window.subject.rewind(60).subscribe(nest, errors.append, scheduler=ImmediateScheduler())
    assert errors == []
    assert len(window.reported) == 1


# -- operators that raise ------------------------------------------------------------------------


def careless(kind: type[BaseException]) -> Callable[[Any], Any]:
    """Return an operator as one writes it for RxPY, whose third item raises."""

    def operator(source: Any) -> Any:
        def subscribe(observer: Any, scheduler: Any = None) -> Any:
            count = [0]

            def on_next(item: Any) -> None:
                count[0] += 1
                if count[0] == 3:
                    raise kind("mine")
                observer.on_next(item)

            def on_error(error: Exception) -> None:
                observer.on_error(error)

            return source.subscribe(on_next, on_error, observer.on_completed, scheduler=scheduler)

        return rx.create(subscribe)

    return operator


class _Step:
    def __init__(self, kind: type[BaseException]) -> None:
        self.kind, self.count = kind, 0

    def __call__(self, x: Any) -> Any:
        self.count += 1
        if self.count == 3:
            raise self.kind("mine")
        return x


PIPES: dict[str, Callable[[Any, Any, type[BaseException]], Any]] = {
    "RxPY": lambda s, _, __: s.pipe(rxo.map(len), rxo.buffer_with_count(3), rxo.to_set()),
    "foreign": lambda s, _, kind: s.pipe(careless(kind)),
    "foreign in the middle": lambda s, _, kind: s.pipe(
        ops.rechunk(10), careless(kind), ops.rechunk(5), rxo.map(lambda c: c)
    ),
    "foreign behind observe_on": lambda s, loop, kind: s.pipe(rxo.observe_on(loop), careless(kind)),
    "step": lambda s, _, kind: s.pipe(ops.map_data(_Step(kind))),
    "step behind observe_on": lambda s, loop, kind: s.pipe(
        rxo.observe_on(loop), ops.map_data(_Step(kind))
    ),
    "join": lambda s, _, kind: s.pipe(ops.merge_by_time(rx.empty()), ops.map_data(_Step(kind))),
    "input of a join": lambda s, _, kind: s.pipe(
        ops.merge_by_time(s.pipe(ops.map_data(_Step(kind))))
    ),
    "map_parallel": lambda s, _, kind: s.pipe(ops.map_parallel(_Step(kind), in_flight=1)),
}


def pull_for(stream: Any) -> None:
    for _ in stream:
        pass


def pull_reader(stream: Any) -> None:
    with stream.reader() as reader:
        pull_for(reader)


def pull_async(stream: Any) -> None:
    async def run() -> None:
        async for _ in stream:
            pass

    asyncio.run(run())


def pull_run(stream: Any) -> None:
    stream.run()


PULLS = [pull_for, pull_reader, pull_async, pull_run]


def _pull(pull: Callable[[Any], None], stream: Any, raised: list[BaseException]) -> None:
    try:
        pull(stream)
    except BaseException as error:
        raised.append(error)


@pytest.mark.parametrize("pull", PULLS)
@pytest.mark.parametrize("shape", PIPES)
def test_who_pulls_gets_what_an_operator_raises(
    shape: str, pull: Callable[[Any], None], window: Window, loop: EventLoopScheduler
) -> None:
    """Of every kind of exception; a task cancelled in a step is not one's own."""
    for kind in KINDS if shape != "RxPY" else (TypeError,):
        stream, raised = PIPES[shape](window.subject, loop, kind), list[BaseException]()

        thread = threading.Thread(target=_pull, args=(pull, stream, raised))
        thread.start()
        assert eventually(lambda: window.subject.log.cursors())
        window.push(5)
        thread.join(10)
        assert not thread.is_alive(), kind
        (error,) = raised
        assert isinstance(error, kind) or isinstance(error.__cause__, kind)
        if pull in (pull_for, pull_reader, pull_async) and kind is asyncio.CancelledError:
            assert isinstance(error, RxStreamError)
        assert eventually(lambda: not window.subject.log.cursors())


def test_an_operator_that_raises_is_reported_too(window: Window) -> None:
    errors: list[Any] = []
    window.subject.pipe(careless(ValueError)).subscribe(lambda _: None, errors.append)
    window.push(5)
    assert eventually(lambda: errors)
    assert [str(error) for error in window.reported] == [
        "mic: an operator behind it raised: ValueError('mine')"
    ]


def test_a_raise_in_a_hot_source_of_rx_goes_downstream() -> None:
    source: Subject[Chunk[Any]] = Subject()
    errors: list[Any] = []
    source.pipe(ops.map_data(_Step(SystemExit))).subscribe(lambda _: None, errors.append)
    thread = threading.Thread(target=lambda: [source.on_next(ramp(k, 1)) for k in range(5)])
    thread.start()
    thread.join()
    assert isinstance(errors[0], SystemExit)


def test_a_subscriber_of_what_rx_makes_of_several_streams(window: Window) -> None:
    """RxPY's own subscription: nobody can tell it from an operator; it is reported and ended."""
    bad, good = Raising(ValueError), list[Any]()
    rx.merge(window.subject, rx.never()).subscribe(bad, bad.errors.append)
    window.subject.subscribe(good.append)
    window.push(10)
    assert eventually(lambda: window.reported and len(good) == 10)
    assert bad.items == 3
    assert [type(error) for error in bad.errors] == [ValueError]
    assert eventually(lambda: len(window.subject.log.cursors()) == 1)


@pytest.mark.parametrize("pull", [pull_for, pull_reader, pull_async])
def test_who_pulls_is_told_that_there_are_no_threads(
    pull: Callable[[Any], None], window: Window, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The limit of a system is not reached in a test: a stand-in refuses the worker's thread."""
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if thread.name.startswith("rxstream-mic"):
            raise RuntimeError("can't start new thread")
        start(thread)

    raised: list[BaseException] = []
    puller = threading.Thread(target=_pull, args=(pull, window.subject.pipe(ops.gaps()), raised))
    puller.start()
    assert eventually(lambda: window.subject.log.cursors())
    monkeypatch.setattr(threading.Thread, "start", refuse)
    window.push()
    puller.join(10)
    assert not puller.is_alive()
    assert "can't start new thread" in str(raised[0])


def test_what_an_operators_function_raises_is_logged_with_its_place(
    window: Window, caplog: pytest.LogCaptureFixture
) -> None:
    def raising(data: Any) -> Any:
        raise KeyError(data[0])

    window.subject.pipe(ops.map_data(raising)).subscribe(lambda _: None)
    window.subject.on_next(ramp(0, 5))
    assert eventually(lambda: caplog.records)
    assert "in raising" in caplog.text
    assert "map_data: in the chunk of" in caplog.text
