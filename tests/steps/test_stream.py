"""Streams: what their repr says, how they are pulled from, and what they refuse."""

import asyncio
import gc
import threading
import time
from typing import Any

import numpy as np
import pytest
import reactivex as rx
from fakes import eventually
from reactivex import operators as rxo
from reactivex.subject import Subject

from rxstream import Chunk, StreamInfo, TimeWindowSubject, lift
from rxstream import operators as ops
from rxstream.errors import NotRewindableError, ParameterError
from rxstream.sinks import wav
from rxstream.steps.stream import Stream

MS = 1_000_000
INFO = StreamInfo("ramp", rate=1000.0, dtype=np.int64)


def ramp(first: int, n: int) -> Chunk[Any]:
    data = np.arange(first, first + n)
    return Chunk.regular(data, INFO, start=first * MS, index=first)


def subject(*chunks: Chunk[Any]) -> TimeWindowSubject:
    made = TimeWindowSubject(60, name="mic", clock=lambda: 0)
    for chunk in chunks:
        made.on_next(chunk)
    return made


def test_the_repr_shows_the_chain() -> None:
    stream = rx.of(ramp(0, 4)).pipe(ops.rechunk(2), ops.map_data(np.abs, unit="g"))
    assert repr(stream) == "<Stream Observable | rechunk(2) | map_data(absolute, unit='g')>"
    assert repr(subject().pipe(ops.rms(0.1))).startswith("<Stream mic | rms(0.1)")
    joined = subject().pipe(ops.align(subject(), tolerance=0.1))
    assert repr(joined) == "<Stream mic | align(mic, tolerance=0.1)>"
    kept = subject().pipe(ops.rewind(1), ops.gaps())
    assert repr(kept) == "<Stream mic | rewind(1) | gaps()>"
    again = subject().pipe(ops.rms(0.1), ops.replay_window(5), ops.latest(), ops.gaps())
    assert again.chain == "mic | rms(0.1) | replay_window(5) | latest() | gaps()"  # type: ignore[attr-defined]
    behind = subject().pipe(rxo.map(lambda c: c), ops.gaps())
    assert repr(behind) == "<Stream mic | RxPY | gaps()>"
    for name in ops.__all__:
        made = getattr(ops, name)
        assert isinstance(made, type) or hasattr(made, "makes_operator"), name


def test_for_gives_chunks_and_ends() -> None:
    assert [len(chunk) for chunk in rx.of(ramp(0, 5)).pipe(ops.rechunk(2))] == [2, 2, 1]


def test_for_over_more_than_can_wait() -> None:
    stream = rx.from_iterable(ramp(k, 1) for k in range(500)).pipe(ops.rechunk(1))
    assert [int(chunk.data[0]) for chunk in stream] == list(range(500))


def test_leaving_a_loop_ends_the_subscription() -> None:
    source: Subject[Chunk[Any]] = Subject()
    stream = source.pipe(ops.rechunk(1))
    loop = iter(stream)
    feeder = threading.Thread(target=lambda: _feed_when_subscribed(source, 3))
    feeder.start()
    assert next(loop).data.tolist() == [0]
    feeder.join()
    loop.close()  # type: ignore[attr-defined]
    assert not source.observers


def _feed_when_subscribed(source: "Subject[Any]", n: int) -> None:
    while not source.observers:
        pass
    for k in range(n):
        source.on_next(ramp(k, 1))


def test_a_source_that_never_ends_is_stopped() -> None:
    count = [0]

    def endless(observer: Any, _scheduler: Any = None) -> Any:
        while True:
            count[0] += 1
            observer.on_next(ramp(count[0], 1))

    for chunk in rx.create(endless).pipe(ops.rechunk(1)):
        assert len(chunk) == 1
        break
    stopped = count[0]
    assert stopped <= 40  # what could wait, and not more
    assert not [t for t in threading.enumerate() if t.name == "rxstream-hand-over"]


def test_an_error_is_raised_where_it_is_read() -> None:
    stream = rx.concat(rx.of(ramp(0, 2)), rx.throw(RuntimeError("gone"))).pipe(ops.rechunk(1))
    with pytest.raises(RuntimeError, match="gone"):
        list(stream)


