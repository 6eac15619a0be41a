"""Small programs that show a fault: what they share, and how a test runs one.

A program ends by `expect`. It runs in a process of its own: a fault may hang, leave threads, or
show only when the process ends.
"""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NoReturn

import numpy as np
import pytest

from rxstream import StreamInfo

FAULT = 3  # exit code of a program that has shown its fault
LIMIT = 40.0  # [s]; on an idle machine none takes half of it


def cases(programs: dict[str, str], slow: str = "") -> list[Any]:
    """Return a parameter for each program.

    Parameters
    ----------
    programs
        For each name why the program still fails; empty if the fault is mended.
    slow
        Names of those that take long, with spaces between.
    """
    assert {*slow.split()} <= {*programs}
    found = []
    for name, fault in programs.items():
        marks = [pytest.mark.slow] if name in slow.split() else []
        if fault:
            marks.append(pytest.mark.xfail(raises=AssertionError, strict=True, reason=fault))
        found.append(pytest.param(name, id=name, marks=marks))
    return found


def run_program(path: Path, limit: float = LIMIT) -> None:
    """Run a program; raise AssertionError if it shows its fault, another error if it breaks."""
    support = str(Path(__file__).parent)
    result = subprocess.run(
        [sys.executable, "-W", "ignore::DeprecationWarning", path],
        capture_output=True, text=True, timeout=limit, check=False, stdin=subprocess.DEVNULL,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([support, *sys.path]), "NO_COLOR": "1"},
    )  # fmt: skip
    if result.returncode == FAULT:
        raise AssertionError(result.stdout)
    if result.returncode:
        msg = f"{path.name} broke with {result.returncode}:\n{result.stdout}{result.stderr}"
        raise RuntimeError(msg)


def expect(right: bool, seen: object) -> NoReturn:
    """End the program here, whatever still runs or hangs: with 0 if all is right, else FAULT."""
    print(seen, flush=True)
    os._exit(0 if right else FAULT)


def pause(seconds: float) -> None:
    """Let other threads go on for a time [s]."""
    threading.Event().wait(seconds)


def eventually(is_so: Callable[[], bool], limit: float = 5.0) -> bool:
    """Wait until something is so, at most ``limit`` [s]; return whether it is."""
    end = time.monotonic() + limit
    while not is_so():
        if time.monotonic() > end:
            return False
        pause(0.01)
    return True


class Numbered:
    """A source whose thread emits the numbers 0, 1, 2 … in chunks.

    Parameters
    ----------
    chunk
        Samples in a chunk.
    period
        Time from chunk to chunk [s].
    count
        Chunks until its thread ends without a word; None: for ever.
    delay
        Time before the first chunk [s].
    """

    live = True

    def __init__(
        self,
        name: str = "numbered",
        *,
        rate: float | None = 1000.0,
        chunk: int = 10,
        period: float = 0.01,
        count: int | None = None,
        delay: float = 0.0,
        dtype: Any = np.int64,
    ) -> None:
        self.info = StreamInfo(name, rate=rate, dtype=dtype)
        self.chunk, self.period, self.count, self.delay = chunk, period, count, delay
        self.emitted = 0
        self.openings = self.most_openings = 0
        self.died: BaseException | None = None
        self._guard = threading.Lock()

    def open(self, emit: Callable[[Any], None], fail: Callable[[Exception], None]) -> Any:
        """Start the thread."""
        with self._guard:
            self.openings += 1
            self.most_openings = max(self.most_openings, self.openings)
        stop = threading.Event()
        thread = threading.Thread(target=self._run, args=(emit, stop), daemon=True)
        thread.start()

        def close() -> None:
            stop.set()
            if thread is not threading.current_thread():
                thread.join()
            with self._guard:
                self.openings -= 1

        return close

    def _run(self, emit: Callable[[Any], None], stop: threading.Event) -> None:
        k = 0
        stop.wait(self.delay)
        try:
            while not stop.is_set() and (self.count is None or k < self.count):
                first = k * self.chunk
                emit(np.arange(first, first + self.chunk).astype(self.info.dtype))
                k += 1
                self.emitted = k * self.chunk
                if self.period:
                    stop.wait(self.period)
        except BaseException as error:
            self.died = error


class Passive:
    """A source that emits what the program gives it."""

    live = True

    def __init__(self, info: StreamInfo) -> None:
        self.info = info

    def open(self, emit: Callable[[Any], None], fail: Callable[[Exception], None]) -> Any:
        """Keep the functions to call."""
        self.emit, self.fail = emit, fail
        return lambda: None


class Scripted:
    """A source whose thread emits some chunks, then ends by an error."""

    live = True

    def __init__(
        self, info: StreamInfo, chunks: Iterable[Any], end: Exception, period: float = 0.0
    ) -> None:
        self.info, self._chunks, self._end, self._period = info, chunks, end, period

    def open(self, emit: Callable[[Any], None], fail: Callable[[Exception], None]) -> Any:
        """Start the thread."""
        stop = threading.Event()

        def run() -> None:
            for chunk in self._chunks:
                if stop.is_set():
                    return
                emit(chunk)
                if self._period:
                    stop.wait(self._period)
            fail(self._end)

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        return stop.set


def resident() -> int:
    """Return the memory of this process [B]; Linux only."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE")
