"""Sources that each break one rule of `rxstream.testing.check_source`, and a sound one."""

import itertools
import os
import subprocess
import threading
import time
from collections import defaultdict
from dataclasses import dataclass, field
from queue import Empty, SimpleQueue
from typing import Any

import numpy as np

from rxstream import DeviceCounter, Reading, StreamInfo
from rxstream.acquisition.polling import poll
from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.data.clock import now_ns
from rxstream.errors import DeviceNotFoundError, EndOfStream

OUT: defaultdict[str, threading.Event] = defaultdict(threading.Event)
"""Set while a device is unplugged."""

SAID: "SimpleQueue[int]" = SimpleQueue()
"""What feeds `NoHeartbeat`."""

LEAKED: list[int] = []
"""Files that `LeakedFile` has left open."""

PROCESSES: list["subprocess.Popen[bytes]"] = []
"""Processes that `LeakedProcess` has left behind."""

TESTED = threading.Event()
"""Set when a test is over, so that nobody waits for who hangs."""

changing = itertools.count(1)


@dataclass(frozen=True)
class Ticker:
    """Ticks 200 times a second, with a counter and stamps of the host clock."""

    key: str = "ticker"

    @property
    def info(self) -> StreamInfo:
        return StreamInfo(
            "ticker", None, (), np.dtype("i8"), counter=DeviceCounter(16), device_clock="host"
        )

    def open(self, emit: Emit, fail: Fail) -> Close:
        out = OUT[self.key]
        if out.is_set():
            msg = "ticker: it is unplugged"
            raise DeviceNotFoundError(msg)
        ticks = itertools.count(1)

        def read() -> Any:
            return self.lost() if out.wait(0.005) else self.reading(next(ticks))

        return poll(read, emit, fail, name="ticker", release=self.release)

    def reading(self, tick: int) -> Reading:
        return Reading(np.array([tick]), counter=tick & 0xFFFF, device_time=now_ns())

    def lost(self) -> Reading | None:
        msg = "it was unplugged"
        raise OSError(msg)

    def release(self) -> None:
        pass

    def unplug(self) -> None:
        OUT[self.key].set()

    def plug(self) -> None:
        OUT[self.key].clear()


class SecondThread(Ticker):
    """Emits from two threads."""

    def open(self, emit: Emit, fail: Fail) -> Close:
        first, second = super().open(emit, lambda _: None), super().open(emit, fail)

        def close() -> None:
            first()
            second()

        return close


class LateEmit(Ticker):
    """Emits once more after it was closed."""

    def open(self, emit: Emit, fail: Fail) -> Close:
        close = super().open(emit, fail)

        def closing() -> None:
            close()
            threading.Timer(0.05, emit, [self.reading(1)]).start()

        return closing


class FloatTime(Ticker):
    """Gives seconds for nanoseconds."""

    def reading(self, tick: int) -> Reading:
        return Reading(np.array([tick]), device_time=np.array([time.time()]))


class MilliTime(Ticker):
    """Gives milliseconds of a clock of its own for nanoseconds."""

    @property
    def info(self) -> StreamInfo:
        return StreamInfo("ticker", None, (), np.dtype("i8"))

    def reading(self, tick: int) -> Reading:
        return Reading(np.array([tick]), device_time=round(time.monotonic() * 1e3))


class WrongArrival(Ticker):
    """Gives seconds for its arrival."""

    def reading(self, tick: int) -> Reading:
        return Reading(np.array([tick]), counter=tick & 0xFFFF, arrival=round(time.time()))


class CountsDown(Ticker):
    """Has a counter that goes back."""

    def reading(self, tick: int) -> Reading:
        return Reading(np.array([tick]), counter=-tick & 0xFFFF)


class CountsReadings(Ticker):
    """Counts readings, each of which has four samples."""

    def reading(self, tick: int) -> Reading:
        return Reading(np.full(4, tick), counter=tick & 0xFFFF)


class LeakedProcess(Ticker):
    """Leaves a process behind."""

    def open(self, emit: Emit, fail: Fail) -> Close:
        PROCESSES.append(subprocess.Popen(["sleep", "600"]))
        return super().open(emit, fail)


