"""Cost of a chunk in the device's thread: CPU of one ``emit``, for four kinds of streams.

python benchmarks/emit.py [--against PYTHON] [--rounds N] [--quick]

Nothing subscribes: it measures the way from a driver's call into the window. The peer does the
least that any way needs: it copies the samples, puts them into a queue and takes them out again.
With ``--against`` the interpreter of another checkout (``../base/.venv/bin/python``) runs the same,
in turn with this one; the ratio shows which is faster.

CPU time depends on the load of the machine; instructions do not. To count them, take the difference
of two runs of ``--emits``, so that start-up, warm-up and readings cancel::

    for n in 1000 21000; do PYTHONHASHSEED=0 valgrind --tool=cachegrind --cache-sim=no \\
        --cachegrind-out-file=/dev/null python benchmarks/emit.py --kind can --emits $n; done

and divide the difference of both ``I refs`` by 20 000: start-up varies by millions.
"""

import argparse
import gc
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from itertools import islice
from queue import SimpleQueue
from typing import Any

import numpy as np

from rxstream import Device, Reading, StreamInfo

_START = 10**18  # host time of the first arrival [ns]
# Emits before the measurement: the window is full then, and the clock model settled.
_WARM = 200
# Readings made for --emits, as many for any number: their making cancels in the difference.
_MADE = 21_000
_MESSAGE = np.dtype([("id", np.uint32), ("flags", np.uint8), ("dlc", np.uint8), ("data", "u1", 64)])

KINDS = ("arrival", "host stamps", "can", "corrected")


class _Source:
    """A source whose ``emit`` is called from outside."""

    def __init__(self, info: StreamInfo) -> None:
        self.info = info
        self.emit: Callable[[Reading], None] = print

    def open(self, emit: Any, _fail: Any) -> Callable[[], None]:
        self.emit = emit
        return lambda: None


def _stream(kind: str) -> tuple[StreamInfo, int, Iterator[Reading]]:
    """Return the description of a stream, its period from chunk to chunk [ns], and readings."""
    rng = np.random.default_rng(0)
    if kind == "can":
        period, data = 500_000, np.zeros(1, _MESSAGE)
        info = StreamInfo("can", None, (), _MESSAGE, device_clock="host")
    else:
        period, data = 10_000_000, np.zeros((480, 2), np.float32)
        clock: Any = "host" if kind == "host stamps" else "own"
        info = StreamInfo("mic", 48_000.0, (2,), np.dtype(np.float32), device_clock=clock)

    def readings() -> Iterator[Reading]:
        k = 0
        while True:
            taken, late = _START + k * period, int(rng.exponential(2e5))
            stamp: Any = None
            if kind == "can":
                stamp = np.array([taken], np.int64)
            elif kind == "host stamps":
                stamp = taken + late // 10
            yield Reading(data, device_time=stamp, arrival=taken + late)
            k += 1

    return info, period, readings()


def _emitter(kind: str) -> tuple[Callable[[Reading], None], Iterator[Reading]]:
    """Open a device; return its ``emit`` after warm-up, and readings for it."""
    info, period, readings = _stream(kind)
    source = _Source(info)
    mode: Any = "arrival" if kind == "arrival" else "corrected"
    device = Device(source, history=100 * period / 1e9, timestamps=mode).open()
    emit = source.emit
    for reading in islice(readings, _WARM):
        emit(reading)
    # The device lives as long as its emit.
    return lambda reading, _device=device: emit(reading), readings  # type: ignore[misc]


def _queue(kind: str) -> tuple[Callable[[Reading], None], Iterator[Reading]]:
    """Return the least that any way needs, a copy and a queue, and readings for it."""
    queue: SimpleQueue[Any] = SimpleQueue()

    def emit(reading: Reading) -> None:
        queue.put((reading.arrival, reading.data.copy()))
        queue.get()

    return emit, _stream(kind)[2]


def _cost(
    emit: Callable[[Reading], None], readings: Iterator[Reading], count: int, made: int = 0
) -> float:
    """Return the CPU time of one call [µs]; ``made`` readings, or ``count``, are made before."""
    some = list(islice(readings, made or count))[:count]
    begin = time.thread_time_ns()
    for reading in some:
        emit(reading)
    return (time.thread_time_ns() - begin) / count / 1e3


def _serve(count: int) -> None:
    """Measure the kinds named on the standard input, one line each, until it ends."""
    ways = {kind: _emitter(kind) for kind in KINDS}
    gc.disable()
    for line in sys.stdin:
        print(_cost(*ways[line.strip()], count), flush=True)
        gc.collect()


class _Other:
    """The same measurement in another process, with the interpreter of another checkout."""

    def __init__(self, python: str, count: int) -> None:
        self._process = subprocess.Popen(
            [python, __file__, "--serve", str(count)], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
        )  # fmt: skip

    def cost(self, kind: str) -> float:
        """Return the CPU time of one call [µs]."""
        ask, answer = self._process.stdin, self._process.stdout
        assert ask is not None
        assert answer is not None
        print(kind, file=ask, flush=True)
        return float(answer.readline())

    def close(self) -> None:
        """End the process."""
        self._process.communicate()


def compare(python: str | None, rounds: int, count: int) -> None:
    """Print the least CPU time of each kind, and the median of the ratios round by round."""
    ours = _Other(sys.executable, count)
    other = None if python is None else _Other(python, count)
    peer = "copy and queue" if other is None else "other checkout"
    print(f"{'CPU of one emit [µs]':<22} {'ours':>8} {peer:>15} {'ratio':>7}")
    for kind in KINDS:
        bare = _queue(kind)
        pairs = [
            (ours.cost(kind), other.cost(kind) if other else _cost(*bare, count))
            for _ in range(rounds)
        ]
        best = [min(costs) for costs in zip(*pairs, strict=True)]
        ratio = statistics.median(b / a for a, b in pairs)
        print(f"{kind:<22} {best[0]:>8.1f} {best[1]:>15.1f} {ratio:>7.2f}", flush=True)
    print("ratio: the other by ours, above 1 is better for us")
    for process in (ours, other):
        if process is not None:
            process.close()


def main() -> None:
    """Compare, or run one part of it."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--against", metavar="PYTHON", help="interpreter of another checkout")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--quick", action="store_true", help="tiny: only that it works")
    parser.add_argument("--kind", choices=KINDS, default="arrival", help="for --emits")
    parser.add_argument("--emits", type=int, metavar="N", help="emit so often; print nothing")
    parser.add_argument("--serve", type=int, metavar="N", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.serve:
        _serve(args.serve)
    elif args.emits:
        gc.disable()
        # No other thread gets a turn, so that none is counted.
        sys.setswitchinterval(1000)
        _cost(*_emitter(args.kind), args.emits, _MADE)
    else:
        compare(args.against, 1 if args.quick else args.rounds, 50 if args.quick else 2000)


if __name__ == "__main__":
    main()