def test_a_reader_joins_chunks() -> None:
    source: Subject[Chunk[Any]] = Subject()
    with source.pipe(ops.rechunk(2)).reader() as reader:
        source.on_next(ramp(0, 7))
        assert reader.read(3).data.tolist() == [0, 1, 2]  # type: ignore[union-attr]
        with pytest.raises(TimeoutError):
            reader.read(100, timeout=0)
        source.on_completed()
        assert reader.read(100).data.tolist() == [3, 4, 5, 6]  # type: ignore[union-attr]
        assert reader.read() is None
    assert repr(reader) == "<Reader of Subject | rechunk(2): closed>"


def test_a_full_hand_over_lets_the_cursor_lag() -> None:
    """The device goes on; a reader that was too slow gets a gap, by the policy of its cursor."""
    mic = TimeWindowSubject(0.1, name="mic")
    with mic.pipe(ops.on_lag("gap"), ops.rechunk(10)).reader(size=2) as reader:
        for k in range(100):
            mic.on_next(ramp(10 * k, 10))
        mic.on_completed()
        got = list(reader)
    assert sum(map(len, got)) + sum(chunk.lost for chunk in got) == 1000
    assert sum(chunk.lost for chunk in got) > 0
    assert {gap.reason for chunk in got for gap in chunk.gaps} == {"lag"}


def test_values_are_iterated_and_not_joined() -> None:
    levels = rx.of(ramp(0, 2), ramp(2, 2)).pipe(ops.map_parallel(lambda c: float(c.data.sum())))
    assert list(levels) == [1.0, 5.0]
    with levels.reader() as reader, pytest.raises(ParameterError, match="iterate over it"):
        reader.read()


@pytest.mark.parametrize("n", [0, -1, 1.5, "3"])
def test_bad_numbers_are_refused(n: Any) -> None:
    stream = rx.of(ramp(0, 2)).pipe(ops.rechunk(1))
    with stream.reader() as reader, pytest.raises(ParameterError, match="whole number"):
        reader.read(n)
    with pytest.raises(ParameterError, match="size must be"):
        stream.reader(size=n)


def test_async_for_gives_chunks_and_ends() -> None:
    async def lengths() -> list[int]:
        stream = rx.from_iterable(ramp(k, 1) for k in range(100)).pipe(ops.rechunk(1))
        return [len(chunk) async for chunk in stream]

    assert asyncio.run(lengths()) == [1] * 100


def test_async_for_raises_the_error_of_the_stream() -> None:
    async def first_error() -> str:
        stream = rx.throw(RuntimeError("gone")).pipe(ops.rechunk(1))
        try:
            async for _ in stream:
                pass
        except RuntimeError as error:
            return str(error)
        return ""

    assert asyncio.run(first_error()) == "gone"


def test_leaving_an_async_loop_ends_the_subscription() -> None:
    async def run() -> int:
        source: Subject[Chunk[Any]] = Subject()
        chunks = source.pipe(ops.rechunk(1)).__aiter__()
        waiting = asyncio.ensure_future(anext(chunks))  # type: ignore[arg-type]
        while not source.observers:
            await asyncio.sleep(0)
        source.on_next(ramp(0, 3))
        chunk = await waiting
        await chunks.aclose()  # type: ignore[attr-defined]
        # by the thread that subscribes, where that has only just begun to
        assert eventually(lambda: not source.observers)
        return len(chunk)

    assert asyncio.run(run()) == 1


@pytest.mark.parametrize(
    "ask",
    [
        lambda s: s.last(0.5),
        lambda s: s.between(0, 1),
        lambda s: s.at(5),
        lambda s: s.past(3),
        lambda s: s.rewind(3),
    ],
)
def test_a_stream_without_a_past_says_what_to_do(ask: Any) -> None:
    stream = subject().pipe(ops.rechunk(2))
    with pytest.raises(NotRewindableError, match=r"mic \| rechunk.* keeps no past.*replay_window"):
        ask(stream)


