"""Streams whose truth is known, with some readings stamped wrongly, through a `Stamper`."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxstream import Chunk, Reading, StreamInfo
from rxstream.acquisition.stamper import Stamper
from rxstream.errors import StampError

MS, SECOND, DAY = 10**6, 10**9, 86_400 * 10**9
START = 1_700_000_000 * SECOND
PERIOD = 10 * MS
# Zero and error of the clocks that devices have of their own.
ZERO, PPM = START - 77 * SECOND, 50


@dataclass(frozen=True)
class Kind:
    """A kind of stamped stream.

    Attributes
    ----------
    clock
        ``"host"`` or ``"own"``.
    regular
        Whether it has a rate.
    samples
        Samples in a reading.
    single
        Whether a reading has one stamp, of its first sample.
    """

    clock: Any
    regular: bool
    samples: int
    single: bool

    @property
    def info(self) -> StreamInfo:
        rate = SECOND / PERIOD if self.regular else None
        return StreamInfo("x", rate, (), np.dtype(np.int64), device_clock=self.clock)

    def __str__(self) -> str:
        rate = "regular" if self.regular else "irregular"
        return f"{self.clock}-{rate}-{self.samples}-{'single' if self.single else 'each'}"


KINDS = [
    Kind("host", False, 1, True),
    Kind("host", False, 1, False),
    Kind("host", False, 5, False),
    Kind("host", True, 5, True),
    Kind("host", True, 5, False),
    Kind("own", False, 1, True),
    Kind("own", False, 1, False),
    Kind("own", False, 5, False),
    Kind("own", True, 5, True),
]


@dataclass
class Outcome:
    """What became of a stream."""

    chunks: list[Chunk[Any]]
    truth: NDArray[np.int64]
    arrival: NDArray[np.int64]
    reports: list[StampError]

    @property
    def times(self) -> NDArray[np.int64]:
        return np.concatenate([chunk.time for chunk in self.chunks])

    @property
    def errors(self) -> NDArray[np.int64]:
        return self.times - self.truth

    def check_laws(self) -> None:
        """Check what holds whatever the stamps say: nothing lost, invented, or out of order."""
        assert (np.diff(self.times) > 0).all()
        assert len(self.times) == len(self.truth)
        values = np.concatenate([chunk.data for chunk in self.chunks])
        np.testing.assert_array_equal(values, np.arange(len(self.truth)))
        index = 0
        for chunk in self.chunks:
            assert chunk.index == index
            assert chunk.start <= chunk.time[0]
            assert chunk.time[-1] < chunk.end
            index += len(chunk)


def own_clock(truth: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return what the device's own clock shows then."""
    shown: NDArray[np.int64] = np.rint((truth - ZERO) * (1 + PPM * 1e-6)).astype(np.int64)
    return shown


def run(
    kind: Kind, readings: int, bad: Mapping[int, Any], *, live: bool, mode: Any = "corrected",
    change: Callable[[Reading, int], Reading] | None = None,
) -> Outcome:  # fmt: skip
    """Stamp readings, of which some have other stamps.

    Parameters
    ----------
    kind
        The stream.
    readings
        Their number.
    bad
        For some samples the stamp to put in place of the right one. A reading with one stamp has
        that of its first sample.
    live
        Whether the stream comes as it happens.
    mode
        ``"corrected"`` or ``"arrival"``.
    change
        Makes a reading, of a number, another one.
    """
    rng, n = np.random.default_rng(5), kind.samples
    truth = START + np.arange(readings * n, dtype=np.int64) * PERIOD
    if not kind.regular:
        truth += rng.integers(0, PERIOD // 3, len(truth))
    late = (MS // 2 + rng.exponential(MS, readings)).clip(0, 3 * MS).astype(np.int64)
    stamps = truth if kind.clock == "host" else own_clock(truth)
    stamper, chunks, reports = Stamper(kind.info, mode, live=live), list[Chunk[Any]](), []
    arrivals = np.empty_like(truth)
    for k in range(readings):
        part = slice(k * n, (k + 1) * n)
        arrivals[part] = arrival = int(truth[part][-1] + late[k])
        given: list[int] = [bad.get(i, stamps[i]) for i in range(part.start, part.stop)]
        stamp: Any = int(given[0])
        if not kind.single:
            stamp = np.array(given, np.uint64 if max(given) >= 1 << 63 else np.int64)
        data = np.arange(part.start, part.stop)
        data.flags.writeable = False
        reading = Reading(data, device_time=stamp)
        if change is not None:
            reading = change(reading, k)
        chunk = stamper.stamp(reading, data, arrival)
        assert chunk is not None
        chunks.append(chunk)
        reports += [found for found in stamper.found if isinstance(found, StampError)]
        stamper.found = []
    return Outcome(chunks, truth, arrivals, reports)
