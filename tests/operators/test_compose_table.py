"""Each row of the table in docs/compose.md: what an operator of RxPY does, and what is right."""

import asyncio
import threading
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import reactivex as rx
from fakes import INFO, MS, Manual, eventually, ramp
from reactivex import operators as rxo
from reactivex.scheduler import EventLoopScheduler
from reactivex.subject import Subject

from rxstream import Chunk, Device, Reading
from rxstream import operators as ops
from rxstream.errors import EndOfStream, ParameterError

pytestmark = pytest.mark.real
# Long enough for what should come, not waited for unless it does not.
LIMIT = 10.0


class Hand:
    """A device whose readings the test gives, ten samples each."""

    def __init__(self, history: float = 60.0) -> None:
        self.source = Manual(INFO)
        self.device = Device(self.source, history=history)
        self._since = 10**18

    def give(self, count: int = 1) -> None:
        for _ in range(count):
            # sooner than in real time, but with its times
            self._since += 10 * MS
            self.source.emit(Reading(np.arange(10), arrival=self._since))

    def end(self) -> None:
        self.source.fail(EndOfStream())


class Blocking:
    """A subscriber that stays in its first item until it is released."""

    def __init__(self) -> None:
        self.items: list[Any] = []
        self.entered, self.released = threading.Event(), threading.Event()

    def __call__(self, item: Any) -> None:
        self.items.append(item)
        self.entered.set()
        assert self.released.wait(LIMIT)


@pytest.fixture
def hand() -> Iterator[Hand]:
    made = Hand()
    with made.device:
        yield made


@pytest.fixture
def loop() -> Iterator[EventLoopScheduler]:
    scheduler = EventLoopScheduler()
    yield scheduler
    scheduler.dispose()


def samples(items: list[Chunk[Any]]) -> int:
    return sum(map(len, items))


@pytest.mark.parametrize("name", ["share", "publish"])
def test_who_shares_waits_for_the_slowest(name: str, hand: Hand) -> None:
    share = {"share": rxo.share(), "publish": rxo.compose(rxo.publish(), rxo.ref_count())}[name]
    slow, got = Blocking(), list[Any]()
    shared = hand.device.pipe(share)
    with shared.subscribe(slow), shared.subscribe(got.append):
        hand.give(3)
        assert slow.entered.wait(LIMIT)
        assert not got
        slow.released.set()
        assert eventually(lambda: samples(got) == 30)


def test_a_replay_window_does_not(hand: Hand) -> None:
    slow, got = Blocking(), list[Any]()
    shared = hand.device.pipe(ops.rechunk(10), ops.replay_window(10))
    with shared.subscribe(slow), shared.subscribe(got.append):
        hand.give(4)  # the last piece waits for what comes after it
        assert slow.entered.wait(LIMIT)
        assert eventually(lambda: samples(got) >= 30)
        slow.released.set()


def sessions(share: Any) -> list[int]:
    """Return how many samples two subscribers of two sessions get, one in each."""
    hand, counts = Hand(), []
    shared = hand.device.pipe(share)
    for _ in range(2):
        got, ended = list[Any](), threading.Event()
        with shared.subscribe(got.append, on_completed=ended.set), hand.device:
            hand.give(3)
            hand.end()
            assert ended.wait(LIMIT)
        counts.append(samples(got))
    return counts


def test_what_is_shared_is_over_after_the_first_session() -> None:
    assert sessions(rxo.share()) == [30, 0]
    assert sessions(ops.replay_window(10)) == [30, 30]


def test_a_buffer_with_boundaries_loses_what_comes_meanwhile(hand: Hand) -> None:
    """Chunks of the device's thread go to the buffer that the other thread has just closed."""
    boundaries: Subject[None] = Subject()
    slow, seen = Blocking(), list[Any]()
    with hand.device.pipe(rxo.do_action(seen.append), rxo.buffer(boundaries)).subscribe(slow):
        hand.give(1)
        assert eventually(lambda: samples(seen) == 10)
        other = threading.Thread(target=boundaries.on_next, args=(None,))
        other.start()
        assert slow.entered.wait(LIMIT)
        hand.give(3)
        assert eventually(lambda: samples(seen) == 40)
        slow.released.set()
        other.join(LIMIT)
        boundaries.on_next(None)
        assert [samples(chunks) for chunks in slow.items] == [10, 0]


def test_windows_of_time_lose_nothing(hand: Hand) -> None:
    slow = Blocking()
    ended = threading.Event()
    windows = hand.device.pipe(ops.window_by_time(0.02))
    with windows.subscribe(slow, on_completed=ended.set):
        hand.give(3)
        assert slow.entered.wait(LIMIT)
        hand.give(30)
        slow.released.set()
        hand.end()
        assert ended.wait(LIMIT)
        assert samples(slow.items) == 330


