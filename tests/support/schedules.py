"""Random schedules: what several threads of a program do to one device at the same time."""

import asyncio
import random
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import numpy as np
from fakes import eventually
from reactivex import operators as rxo
from reactivex.scheduler import EventLoopScheduler, ImmediateScheduler, NewThreadScheduler

from rxstream import Chunk, Device, StreamInfo
from rxstream import operators as ops
from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.data.clock import host_clock
from rxstream.errors import DeviceClosedError, LagError, RxStreamError, SubscriberError

__all__ = ["OPERATIONS", "Schedule", "dispose_idle"]

_SESSION = 1 << 40  # a sample is its number, and that of its session times this
_KINDS: tuple[type[BaseException], ...] = (
    ValueError, SystemExit, KeyboardInterrupt, GeneratorExit, asyncio.CancelledError,
)  # fmt: skip


def dispose_idle(loop: EventLoopScheduler) -> None:
    """Dispose of a loop when it has nothing to do: what RxPY has in its queues schedules the next.

    Else that raises, in the loop's own thread.
    """
    for _ in range(20):
        passed = threading.Event()
        loop.schedule(lambda *_, passed=passed: passed.set())
        passed.wait(10)
    loop.dispose()


class Numbered:
    """A source whose thread emits numbered samples, some at a time, as fast as it may."""

    live = True

    def __init__(self, dice: random.Random) -> None:
        rate = dice.choice([None, 50_000.0])
        self.info = StreamInfo("numbered", rate=rate, dtype=np.dtype(np.int64))
        self._pause, self._most = (
            dice.choice([0.0002, 0.001, 0.003]),
            dice.choice([1, 7, 100, 5000]),
        )
        self.sessions = 0

    def open(self, emit: Emit, _fail: Fail) -> Close:
        """Start the thread."""
        self.sessions += 1
        stop = threading.Event()
        thread = threading.Thread(
            target=self._run, args=(emit, stop, self.sessions * _SESSION), daemon=True
        )
        thread.start()

        def close() -> None:
            stop.set()
            if thread is not threading.current_thread():
                thread.join(10)

        return close

    def _run(self, emit: Emit, stop: threading.Event, number: int) -> None:
        k = 0
        while not stop.is_set():
            n = 1 + 7919 * k * k % self._most
            emit(np.arange(number, number + n))
            number, k = number + n, k + 1
            stop.wait(self._pause)