def test_an_operator_of_rx_at_the_end_gives_a_stream() -> None:
    stream = rx.of(ramp(0, 4)).pipe(ops.rechunk(2)).pipe(rxo.map(lambda c: int(c.data[0])))
    assert list(stream) == [0, 2]
    assert repr(stream) == "<Stream Observable | rechunk(2) | RxPY>"


def test_an_operator_of_your_own_has_its_name() -> None:
    class Same:
        def push(self, item: Any) -> tuple[Any]:
            return (item,)

        def flush(self) -> tuple[()]:
            return ()

    def same() -> Any:
        return lift(lambda: Same())

    assert repr(subject().pipe(lift(Same))).endswith("Same>")
    assert repr(subject().pipe(same())).endswith("same>")
    assert "rms(0.1)" in repr(ops.rms(0.1))
    past = subject(ramp(0, 2000)).past(1, warmup=0.2)
    assert repr(past.pipe(ops.rms(0.1))) == "<Stream mic.past(1) | rms(0.1)>"


@pytest.mark.parametrize(
    ("operator", "message"),
    [
        (ops.rms, r"call it, ops\.rms\(\.\.\.\)"),
        ("rms", "takes operators, e.g. ops.rms"),
        (rx.of(1), "takes operators"),
        (print, "print is no operator, it returned None"),
    ],
)
def test_what_is_no_operator_is_named(operator: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        subject().pipe(operator)


@pytest.mark.parametrize(
    ("observer", "message"),
    [
        ("a.wav", "function or an observer, not 'a.wav'"),
        (wav, r"make one, wav\(\.\.\.\)"),
        (3, "not 3"),
    ],
)
def test_what_cannot_subscribe_is_named(observer: Any, message: str) -> None:
    with pytest.raises(ParameterError, match=message):
        subject().subscribe(observer)


def test_last_of_rx_still_works() -> None:
    out: list[Any] = []
    rx.of(ramp(0, 4)).pipe(ops.rechunk(2)).last().subscribe(out.append)
    assert [chunk.data.tolist() for chunk in out] == [[2, 3]]


def test_operators_of_rx_work_on_streams() -> None:
    out: list[int] = []
    stream = rx.of(ramp(0, 4)).pipe(ops.rechunk(2))
    assert isinstance(stream, Stream)
    stream.pipe(rxo.map(len), rxo.sum()).subscribe(out.append)
    assert out == [4]


def test_an_exit_in_a_step_is_raised_where_it_is_read() -> None:
    def leave(_x: Any) -> Any:
        raise SystemExit(3)

    with pytest.raises(SystemExit):
        list(rx.of(ramp(0, 2)).pipe(ops.map_data(leave)))


def test_what_is_put_by_the_thread_that_pulls_does_not_wait_for_it() -> None:
    source: Subject[Chunk[Any]] = Subject()
    with source.pipe(ops.rechunk(1)).reader(size=2) as reader:
        source.on_next(ramp(0, 50))
        source.on_completed()
        assert len(list(reader)) == 50


def test_a_forgotten_reader_ends_its_subscription() -> None:
    source: Subject[Chunk[Any]] = Subject()
    reader = source.pipe(ops.rechunk(1)).reader()
    assert source.observers
    del reader
    gc.collect()
    assert not source.observers


def test_a_task_cancelled_at_once_leaves_no_subscription() -> None:
    source: Subject[Chunk[Any]] = Subject()

    async def run() -> None:
        chunks = source.pipe(ops.rechunk(1)).__aiter__()
        task = asyncio.ensure_future(anext(chunks))  # type: ignore[arg-type]
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)

    asyncio.run(run())
    deadline = time.monotonic() + 10
    while source.observers and time.monotonic() < deadline:
        threading.Event().wait(0.001)
    assert not source.observers


def test_a_cold_source_that_is_silent_holds_nobody() -> None:
    release = threading.Event()

    def silent(observer: Any, _scheduler: Any = None) -> Any:
        release.wait(20)
        observer.on_next(ramp(0, 1))
        observer.on_completed()

    with rx.create(silent).pipe(ops.rechunk(1)).reader() as reader:
        with pytest.raises(TimeoutError):
            reader.read(timeout=0)
        release.set()
        assert [len(chunk) for chunk in reader] == [1]
