"""What a source does, watched: its readings, failures and threads; and waits that are fair."""

import os
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from rxstream.acquisition.source import Close, Source
from rxstream.data.clock import now_ns
from rxstream.data.stream_info import Reading, StreamInfo
from rxstream.errors import OverrunError, StampError

__all__ = ["Call", "Seen", "Watch", "granted", "held", "wait_for"]

# A wait counts each look as this long at most [s]: on a busy machine, where it takes longer, the
# source has waited for the processor, too.
_LOOK = 0.01

# Readings kept of one opening.
_MOST = 10_000


def wait_for(
    condition: Callable[[], object], seconds: float, changed: threading.Event | None = None
) -> bool:
    """Wait until a condition holds; return whether it does within ``seconds`` [s].

    A second is as long as the machine needs for a hundred short waits, so what is watched has had
    its share of the processor.

    Parameters
    ----------
    condition
        Function that is called again and again.
    seconds
        Longest wait [s].
    changed
        Set when the condition may have changed.
    """
    changed = changed or threading.Event()
    waited = 0.0
    while True:
        changed.clear()
        if condition():
            return True
        if waited >= seconds:
            return False
        before = time.monotonic()
        changed.wait(_LOOK)
        waited += min(time.monotonic() - before, _LOOK)


def granted() -> float:
    """Return which part of its time the machine grants now: 1 if it is idle, less if it is busy."""
    before = time.monotonic()
    for _ in range(10):
        time.sleep(_LOOK)
    return min(1.0, 10 * _LOOK / (time.monotonic() - before))


class Call:
    """A call in a thread of its own, so that one that hangs can be given up.

    Attributes
    ----------
    result, error
        What it has returned, or raised.
    """

    def __init__(self, function: Callable[[], Any]) -> None:
        self.result: Any = None
        self.error: BaseException | None = None
        self._function = function
        self._done = threading.Event()
        threading.Thread(target=self._run, name="check_source", daemon=True).start()

    def _run(self) -> None:
        try:
            self.result = self._function()
        except BaseException as error:  # noqa: BLE001 - it goes to who waits
            self.error = error
        finally:
            self._done.set()

    def within(self, seconds: float) -> bool:
        """Whether it is over within ``seconds`` [s]."""
        return wait_for(self._done.is_set, seconds)


class Seen:
    """One reading as it came."""

    def __init__(self, reading: Reading) -> None:
        self.reading, self.arrival = reading, now_ns()
        data = np.asarray(reading.data)
        self.shape, self.dtype = data.shape, data.dtype
        self.count = data.shape[0] if data.ndim else 1
        # not its number, which another thread may have later
        self.thread = threading.current_thread()


class Watch:
    """Takes what a source emits.

    Attributes
    ----------
    seen, losses
        Readings; and what ``fail`` was called with, but for what a device survives.
    samples
        How many samples came.
    beats
        How many readings without samples.
    late
        What came after `close` had returned.
    overlapping
        Whether two threads have emitted at the same time.
    changed
        Set with all of these.
    on_samples
        Called in the thread of the source, with each reading that has samples.
    """

    def __init__(self) -> None:
        self.seen: list[Seen] = []
        self.losses: list[object] = []
        self.late: list[str] = []
        self.samples = self.beats = 0
        self.overlapping = False
        self.changed = threading.Event()
        self.on_samples: Callable[[], object] = lambda: None
        self.info: StreamInfo | None = None  # what `open` has given
        self._close: Close | None = None
        self._closing = self._closed = False
        self._inside = 0
        self._opener: threading.Thread | None = None

    def open(self, source: Source) -> None:
        """Open a source; raise what it raises."""
        self._opener = threading.current_thread()
        result = source.open(self._emit, self._fail)
        close, self.info = result if isinstance(result, tuple) else (result, None)
        self._close = close

    @property
    def is_open(self) -> bool:
        """Whether ``open`` has returned."""
        return self._close is not None

    @property
    def is_left_open(self) -> bool:
        """Whether nobody has begun to close it."""
        return not self._closing

    def close(self) -> None:
        """Close it; what comes afterwards is late."""
        assert self._close is not None
        self._closing = True
        self._close()

    def shut(self) -> None:
        """Take what comes from now on for late."""
        self._closed = True

    @property
    def threads(self) -> int:
        """From how many threads samples came, but for those given while it was opened."""
        return len({seen.thread for seen in self.seen if seen.count} - {self._opener})

    def wait(self, count: int, seconds: float) -> bool:
        """Whether ``count`` samples, or a failure, come within ``seconds`` [s]."""
        return wait_for(lambda: self.samples >= count or self.losses, seconds, self.changed)

    def _emit(self, given: Any) -> None:
        me, other = threading.get_ident(), self._inside
        self.overlapping = self.overlapping or other not in (0, me)
        self._inside = me
        try:
            self._take(given if isinstance(given, Reading) else Reading(given))
        finally:
            self._inside = other
            self.changed.set()

    def _take(self, reading: Reading) -> None:
        seen = Seen(reading)
        if self._closed:
            self.late.append("emit")
            return
        if len(self.seen) < _MOST:
            self.seen.append(seen)
        if not seen.count:
            self.beats += 1
            return
        self.samples += seen.count
        self.on_samples()

    def _fail(self, given: object) -> None:
        if self._closed:
            self.late.append("fail")
        elif not isinstance(given, OverrunError | StampError):
            self.losses.append(given)
        self.changed.set()


def held() -> tuple[int, int, int]:
    """Return how many threads, files and other processes the program has."""
    return threading.active_count(), _files(), _processes()


def _processes() -> int:
    """Return how many processes this one has started; 0 where nothing shows it."""
    count = 0
    for path in Path("/proc/self/task").glob("*/children"):
        try:
            count += len(path.read_text().split())
        except OSError:
            continue  # of a thread that has ended
    return count


def _files() -> int:
    """Return how many files and sockets are open; 0 where nothing shows it."""
    for folder in ("/proc/self/fd", "/dev/fd"):
        try:
            return len(os.listdir(folder))
        except OSError:
            continue
    return 0
