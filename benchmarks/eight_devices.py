"""Eight devices at once, three subscribers each: what is lost, how late it comes, what it costs.

python benchmarks/eight_devices.py [--minutes 10] [--cores 2]

Four sounds at 48 kHz, two cameras 720p30, a CAN bus with 2 000 messages a second, and a keyboard
at which ten keys a second are typed. The keyboard is a real pseudo-terminal where there are any;
the others are simulated, so that the run costs what reading costs, and each sample has a known true
time. Every device has three subscribers: one stores (counts, and compares each sample with its
number), one watches (the largest of every tenth value), one analyses (the root mean square).

Two loops run on the same devices before and after, a fifth as long each, and keep nothing: a bare
one, which calls the same three functions in the device's own thread, so that a slow one holds up
the others; and a queue and a thread for each of the three, as one writes it by hand. Lag is the
time from when a sample was taken to when a subscriber was done with it, of the last sample of each
chunk; that of the first ten seconds of each run (or half of a short one) is left out, in which all
are opened and the windows fill: 170 MB a second of memory that nobody has touched before. The lags
of the devices themselves are in all: they come 1 to 3 ms late, and the bus is polled every 10 ms.

Sounds have stamps of their own clock, as a sound card that gives ADC times; with ``--plain`` they
have none, and losses are judged by arrivals alone. Ends with 1 if anything was lost, came twice, or
was called lost although it came.
"""

import argparse
import os
import statistics
import sys
import threading
import time
import tty
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from queue import SimpleQueue
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxstream import Chunk, Device, Reading
from rxstream.data.clock import now_ns
from rxstream.devices import Keyboard, Simulated
from rxstream.devices.can import CAN_DTYPE

Ints = NDArray[np.int64]

_HEIGHT, _WIDTH = 720, 1280
_LETTERS = "abcdefghijklmnopqrstuvwxyz"
# From a key to the next [s].
_TYPING = 0.1
# Time in which devices are opened and windows fill, of which no lag is taken [ns].
_OPENING = 10_000_000_000
# A subscriber has so long for what is left when all are closed [s].
_REST = 30.0
# p99 of the lag that is good, whatever the bare loop has [ms]; or so many times that of the loop.
_GOOD, _TIMES = 50.0, 2.0
# The same frames come again and again, each with its number in the first byte: to paint them would
# cost more than to read them.
_POOL = np.random.default_rng(0).integers(0, 256, (30, _HEIGHT, _WIDTH, 3), np.uint8)
_POOL[:, 0, 0, 0] = np.arange(len(_POOL))


def frames(numbers: Ints) -> NDArray[np.uint8]:
    """Return frames by their numbers, without a copy where it is one."""
    first = int(numbers[0]) % len(_POOL)
    return _POOL[first : first + 1] if len(numbers) == 1 else _POOL[numbers % len(_POOL)]


def messages(numbers: Ints) -> NDArray[Any]:
    """Return CAN messages that carry their numbers."""
    data = np.zeros(len(numbers), CAN_DTYPE)
    data["arbitration_id"], data["dlc"] = 0x100 + numbers % 16, 8
    data["data"][:, :8] = numbers.astype("<i8").view(np.uint8).reshape(-1, 8)
    return data


def _is_ramp(data: NDArray[Any], first: int) -> bool:
    return bool(
        data[0] == first and data[-1] == first + len(data) - 1 and (np.diff(data) == 1).all()
    )


def _are_frames(data: NDArray[Any], first: int) -> bool:
    return bool((data[:, 0, 0, 0] == (first + np.arange(len(data))) % len(_POOL)).all())


def _are_messages(data: NDArray[Any], first: int) -> bool:
    numbers = np.ascontiguousarray(data["data"][:, :8]).view("<i8").ravel()
    return bool((numbers == first + np.arange(len(data))).all())


def _are_keys(data: NDArray[Any], first: int) -> bool:
    return all(
        key == _LETTERS[(first + k) % len(_LETTERS)] for k, key in enumerate(data["key"].tolist())
    )


