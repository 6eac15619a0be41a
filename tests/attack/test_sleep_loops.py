"""What everybody writes first: a loop that reads and sleeps, with a rate; on a busy machine.

No clock paces it, nothing is lost, and a sample is taken some microseconds before it is handed
over: any loss reported is invented, and a time that is worse than arrival is an error.
"""

import subprocess
import sys
import threading
import time
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pytest
from campaign import trials
from fakes import eventually

from rxstream import Chunk, Device, StreamInfo
from rxstream.data.clock import now_ns
from rxstream.timing import ClockEvent

pytestmark = pytest.mark.real

RATES = (1.0, 10.0, 100.0, 1000.0)
AT_LENGTH = trials(10) == 10
SECONDS = 600.0 if AT_LENGTH else 10.0
SPINNERS = 2 if AT_LENGTH else 0
# Errors are counted from here on [s].
BEGIN = 10.0


@dataclass
class SleepLoop:
    """A sensor as in every tutorial; a sample is when it was taken."""

    rate: float
    live: bool = True
    taken: int = 0
    stop: threading.Event = field(default_factory=threading.Event)

    @property
    def info(self) -> StreamInfo:
        return StreamInfo(f"{self.rate:g} Hz", self.rate, (), np.dtype(np.int64))

    def open(self, emit: Any, fail: Any) -> Any:
        def run() -> None:
            while not self.stop.is_set():
                emit(np.array([now_ns()]))
                self.taken += 1
                time.sleep(1 / self.rate)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()

        def close() -> None:
            self.stop.set()
            thread.join(5)

        return close


@dataclass
class Heard:
    """What came of one loop: for each sample its time, truth, uncertainty, and arrival [ns]."""

    rows: list[tuple[int, int, float, int]] = field(default_factory=list)
    gaps: list[str] = field(default_factory=list)
    lost: int = 0

    def take(self, chunk: Chunk[Any]) -> None:
        self.lost += chunk.lost
        self.gaps += map(str, chunk.gaps)
        part = chunk.axis.parts()[0]
        self.rows.append((part.at(0), chunk.data.item(0), part.uncertainty, chunk.arrival or 0))

    def figures(self) -> dict[str, Any]:
        """Return the figures from `BEGIN` on; the least delay is no error."""
        time_, truth, uncertainty, arrival = (np.array(x) for x in zip(*self.rows, strict=True))
        late = truth >= truth[0] + min(BEGIN, SECONDS / 2) * 1e9
        floor = (arrival - truth).min()
        error, plain = np.abs(time_ - truth - floor)[late], (arrival - truth - floor)[late]
        return {
            "samples": len(truth), "lost": self.lost, "gaps": self.gaps,
            "after arrival": int((time_ > arrival).sum()),
            "p95 [ms]": np.quantile(error, 0.95) / 1e6, "worst [ms]": error.max() / 1e6,
            "of arrival p95 [ms]": np.quantile(plain, 0.95) / 1e6,
            "covered": float(np.mean(error <= uncertainty[late])),
        }  # fmt: skip


def test_nothing_is_reported_lost_and_nothing_lies_in_the_future() -> None:
    loops = {rate: SleepLoop(rate) for rate in RATES}
    devices = {rate: Device(loop, history=5) for rate, loop in loops.items()}
    heard = {rate: Heard() for rate in RATES}
    with ExitStack() as stack:
        for _ in range(SPINNERS):
            spinner = subprocess.Popen([sys.executable, "-c", "while True: pass"])
            stack.callback(spinner.wait)
            stack.callback(spinner.kill)
        for rate, device in devices.items():
            device.subscribe(heard[rate].take)
            stack.enter_context(device)
        threading.Event().wait(SECONDS)
        for loop in loops.values():
            loop.stop.set()
        # what is taken while a device is closed would not be heard
        assert eventually(lambda: all(len(heard[r].rows) == loops[r].taken for r in RATES))
        clocks = {rate: device.stats().clock for rate, device in devices.items()}
    figures = {rate: heard[rate].figures() for rate in RATES}
    for rate, device in devices.items():
        print(f"\n{rate:g} Hz, {SECONDS:g} s: {figures[rate]}, clock {clocks[rate]}")
        for fault in device.faults:
            print("   ", fault)
    for rate, found in figures.items():
        assert found["samples"] == loops[rate].taken, rate
        assert found["lost"] == 0, (rate, found)
        assert found["after arrival"] == 0, (rate, found)
        verdicts = [f.kind for f in devices[rate].faults if isinstance(f, ClockEvent)]
        assert verdicts.count("unsteady") <= 1 + verdicts.count("steady"), verdicts
        assert "gap" not in verdicts, (rate, verdicts)
