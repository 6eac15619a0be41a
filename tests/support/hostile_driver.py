"""A driver that raises, hangs and lies, as a seed draws it."""

import asyncio
import random
import threading
import time
from typing import Any

import numpy as np

from rxstream import Chunk, StreamInfo
from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.errors import DeviceBusyError, DeviceLostError, OverrunError

CHUNK, PERIOD = 5, 0.001  # samples in a chunk, time from chunk to chunk [s]
HANG = 20.0  # how long a call hangs unless it is released [s]
FOR_EVER = 10**9

OPEN = ("right",) * 6 + ("early", "early error", "raise", "exit", "slow", "hang", "hang and raise")
END = ("error", "raw", "twice", "by five threads", "emit after", "overrun first", "silent")
CLOSE = ("right",) * 4 + ("raise", "exit", "slow", "hang", "deaf")


def an_error(dice: random.Random) -> Exception:
    return dice.choice(
        [DeviceLostError("pulled out"), OSError(19, "No such device"), ValueError("garbled"),
         TimeoutError("no answer"), DeviceBusyError("held by somebody")]
    )  # fmt: skip


def an_exit(dice: random.Random) -> BaseException:
    return dice.choice([asyncio.CancelledError(), SystemExit(3), GeneratorExit()])


class Opened:
    """One opening of the hardware: what it does, and what became of it."""

    def __init__(self, dice: random.Random, *, good: bool) -> None:
        self.how, self.end, self.how_closed = "right", "silent", "right"
        self.count = FOR_EVER
        if not good:
            self.how, self.end = dice.choice(OPEN), dice.choice(END)
            self.how_closed, self.count = dice.choice(CLOSE), dice.randrange(12)
        self.state, self.since = "opening", time.monotonic()
        self.closes = 0
        self.late = False  # it took too long to open, also on a busy machine, and was given up
        self.values: list[int] = []
        self.stop = threading.Event()

    def enter(self, state: str) -> None:
        self.state, self.since = state, time.monotonic()