class Typist:
    """Types letters at a pseudo-terminal, and notes when.

    Attributes
    ----------
    path
        The terminal.
    times
        When each key was typed [ns].
    """

    def __init__(self) -> None:
        self._master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self.path, self.times = os.ttyname(self._slave), array("q")
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._type, name="typist")

    def _type(self) -> None:
        while not self._stop.wait(_TYPING):
            key = _LETTERS[len(self.times) % len(_LETTERS)]
            self.times.append(now_ns())
            os.write(self._master, key.encode())

    def start(self) -> None:
        """Begin to type."""
        self._thread.start()

    def stop(self) -> None:
        """Type no more."""
        self._stop.set()
        self._thread.join()

    def close(self) -> None:
        """Give the terminal back."""
        os.close(self._master)
        os.close(self._slave)


class Tap:
    """A source, and how many samples it has handed over.

    Attributes
    ----------
    count
        Samples whose ``emit`` has returned.
    """

    def __init__(self, source: Any) -> None:
        self._source, self.info, self.count = source, source.info, 0

    def open(self, emit: Callable[[Any], None], fail: Callable[[Exception], None]) -> Any:
        """Open the source; count on the way."""

        def counted(given: Any) -> None:
            emit(given)
            self.count += len(given.data if isinstance(given, Reading) else given)

        return self._source.open(counted, fail)


@dataclass(frozen=True)
class Part:
    """A device of the run.

    Attributes
    ----------
    name
        Name of the device.
    source
        What is opened.
    times
        Returns the true times of samples by their numbers, int64 [ns].
    right
        Whether samples have the values that those from this number on must have.
    values
        Returns the numbers that are watched and analysed.
    history
        What its `Device` keeps [s].
    """

    name: str
    source: Tap
    times: Callable[[Ints], Ints]
    right: Callable[[NDArray[Any], int], bool]
    values: Callable[[NDArray[Any]], NDArray[Any]]
    history: float


@contextmanager
def eight(*, plain: bool) -> Iterator[tuple[list[Part], Typist | None]]:
    """Give the eight devices, and who types, if a terminal can be had."""
    parts = []

    def add(source: Any, right: Any, values: Any, history: float = 10.0) -> None:
        parts.append(Part(
            source.name, Tap(source), lambda numbers: source.truth.time(numbers), right, values,
            history,
        ))  # fmt: skip

    for k in range(4):
        add(
            Simulated(name=f"sound {k}", signal="ramp", dtype=np.int32, seed=k,
                      stamps=None if plain else "own"),
            _is_ramp, _itself,
        )  # fmt: skip
    for k in range(2):
        add(
            Simulated(name=f"camera {k}", rate=30.0, shape=(_HEIGHT, _WIDTH, 3), dtype=np.uint8,
                      signal=frames, seed=k),
            _are_frames, lambda data: data[:, ::16, ::16, 1], 3.0,
        )  # fmt: skip
    add(
        Simulated.can(rate=2000.0, signal=messages), _are_messages,
        lambda data: data["arbitration_id"],
    )  # fmt: skip
    if not hasattr(os, "openpty"):
        add(Simulated.keyboard(rate=1 / _TYPING), lambda data, first: True, _codes)
        yield parts, None
        return
    typist = Typist()
    try:
        times = lambda numbers: np.array(typist.times, np.int64)[numbers]  # noqa: E731
        source = Keyboard(tty=typist.path)
        parts.append(Part("keyboard", Tap(source), times, _are_keys, _codes, 10.0))
        yield parts, typist
    finally:
        typist.close()


def _itself(data: NDArray[Any]) -> NDArray[Any]:
    return data


def _codes(data: NDArray[Any]) -> NDArray[Any]:
    return np.array([ord(key[0]) for key in data["key"].tolist()])


