"""What the last minute of a device weighs, by two scales.

python benchmarks/memory.py SECONDS   prints the growth of a fresh process [MB]
"""

import gc
import subprocess
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
from common import Case

from rxstream import Device, Reading, StreamInfo

_CHANNELS, _RATE, _BLOCK = 8, 48_000, 480
_STATM = Path("/proc/self/statm")


class _Flood:
    """A source that gives what it is handed, as fast as it comes."""

    info = StreamInfo("flood", float(_RATE), (_CHANNELS,), np.dtype(np.float32))

    def open(self, emit: Any, _fail: Any) -> Any:
        self.emit = emit
        return lambda: None


def _fill(device: Device, source: _Flood, seconds: float) -> None:
    """Send three times the history through, so that what is past is gone again."""
    block = np.ones((_BLOCK, _CHANNELS), np.float32)
    for k in range(round(3 * seconds * _RATE / _BLOCK)):
        source.emit(Reading(block, arrival=10**18 + (k + 1) * 10_000_000))
    gc.collect()
    oldest, newest = device.last(seconds), device.last(0.01)
    assert abs(oldest.duration - seconds) < 0.02
    assert oldest.data.all()
    assert newest.end == oldest.end


def _traced(seconds: float) -> float:
    """Return what is allocated for a full device, by tracemalloc [MB]."""
    source = _Flood()
    gc.collect()
    tracemalloc.start()
    with Device(source, history=seconds) as device:
        before = tracemalloc.get_traced_memory()[0]
        _fill(device, source, seconds)
        gc.collect()
        held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return held / 1e6


def _resident(seconds: float) -> float:
    """Return by how much a fresh process grows, as the operating system sees it [MB]."""
    command = [sys.executable, __file__, str(seconds)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _grow(seconds: float) -> float:
    source = _Flood()
    with Device(source, history=0.1) as device:  # what is loaded or started once is not counted
        _fill(device, source, 0.1)
    gc.collect()
    with Device(source, history=seconds) as device:
        before = _pages()
        _fill(device, source, seconds)
        gc.collect()
        return (_pages() - before) / 1e6


def _pages() -> int:
    import resource  # here, because only POSIX has it

    return int(_STATM.read_text().split()[1]) * resource.getpagesize()


def _plain(seconds: float) -> float:
    return seconds * _RATE * _CHANNELS * 4 / 1e6


def cases(*, quick: bool = False) -> list[Case]:
    """Return the benchmarks of this module."""
    seconds = 1.0 if quick else 60.0
    name = f"memory of {seconds:g} s of 8 × 48 kHz float32"
    out = [
        Case(name + ", allocated", lambda: _traced(seconds), lambda: _plain(seconds),
             "the samples alone", "MB", False, 1 / 1.15, 1),
    ]  # fmt: skip
    if _STATM.exists():
        out.append(
            Case(name + ", resident", lambda: _resident(seconds), lambda: _plain(seconds),
                 "the samples alone", "MB", False, None if quick else 1 / 1.15, 1)
        )  # fmt: skip
    return out


if __name__ == "__main__":
    print(_grow(float(sys.argv[1])))
