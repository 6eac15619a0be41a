"""Devices written with the authoring kit, whose drivers the tests hold in their hands."""

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncGenerator, Generator
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any, Literal, Self

from rxstream import Reading
from rxstream.acquisition.source import Close, Source
from rxstream.authoring import EmitValue, source


@dataclass(eq=False)
class Cable:
    """What a device says, put there by the test: a value, or an exception to raise."""

    said: "SimpleQueue[Any]" = field(default_factory=SimpleQueue)
    refuse: Exception | None = None
    opened: int = 0
    closed: int = 0
    left: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        if self.refuse is not None:
            raise self.refuse
        self.opened += 1
        return self

    def __exit__(self, *_: object) -> None:
        self.closed += 1
        self.left.set()

    def next(self, timeout: float = 0.02) -> Any:
        try:
            value = self.said.get(timeout=timeout)
        except Empty:
            return None
        if isinstance(value, BaseException):
            raise value
        return value


@source(unit="V", name="blocking")
def Blocking(cable: Cable, scale: float = 1.0) -> Generator[Any, None, None]:
    """A driver that blocks."""
    with cable:
        yield
        while True:
            value = cable.next()
            if value == "end":
                return
            yield value * scale if isinstance(value, float) else value


@source(dtype=[("topic", "U8"), ("value", "f8")])
def Calling(emit: EmitValue, cable: Cable) -> Generator[None, None, None]:
    """A driver that calls back, in a thread of its own."""
    stop = threading.Event()

    def listen() -> None:
        while not stop.is_set():
            if (value := cable.next()) is not None:
                with contextlib.suppress(Exception):  # as drivers do
                    emit(value)

    thread = threading.Thread(target=listen, name="listener")
    with cable:
        thread.start()
        try:
            yield
            while not cable.left.wait(0.02):
                yield
        finally:
            stop.set()
            thread.join()
            emit(("late", 0.0))


@source(dtype=[("topic", "U8"), ("value", "f8")])
async def Awaiting(cable: Cable) -> AsyncGenerator[Any, None]:
    """A driver of asyncio."""
    with cable:
        yield
        while True:
            value = await asyncio.to_thread(cable.next)
            if value == "end":
                return
            if value is not None:
                yield value


@source(every=lambda options: options.every, dtype="i4", shape=(2,))
def Asked(cable: Cable, every: float = 0.02) -> Any:
    """A driver that is asked."""
    with cable:
        value = cable.next()
    return [cable.opened, cable.closed] if value is None else value


@source(
    rate=lambda options: options.rate,
    shape=lambda options: (options.channels,),
    channels=lambda options: tuple(f"ch{k}" for k in range(options.channels)),
    dtype="i2",
)
def Board(
    port: str = "/dev/ttyUSB0",
    rate: float = 100.0,
    *,
    channels: int = 2,
    mode: Literal["fast", "slow"] | None = None,
) -> Generator[Any, None, None]:
    """A board with channels."""
    yield


@source(every=lambda options: options.every, shape=(3,), channels=("1 min", "5 min", "15 min"))
def Load(every: float = 1.0) -> Any:
    """The load of the computer."""
    return os.getloadavg()


board: Source = Board("/dev/x", 50.0, channels=3)
"""Type-checked: the class is called with the parameters of the function."""


def wrong_calls() -> None:
    """Be rejected by mypy, which would call these comments unused else."""
    Board(5)  # type: ignore[arg-type]
    Board(speed=5)  # type: ignore[call-arg]
    Calling(print, Cable())  # type: ignore[call-arg, arg-type]
    Calling()  # type: ignore[call-arg]


@dataclass
class Opened:
    """A source opened by a test, and what it gives."""

    source: Source
    readings: list[Reading] = field(default_factory=list)
    errors: list[Exception] = field(default_factory=list)
    failed: threading.Event = field(default_factory=threading.Event)
    came: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    beats: int = 0
    beat: threading.Event = field(default_factory=threading.Event)
    close: Close = lambda: None
    info: Any = None

    def __enter__(self) -> Self:
        result = self.source.open(self._emit, self._fail)
        self.close, self.info = result if isinstance(result, tuple) else (result, None)
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _emit(self, reading: Any) -> None:
        if len(reading.data):
            self.readings.append(reading)
            self.came.release()
        else:
            self.beats += 1
            self.beat.set()

    def _fail(self, error: Exception) -> None:
        self.errors.append(error)
        self.failed.set()

    def next(self) -> Reading:
        """Return the next reading with samples."""
        assert self.came.acquire(timeout=10), self.errors
        return self.readings[-1]

    def error(self) -> Exception:
        """Return why it has ended."""
        assert self.failed.wait(10)
        (error,) = self.errors
        return error