def lagging(hand: Hand, stream: Any, seen: list[Any] | None = None, **options: Any) -> list[Any]:
    """Return what a slow subscriber gets of 100 chunks of 10 ms, with a window of 0.1 s.

    With ``seen``, the list of what comes before it, no more is given before that has come.
    """
    slow, ended = Blocking(), threading.Event()
    with hand.device, stream.subscribe(slow, on_completed=ended.set, **options):
        hand.give(1)
        assert slow.entered.wait(LIMIT)
        for k in range(2, 101):
            hand.give(1)
            assert seen is None or eventually(lambda k=k: len(seen) == k)
        slow.released.set()
        hand.end()
        assert ended.wait(LIMIT)
    return slow.items


def test_observe_on_keeps_what_the_window_has_dropped(loop: EventLoopScheduler) -> None:
    hand, seen = Hand(history=0.1), list[Any]()
    stream = hand.device.pipe(rxo.do_action(seen.append), rxo.observe_on(loop))
    queued = lagging(hand, stream, seen)
    assert samples(queued) == 1000
    hand = Hand(history=0.1)
    told = lagging(hand, hand.device, scheduler=loop)
    lost = [gap for chunk in told for gap in chunk.gaps]
    assert {gap.reason for gap in lost} == {"lag"}
    assert samples(told) + sum(gap.lost or 0 for gap in lost) == 1000
    assert samples(told) < 500


def test_a_future_does_not_wake_the_loop() -> None:
    async def wait(as_future: bool) -> tuple[bool, int]:
        hand = Hand()
        loop, woken = asyncio.get_running_loop(), threading.Event()
        with hand.device:
            first = hand.device.pipe(rxo.first())
            found = first.pipe(rxo.to_future()) if as_future else asyncio.ensure_future(_of(first))
            await asyncio.sleep(0)
            threading.Timer(0.05, hand.give).start()
            since = loop.time()
            await asyncio.wait([found], timeout=1.0)
            woken = loop.time() - since < 0.9
            return woken, len(found.result())

    async def _of(stream: Any) -> Any:
        return await stream

    assert asyncio.run(wait(as_future=True)) == (False, 10)
    assert asyncio.run(wait(as_future=False)) == (True, 10)


def test_concat_hears_the_second_from_then_on() -> None:
    a, b = Hand(), Hand()
    late, whole = list[Any](), list[Any]()
    ends = [threading.Event(), threading.Event()]
    with b.device, a.device:
        b.give(2)
        assert eventually(lambda: len(b.device.last(60)) == 20)
        a.device.pipe(rxo.concat(b.device)).subscribe(late.append, on_completed=ends[0].set)
        rewound = b.device.pipe(ops.rewind(60))
        a.device.pipe(rxo.concat(rewound)).subscribe(whole.append, on_completed=ends[1].set)
        a.give(1)
        a.end()
        assert eventually(lambda: samples(whole) == 30)
        assert eventually(lambda: len(b.device.stats().subscribers) == 2)
        b.give(1)
        b.end()
        assert all(end.wait(LIMIT) for end in ends)
    assert [samples(late), samples(whole)] == [20, 40]


def test_chunks_are_in_no_set() -> None:
    chunk = ramp(0, 10)
    with pytest.raises(TypeError, match="unhashable"):
        hash(chunk)
    hand, errors = Hand(), list[Any]()
    with hand.device:
        hand.device.pipe(rxo.to_set()).subscribe(on_error=errors.append)
        hand.give(1)
        assert eventually(lambda: errors)
    assert isinstance(errors[0], TypeError)
    hand, found = Hand(), list[Any]()
    with hand.device:
        names = hand.device.pipe(rxo.map(lambda c: c.info.name), rxo.to_set())
        names.subscribe(found.append)
        hand.give(3)
        hand.end()
        assert eventually(lambda: found)
    assert found == [{INFO.name}]


def compare(hand: Hand, operator: Any) -> list[Any]:
    """Return what an operator says of two chunks."""
    got: list[Any] = []
    with hand.device:
        hand.device.pipe(operator).subscribe(got.append, got.append)
        if not got:
            hand.give(2)
            hand.end()
        assert eventually(lambda: got)
    return got


@pytest.mark.parametrize("name", ["sequence_equal", "zip_with_iterable"])
def test_what_takes_a_list_refuses_a_stream_at_once(name: str) -> None:
    for make in (lambda d: d, lambda d: d.pipe(ops.rechunk(5))):
        hand = Hand()
        (error,) = compare(hand, getattr(rxo, name)(make(hand.device)))
        assert isinstance(error, ParameterError)
        assert "rx.defer" in str(error)


def test_a_deferred_stream_is_compared() -> None:
    for same in (True, False):
        hand = Hand()
        second = rx.defer(lambda _, hand=hand: hand.device)
        equal = rxo.sequence_equal(second, lambda a, b, same=same: (a.index == b.index) == same)
        assert compare(hand, equal) == [same]
    hand = Hand()
    assert samples(compare(hand, rxo.zip(hand.device))[0]) == 20
