"""Memory of the last minute of a device, measured in two ways.

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
# Mean delay of a block, as over USB [s]. One that comes less than a sample after its last sample
# has a stamp for each (decision 21): at this delay 1 in 10, without any each.
_DELAY = 2e-4
_STATM = Path("/proc/self/statm")


class _Flood:
    """A source whose ``emit`` is called from outside, without pauses."""

    info = StreamInfo("flood", float(_RATE), (_CHANNELS,), np.dtype(np.float32))

    def open(self, emit: Any, _fail: Any) -> Any:
        self.emit = emit
        return lambda: None


def _fill(device: Device, source: _Flood, seconds: float, delay: float = _DELAY) -> None:
    """Send three times the history, so that chunks have expired too."""
    block, rng = np.ones((_BLOCK, _CHANNELS), np.float32), np.random.default_rng(0)
    for k in range(round(3 * seconds * _RATE / _BLOCK)):
        late = round(rng.exponential(delay * 1e9)) if delay else 0
        source.emit(Reading(block, arrival=10**18 + (k + 1) * 10_000_000 + late))
    gc.collect()
    oldest, newest = device.last(seconds), device.last(0.01)
    assert abs(oldest.duration - seconds) < 0.02
    assert oldest.data.all()
    assert newest.end == oldest.end


def _traced(seconds: float, delay: float = _DELAY) -> float:
    """Return the memory allocated for a full device, by tracemalloc [MB]."""
    source = _Flood()
    gc.collect()
    tracemalloc.start()
    with Device(source, history=seconds) as device:
        before = tracemalloc.get_traced_memory()[0]
        _fill(device, source, seconds, delay)
        gc.collect()
        held = tracemalloc.get_traced_memory()[0] - before
    tracemalloc.stop()
    return held / 1e6


def _resident(seconds: float) -> float:
    """Return the growth of a fresh process, by its resident pages [MB]."""
    command = [sys.executable, __file__, str(seconds)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def _grow(seconds: float) -> float:
    source = _Flood()
    # Modules and threads that are loaded or started once are not counted.
    with Device(source, history=0.1) as device:
        _fill(device, source, 0.1)
    gc.collect()
    with Device(source, history=seconds) as device:
        before = _pages()
        _fill(device, source, seconds)
        gc.collect()
        return (_pages() - before) / 1e6


def _pages() -> int:
    # Here, as only POSIX has it.
    import resource

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
        Case(name + ", each block at once", lambda: _traced(seconds, 0.0), lambda: _plain(seconds),
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