class Hostile:
    """Emits 0, 1, 2, … through all its openings; see `OPEN`, `END`, `CLOSE` for what it does else.

    What it emits after the end of an opening is -1.

    Parameters
    ----------
    seed
        Draws what each opening does.
    rate
        Of the stream [Hz]; None: irregular.
    good_after
        Number of openings after which one lasts.
    patience
        How long a call may take before it is given up [s].
    """

    live = True

    def __init__(self, seed: int, rate: float | None, good_after: int, patience: float) -> None:
        self.info = StreamInfo("hostile", rate=rate, dtype=np.dtype(np.int64))
        self._dice, self._good_after = random.Random(seed), good_after
        self._patience = patience
        self._guard = threading.Lock()
        self._next = 0
        self.release = threading.Event()
        self.openings: list[Opened] = []
        self.threads: list[threading.Thread] = []
        self.wrong: list[str] = []
        self.beside: list[str] = []  # wrong, unless a call was given up

    def open(self, emit: Emit, fail: Fail) -> Close:
        with self._guard:
            good = len(self.openings) >= self._good_after or self.release.is_set()
            one = Opened(self._dice, good=good)
            for other in self.openings:
                if other.state != "closed":
                    self._note_beside(one, other)
            self.openings.append(one)
            self._next += 1  # lost while it was gone
        try:
            self._open(one)
        except BaseException:
            one.enter("closed")
            raise
        self._run(one, emit, fail)
        one.late = time.monotonic() - one.since > 0.8 * self._patience
        one.enter("open")
        return lambda: self._close(one)

    def _note_beside(self, one: Opened, other: Opened) -> None:
        text = f"{one.how} while another is {other.state} ({other.how})"
        if other.state == "open" and not other.late:
            self.wrong.append(text)
        elif time.monotonic() - other.since < 0.8 * self._patience:
            # on a busy machine a call may begin long after who waits for it
            self.beside.append(text)

    def _open(self, one: Opened) -> None:
        if one.how == "slow":
            self.release.wait(0.005)
        # the first opening is in the thread of who asks for it, and takes as long as it takes
        elif one.how.startswith("hang") and threading.current_thread().name.startswith("rxstream"):
            self.release.wait(HANG)
        if one.how in ("raise", "hang and raise"):
            raise an_error(self._dice)
        if one.how == "exit":
            raise an_exit(self._dice)

    def _run(self, one: Opened, emit: Emit, fail: Fail) -> None:
        begun = threading.Event()

        def run() -> None:
            if one.how == "early error":
                fail(an_error(self._dice))
                begun.set()
                return
            for k in range(one.count):
                if one.stop.is_set():
                    return
                emit(self._values(one))
                if k == 2:
                    begun.set()
                one.stop.wait(PERIOD)
            begun.set()
            self._fail(one, emit, fail)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        self.threads.append(thread)
        if one.how.startswith("early"):
            begun.wait(1)

    def _values(self, one: Opened) -> Any:
        with self._guard:
            if one.closes:
                return np.full(CHUNK, -1)
            self._next += CHUNK
            one.values += range(self._next - CHUNK, self._next)
            return np.array(one.values[-CHUNK:])

    def _fail(self, one: Opened, emit: Emit, fail: Fail) -> None:
        if one.end == "overrun first":
            fail(OverrunError("some samples"))
        if one.end == "by five threads":
            barrier = threading.Barrier(5)
            errors = [an_error(self._dice) for _ in range(5)]

            def fail_together(error: Exception) -> None:
                barrier.wait()
                fail(error)

            several = [threading.Thread(target=fail_together, args=(e,)) for e in errors]
            for thread in several:
                thread.start()
            for thread in several:
                thread.join()
            return
        fail(OSError("the driver's own") if one.end == "raw" else an_error(self._dice))
        if one.end == "twice":
            fail(an_error(self._dice))
        if one.end == "emit after":
            self._emit_wrong(one, emit)

    def _emit_wrong(self, one: Opened, emit: Emit) -> None:
        for _ in range(20):
            emit(np.full(CHUNK, -1))
            one.stop.wait(PERIOD)

    def _close(self, one: Opened) -> None:
        with self._guard:
            one.closes += 1
            one.enter("closing")
        try:
            if one.how_closed != "deaf":
                one.stop.set()
            if one.how_closed == "slow":
                self.release.wait(0.005)
            elif one.how_closed == "hang":
                self.release.wait(HANG)
            elif one.how_closed == "raise":
                raise an_error(self._dice)
            elif one.how_closed == "exit":
                raise an_exit(self._dice)
        finally:
            one.enter("closed")

    def end(self) -> None:
        """Release what hangs, and wait for its threads."""
        self.release.set()
        for one in self.openings:
            one.stop.set()
        for thread in self.threads:
            thread.join(10)


class SessionBook:
    """Checks the chunks of one session: each value once, in order; what is missing is a gap."""

    def __init__(self) -> None:
        self._wrong: list[str] = []
        self._holes: list[range] = []
        self.samples = 0
        self.error: Exception | None = None
        self.ended = threading.Event()
        self._last: Chunk[Any] | None = None

    def take(self, chunk: Chunk[Any]) -> None:
        self.samples += len(chunk)
        values, last, self._last = chunk.data, self._last, chunk
        if len(values) and (np.diff(values) != 1).any():
            self._wrong.append(f"inside a chunk: {values}")
        if last is None:
            return
        if chunk.first_index != last.next_index:
            self._wrong.append(f"index {chunk.first_index} after {last.next_index}")
        hole = range(int(last.data[-1]) + 1, int(values[0]))
        if values[0] <= last.data[-1]:
            self._wrong.append(f"{values[0]} after {last.data[-1]}")
        if hole and all(at.gap.reason != "disconnect" for at in chunk.gap_positions):
            self._holes.append(hole)

    def fail(self, error: Exception) -> None:
        self.error = error
        self.ended.set()

    def complete(self) -> None:
        self.ended.set()

    def wrong(self, driver: Hostile) -> list[str]:
        """Return what was wrong; values of an opening that was given up may be missing."""
        late = {value for one in driver.openings if one.late for value in one.values}
        return [*self._wrong, *(f"hole: {hole}" for hole in self._holes if not late >= {*hole})]