class WrongDtype(Ticker):
    """Gives floats for whole numbers."""

    def reading(self, tick: int) -> Reading:
        return Reading(np.array([tick], float))


class LeakedFile(Ticker):
    """Leaves a file open."""

    def release(self) -> None:
        LEAKED.append(os.open(os.devnull, os.O_RDONLY))


class SlowClose(Ticker):
    """Takes two seconds to close."""

    def release(self) -> None:
        TESTED.wait(2)


class SilentAtUnplug(Ticker):
    """Says nothing of its loss."""

    def lost(self) -> Reading | None:
        time.sleep(0.02)
        return Reading(np.empty(0, "i8"))


class ObjectDtype(Ticker):
    """Gives Python objects."""

    @property
    def info(self) -> StreamInfo:
        return StreamInfo("ticker", None, (), np.dtype("O"))


@dataclass(frozen=True)
class Unpicklable(Ticker):
    """Has a lock among its options."""

    lock: Any = field(default_factory=threading.Lock, compare=False)


class WideCounter(Ticker):
    """Has a counter wider than it says."""

    def reading(self, tick: int) -> Reading:
        return Reading(np.array([tick]), counter=tick + 0x1_0000)


class LyingClock(Ticker):
    """Gives stamps of another clock for those of the host."""

    def reading(self, tick: int) -> Reading:
        return Reading(np.array([tick]), device_time=time.monotonic_ns())


class NoHeartbeat(Ticker):
    """Says nothing while nothing comes."""

    def open(self, emit: Emit, fail: Fail) -> Close:
        def read() -> Reading | None:
            try:
                return self.reading(SAID.get(timeout=0.01))
            except Empty:
                return None

        return poll(read, emit, fail, name="ticker")


# -- more ways to break them ------------------------------------------------------------------


class Changeable:
    """Has options that can be changed."""

    def __init__(self, key: str) -> None:
        ticker = Ticker(key)
        self.info, self.open = ticker.info, ticker.open
        self.unplug, self.plug = ticker.unplug, ticker.plug


@dataclass(frozen=True)
class Undocumented(Ticker):
    key: str = "undocumented"


class ChangingInfo(Ticker):
    """Describes itself otherwise each time."""

    @property
    def info(self) -> StreamInfo:
        return StreamInfo("ticker", float(next(changing)))


class StartingInfo(Ticker):
    """Looks for its device to describe itself."""

    @property
    def info(self) -> StreamInfo:
        search = threading.Thread(target=threading.main_thread)
        search.start()
        search.join()
        return super().info


class EndsAtUnplug(Ticker):
    """Calls its loss the end of the stream."""

    def lost(self) -> Reading | None:
        raise EndOfStream


class FailsTwice(Ticker):
    """Reports its loss twice."""

    def open(self, emit: Emit, fail: Fail) -> Close:
        def twice(error: Exception) -> None:
            fail(error)
            fail(error)

        return super().open(emit, twice)


class StuckCounter(Ticker):
    """Has a counter that does not count."""

    def reading(self, tick: int) -> Reading:
        return Reading(np.array([tick]), counter=7)


class WrongRate(Ticker):
    """Gives fifty times the samples that it says: on a busy machine some times as many."""

    @property
    def info(self) -> StreamInfo:
        return StreamInfo("ticker", 200.0, (), np.dtype("i8"))

    def reading(self, tick: int) -> Reading:
        return Reading(np.full(50, tick))


class WaitsForItself(Ticker):
    """Waits, as it is closed, for the thread that closes it."""

    def open(self, emit: Emit, fail: Fail) -> Close:
        busy = threading.Lock()

        def held(reading: Any) -> None:
            with busy:
                emit(reading)

        close = super().open(held, fail)

        def closing() -> None:
            close()
            while busy.locked() and not TESTED.wait(0.05):
                pass

        return closing


class RaisesAnything(Ticker):
    """Raises what its driver does, where the hardware is absent."""

    def open(self, emit: Emit, fail: Fail) -> Close:
        msg = "no such thing"
        raise KeyError(msg)