class Subscriber:
    """What one of the three does with each piece, and when it was done.

    Attributes
    ----------
    count
        How many samples came.
    faults
        What was lost, came twice or is wrong.
    invented
        Gaps between samples that all came.
    result
        The last result of its work.
    """

    def __init__(self, part: Part, kind: str) -> None:
        self.part, self.kind = part, kind
        self.count, self.result = 0, 0.0
        self.faults: list[str] = []
        self.invented: list[str] = []
        self._index = 0
        self.over = threading.Event()
        self._lasts, self._done = array("q"), array("q")

    def take(self, data: NDArray[Any]) -> None:
        """Do the work, on the next samples ``(n, *shape)``."""
        if self.kind == "store":
            if not self.part.right(data, self.count):
                self.faults.append(f"the samples from {self.count} on have other values")
        elif self.kind == "watch":
            self.result = float(self.part.values(data)[::10].max())
        else:
            self.result = float(np.sqrt(np.mean(np.square(self.part.values(data), dtype=float))))
        self.count += len(data)
        self._lasts.append(self.count - 1)
        self._done.append(now_ns())

    def take_chunk(self, chunk: Chunk[Any]) -> None:
        """Do the same with a chunk; see that it goes on where the last one ended."""
        if chunk.gaps or chunk.index != self._index:
            self.invented.append(
                f"{', '.join(map(str, chunk.gaps))} between {self._index} and {chunk.index}"
            )
        self._index = chunk.index + len(chunk)
        self.take(chunk.data)

    def failed(self, error: Exception) -> None:
        """Note how the stream has ended."""
        self.faults.append(f"it failed: {error}")
        self.over.set()

    def lags(self, since: int) -> NDArray[np.float64]:
        """Return the lag of each piece that came after a time [ms]."""
        done = np.array(self._done, np.int64)
        taken = self.part.times(np.array(self._lasts, np.int64))
        return (done - taken)[done >= since] / 1e6


Read = Callable[[Part, list[Subscriber]], Callable[[], None]]


@dataclass(frozen=True)
class Run:
    """What came of one run: CPU time by time, lags of each device [ms], samples, what is wrong."""

    share: float
    lags: dict[str, NDArray[np.float64]]
    samples: int
    faults: list[str]