class Book:
    """A subscriber that enters whatever must not happen."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.wrong: list[str] = []
        self.next: int | None = None  # number of the next sample
        self.session = 0
        self.end: int | None = None  # [ns]
        self.samples = self.lost = self.raised = 0
        self.ended = self.left = False
        self.error: Exception | None = None
        self.subscription: Any = None
        self.then: Callable[[], None] | None = None
        self._inside = False

    def __call__(self, chunk: Chunk[Any]) -> None:
        """Take a chunk, then do what the schedule wants."""
        if self._inside:
            self.wrong.append("two at once")
        if self.ended:
            self.wrong.append("a chunk after the end")
        self._inside = True
        try:
            self.check(chunk)
            if self.then is not None:
                self.then()
        finally:
            self._inside = False

    def check(self, chunk: Chunk[Any]) -> None:
        """Enter a chunk: its samples by value, its gaps by count, its time by order."""
        first, n = chunk.index, len(chunk)
        numbers = np.arange(first, first + n)
        before = inside = 0
        for at, gap in chunk.gap_positions:
            if gap.reason != "lag":
                self.wrong.append(f"nothing else was lost: {gap}")
            if at:
                numbers[at:] += gap.lost or 0
                inside += gap.lost or 0
            else:
                before += gap.lost or 0
        if self.next is not None and first - before != self.next:
            self.wrong.append(f"{self.next} expected; {before} lost, then {first}")
        if n:
            self.session = self.session or int(chunk.data[0]) // _SESSION
            if not np.array_equal(chunk.data, numbers + self.session * _SESSION):
                self.wrong.append(f"{numbers} expected, {chunk.data} came")
            if self.end is not None and int(chunk.time[0]) < self.end:
                self.wrong.append("time goes back")
        self.next, self.end = first + n + inside, chunk.end
        self.samples += n
        self.lost += before + inside

    def complete(self) -> None:
        """Take the end."""
        if self.ended or self._inside:
            self.wrong.append("a second end, or one inside a chunk")
        self.ended = True

    def fail(self, error: Exception) -> None:
        """Take an error."""
        self.error = error
        self.complete()
        if self.raised:
            self.wrong.append("told of its own exception")


class Schedule:
    """One device, and random operations on it."""

    def __init__(self, seed: int) -> None:
        self.dice = dice = random.Random(seed)
        self.source = Numbered(dice)
        self.device = Device(
            self.source,
            timestamps="arrival",
            history=dice.choice([0.02, 0.1, 1.0]),
            max_bytes=dice.choice([1, 10_000, 1 << 20, 1 << 30]),
        )
        self.loop = EventLoopScheduler()
        self.books: list[Book] = []
        self.faults: list[Any] = []
        self.device.faults.subscribe(self.faults.append)
        self._guard = threading.Lock()
        self._over = False  # from the last opening on nobody begins anything

    # -- subscribing --------------------------------------------------------------------------

    def book(self, name: str) -> Book:
        """Return a new subscriber."""
        book = Book(name)
        with self._guard:
            self.books.append(book)
        return book

    def scheduler(self, dice: random.Random) -> Any:
        """Return one of the kinds of scheduler; most often none, a thread of its own."""
        some = (None, None, ImmediateScheduler(), self.loop, NewThreadScheduler())
        return dice.choice(some)

    def subscribe(self, stream: Any, book: Book, scheduler: Any) -> None:
        """Subscribe a subscriber."""
        book.subscription = stream.subscribe(book, book.fail, book.complete, scheduler=scheduler)

    def join(self, dice: random.Random, then: Callable[[Book], None] | None = None) -> Book:
        """Subscribe somewhere, somehow; at its n-th chunk it does something."""
        device = self.device
        policy = dice.choice(["gap", "gap", "latest", "error"])
        streams: list[tuple[str, Any]] = [
            ("now", device),
            ("rewind", device.rewind(dice.random() * 0.02)),
            ("rewind to", device.rewind(to=host_clock.now() - dice.randrange(20_000_000))),
            ("policy", device.on_lag(policy)),  # type: ignore[arg-type]
            ("rechunk", device.pipe(ops.rechunk(dice.randrange(1, 50)))),
            ("map", device.pipe(rxo.map(lambda chunk: chunk))),
        ]
        name, stream = dice.choice(streams)
        book = self.book(name)
        if then is not None:
            after = dice.randrange(1, 5)

            def do() -> None:
                nonlocal after
                after -= 1
                if not after and not self._over:
                    then(book)

            book.then = do
        scheduler = self.scheduler(dice)
        # a loop is the thread of all its subscribers: who closes the device there waits for nobody
        self.subscribe(stream, book, scheduler)
        return book

    # -- operations ---------------------------------------------------------------------------

    def run_thread(self, seed: float, count: int) -> None:
        """Do random operations."""
        dice, tick = random.Random(seed), threading.Event()
        for _ in range(count):
            dice.choice(OPERATIONS)(self, dice)
            tick.wait(dice.choice([0.0, 0.0, 0.001, 0.004]))

    def plain(self, dice: random.Random) -> None:
        self.join(dice)

    def slow(self, dice: random.Random) -> None:
        tick = threading.Event()
        book = self.book("slow")
        book.then = lambda: (tick.wait(0.003), None)[1]
        self.subscribe(self.device, book, dice.choice([None, NewThreadScheduler()]))

    def dispose_self(self, dice: random.Random) -> None:
        def leave(book: Book) -> None:
            book.left = True
            if book.subscription is not None:  # else it is still being made
                book.subscription.dispose()

        self.join(dice, leave)

    def dispose_other(self, dice: random.Random) -> None:
        with self._guard:
            books = [book for book in self.books if book.subscription is not None]
        if books:
            book = dice.choice(books)
            book.left = True
            book.subscription.dispose()

    def nested(self, dice: random.Random) -> None:
        inner = random.Random(dice.random())
        self.join(dice, lambda _: (self.join(inner), None)[1])

    def raises(self, dice: random.Random) -> None:
        kind = dice.choice(_KINDS)

        def raise_it(book: Book) -> None:
            book.raised += 1
            raise kind("mine")

        self.join(dice, raise_it)

    def raises_behind_a_queue(self, dice: random.Random) -> None:
        kind, book = dice.choice(_KINDS), self.book("observe_on")
        stream = self.device.pipe(rxo.observe_on(self.loop))

        def raise_it() -> None:
            book.raised += 1
            raise kind("mine")

        book.then = raise_it
        self.subscribe(stream, book, None)

    def close(self, _dice: random.Random) -> None:
        self.device.close(10)

    def close_inside(self, dice: random.Random) -> None:
        self.join(dice, lambda _: self.device.close(10))

    def open(self, _dice: random.Random) -> None:
        with suppress(DeviceClosedError):  # closed meanwhile
            self.device.open()

    def last(self, dice: random.Random) -> None:
        self.book("last").check(self.device.last(dice.random() * 0.02))

    def between(self, dice: random.Random) -> None:
        now = host_clock.now()
        start = now - dice.randrange(30_000_000)
        chunk = self.device.between(start, now)
        book = self.book("between")
        book.check(chunk)
        if len(chunk) and not start <= int(chunk.time[0]) <= int(chunk.time[-1]) < now:
            book.wrong.append("outside of the time asked for")

    def at(self, dice: random.Random) -> None:
        when = host_clock.now() - dice.randrange(10_000_000)
        with suppress(RxStreamError):  # nothing is so old
            chunk = self.device.at(when)
            book = self.book("at")
            book.check(chunk)
            if len(chunk) != 1 or int(chunk.time[0]) > when:
                book.wrong.append("not the sample at that time")

    def past(self, dice: random.Random) -> None:
        book = self.book("past")
        self.device.past(0.02).pipe(ops.rechunk(dice.randrange(1, 30))).subscribe(
            book, book.fail, book.complete
        )
        if not book.ended:
            book.wrong.append("the past did not end")

    def read(self, dice: random.Random) -> None:
        stream = dice.choice([self.device, self.device.pipe(ops.rechunk(5))])
        book = self.book("reader")
        with stream.reader() as reader, suppress(TimeoutError):
            for _ in range(dice.randrange(4)):
                chunk = reader.read(dice.choice([None, 1, 30]), timeout=0.003)
                if chunk is None:
                    break
                book.check(chunk)

    def drop_reader(self, dice: random.Random) -> None:
        """Take the first chunk, and forget the reader; that of a closed device waits for nobody."""
        if dice.random() < 0.5:
            self.device.reader(rewind=0.01)
            self.device.pipe(ops.rechunk(3)).reader()
        elif self.device.state == "open":
            reader = self.device.reader()
            book = self.book("dropped reader")
            with suppress(TimeoutError):
                chunk = reader.read(timeout=0.003)
                if chunk is not None:
                    book.check(chunk)

    def iterate_async(self, dice: random.Random) -> None:
        stream = dice.choice([self.device, self.device.pipe(ops.rechunk(5))])
        book, count = self.book("async for"), dice.randrange(1, 4)

        async def take() -> None:
            left = count
            async for chunk in stream:
                book.check(chunk)
                left -= 1
                if not left:
                    break

        async def run() -> None:
            with suppress(TimeoutError):
                await asyncio.wait_for(take(), 0.005)

        asyncio.run(run())

    def look(self, _dice: random.Random) -> None:
        str(self.device.stats())
        repr(self.device)

    def share_window(self, dice: random.Random) -> None:
        kept = self.device.pipe(ops.map_data(np.array), ops.replay_window(0.05))
        for _ in range(2):
            book = self.book("replay_window")
            self.subscribe(kept, book, dice.choice([None, ImmediateScheduler()]))

    # -- the end ------------------------------------------------------------------------------

    def finish(self) -> list[str]:
        """Close the device for good, and return whatever was wrong."""
        self._over = True
        self.device.close(20)
        self.device.open()  # who waits for an opening gets it, and its end
        eventually(lambda: self.device.log.newest() is not None)
        self.device.close(20)
        found: list[str] = []
        left = [book for book in self.books if book.subscription is not None]
        for book in left:
            if not eventually(lambda book=book: book.ended or book.left or book.raised, 20):  # type: ignore[misc]
                found.append(f"{book.name}: no end came after {book.samples} samples, {book.next}")
        raised = sum(book.raised for book in self.books)
        if not eventually(lambda: len(self._reported()) >= raised):
            found.append(f"{raised} raised, {len(self._reported())} reported")
        if len(self._reported()) > raised:
            found.append(f"{raised} raised, but reported: {[str(e) for e in self._reported()]}")
        if not eventually(lambda: not self.device.log.cursors()):
            found.append(f"cursors left: {self.device.log.cursors()}")
        dispose_idle(self.loop)
        for book in self.books:
            found += [f"{book.name}: {wrong}" for wrong in book.wrong]
            if book.error is not None and not isinstance(book.error, LagError):
                found.append(f"{book.name}: {book.error!r}")
        return found + self._ends(left)

    def _reported(self) -> list[Any]:
        return [fault for fault in self.faults if isinstance(fault, SubscriberError)]

    def _ends(self, books: list[Book]) -> list[str]:
        """Return which subscribers did not have the last sample of their session, or its gap."""
        ends: dict[int, set[int]] = {}
        for book in books:
            if book.ended and book.error is None and book.session and not book.left:
                ends.setdefault(book.session, set()).add(book.next or 0)
        return [f"session {k} ended at {sorted(v)}" for k, v in ends.items() if len(v) > 1]


OPERATIONS: tuple[Callable[[Schedule, random.Random], None], ...] = (
    Schedule.plain, Schedule.plain, Schedule.plain, Schedule.slow, Schedule.dispose_self,
    Schedule.dispose_other, Schedule.dispose_other, Schedule.nested, Schedule.raises,
    Schedule.raises, Schedule.raises_behind_a_queue, Schedule.close, Schedule.close_inside,
    Schedule.open, Schedule.open, Schedule.open, Schedule.last, Schedule.between, Schedule.at,
    Schedule.past, Schedule.read, Schedule.drop_reader, Schedule.iterate_async, Schedule.look,
    Schedule.share_window,
)  # fmt: skip