def run(seconds: float, read: Read, *, plain: bool) -> Run:
    """Open eight devices by ``read``, which returns how to close one; let them run."""
    faults: list[str] = []
    with eight(plain=plain) as (parts, typist):
        all_ = [
            [Subscriber(part, kind) for kind in ("store", "watch", "analyse")] for part in parts
        ]
        closes = [read(part, three) for part, three in zip(parts, all_, strict=True)]
        if typist is not None:
            typist.start()
        since = now_ns() + min(_OPENING, round(seconds * 1e9) // 2)
        before, began = time.process_time(), time.monotonic()
        time.sleep(seconds)
        share = (time.process_time() - before) / (time.monotonic() - began)
        if typist is not None:
            faults += _end_typing(typist, all_[-1][0])
        due = [part.source.count for part in parts]
        for close in closes:
            close()
        for three, given in zip(all_, due, strict=True):
            faults += [fault for one in three for fault in _faults(one, given)]
        lags = {
            part.name: np.concatenate([one.lags(since) for one in three])
            for part, three in zip(parts, all_, strict=True)
        }
        return Run(share, lags, sum(due), faults)


def _end_typing(typist: Typist, store: Subscriber) -> list[str]:
    """Type no more; return what is wrong unless all that was typed comes."""
    typist.stop()
    typed, deadline = len(typist.times), time.monotonic() + _REST
    while store.count < typed and time.monotonic() < deadline:
        time.sleep(0.01)
    return [] if store.count == typed else [f"keyboard: {typed} typed, {store.count} came"]


def _faults(one: Subscriber, given: int) -> list[str]:
    """Return what is wrong with what came to a subscriber, of ``given`` samples or more."""
    faults = one.faults[:3]
    # a gap is invented where all that the device has given came
    faults += [f"invented: {text}" for text in one.invented]
    if one.count < given:
        faults.append(f"{one.count} of {given} samples came")
    return [f"{one.part.name}, {one.kind}: {fault}" for fault in faults]


def ours(part: Part, three: list[Subscriber]) -> Callable[[], None]:
    """Read by a `Device`."""
    device = Device(part.source, name=part.name, history=part.history)
    for one in three:
        device.subscribe(one.take_chunk, one.failed, one.over.set)
    device.open()

    def close() -> None:
        device.close(drain=_REST)
        for one in three:
            if not one.over.wait(_REST):
                one.faults.append("it has not ended")

    return close


def bare(part: Part, three: list[Subscriber]) -> Callable[[], None]:
    """Read in a bare loop: the device's own thread calls one function after the other."""

    def emit(given: Any) -> None:
        data = given.data if isinstance(given, Reading) else given
        if len(data):
            for one in three:
                one.take(data)

    result = part.source.open(emit, three[0].failed)
    return result[0] if isinstance(result, tuple) else result


def queues(part: Part, three: list[Subscriber]) -> Callable[[], None]:
    """Read by hand with threads: a queue and a thread for each of the three, one copy."""
    pairs: list[tuple[SimpleQueue[Any], threading.Thread]] = []
    for one in three:
        queue: SimpleQueue[Any] = SimpleQueue()
        thread = threading.Thread(target=_take_all, args=(queue, one), name=f"queue {part.name}")
        pairs.append((queue, thread))
        thread.start()

    def emit(given: Any) -> None:
        data = given.data if isinstance(given, Reading) else given
        if len(data):
            own = data.copy()
            for queue, _ in pairs:
                queue.put(own)

    result = part.source.open(emit, three[0].failed)
    stop = result[0] if isinstance(result, tuple) else result

    def close() -> None:
        stop()
        for queue, thread in pairs:
            queue.put(None)
            thread.join(_REST)

    return close


def _take_all(queue: "SimpleQueue[Any]", one: Subscriber) -> None:
    while (data := queue.get()) is not None:
        one.take(data)


def report(runs: dict[str, list[Run]]) -> None:
    """Print lags, shares and faults; leave with 1 if there are faults."""
    (mine,) = runs["ours"]
    print(f"{'lag [ms]':<12} {'chunks':>8} {'p50':>8} {'p99':>8} {'queues p50':>11} {'p99':>8} "
          f"{'bare p50':>9} {'p99':>8} {'ours / bare':>12}  goal")  # fmt: skip
    for name, lags in mine.lags.items():
        p50, p99 = np.percentile(lags, (50, 99))
        (q50, q99), (b50, b99) = (
            np.percentile(np.concatenate([run.lags[name] for run in runs[kind]]), (50, 99))
            for kind in ("queues", "bare")
        )
        good = "yes" if p99 < _GOOD or p99 <= _TIMES * b99 else "NO"
        print(f"{name:<12} {len(lags) // 3:>8} {p50:>8.2f} {p99:>8.2f} {q50:>11.2f} {q99:>8.2f} "
              f"{b50:>9.2f} {b99:>8.2f} {p99 / b99:>12.2f}  {good}")  # fmt: skip
    share = {kind: statistics.mean(run.share for run in some) for kind, some in runs.items()}
    print(
        f"CPU share of one core: {share['ours']:.1%}, queues {share['queues']:.1%}"
        f" (ratio {share['ours'] / share['queues']:.2f}), bare loop {share['bare']:.1%}"
        f" (ratio {share['ours'] / share['bare']:.2f})"
    )
    faults = [
        f"{kind}: {fault}" for kind, some in runs.items() for run in some for fault in run.faults
    ]
    print(f"nothing lost of {mine.samples} samples, no loss invented" if not faults else "FAULTS:")
    for fault in faults[:20]:
        print(f"  {fault}")
    if faults:
        sys.exit(1)


def main() -> None:
    """Run the loops, ours, and the loops again."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--minutes", type=float, default=10.0)
    parser.add_argument("--cores", type=int, default=2, help="use so many (Linux)")
    parser.add_argument("--plain", action="store_true", help="no stamps in the sounds")
    args = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[: args.cores])
    seconds = args.minutes * 60
    runs: dict[str, list[Run]] = {}
    for read in (bare, queues, ours, queues, bare):
        length = seconds if read is ours else seconds / 5
        runs.setdefault(read.__name__, []).append(run(length, read, plain=args.plain))
    print(f"{seconds:g} s, load of the machine {os.getloadavg()[0]:.1f}")
    report(runs)


if __name__ == "__main__":
    main()
