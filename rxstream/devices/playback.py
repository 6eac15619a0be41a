"""playback: arrays and tables of pandas as a device, with their own times (needs no extra)."""

import math
import time
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.authoring.generators import open_generator
from rxstream.data.clock import Time, now_ns, to_ns
from rxstream.data.stream_info import Reading, StreamInfo
from rxstream.devices.tables import columns_of, is_table, times_of
from rxstream.errors import ParameterError
from rxstream.printable import counted, shown
from rxstream.validation import is_positive

__all__ = ["Playback"]

# Most samples, and bytes, that one reading has where nothing paces it.
_MOST, _BYTES = 4096, 1 << 20
# Least and longest wait for what is due next [s].
_LEAST, _LONGEST = 0.01, 0.05


@dataclass(frozen=True, eq=False)
class Playback:
    """An array, or a DataFrame of pandas, as a device: samples at their own times; then it ends.

    A DataFrame whose columns are numbers of one type gives samples ``(columns,)``, named in
    ``info.channels``; another one structured samples with a field for each column; a Series single
    values. Nothing is lost: the next samples are taken when the slowest reader can take them.

    Attributes
    ----------
    data
        Samples ``(n, *shape)``, a DataFrame, or a Series; it is not copied: leave it as it is.
    times
        Of each sample: int [ns] since the Unix epoch or ``datetime64``, ``(n,)``, which do not go
        back; or the column of the DataFrame that has them. None: its index, if that has times, or
        ``rate``. Times without a zone are UTC.
    rate
        Samples per second [Hz], where there are no ``times``.
    start
        Time of the first sample with a ``rate``; None: that of the opening.
    speed
        How much faster than in their times samples come; ``math.inf``: as fast as readers take
        them.
    name, unit, channels
        As in `StreamInfo`.

    Raises
    ------
    ParameterError
        If data or times are not as said here.

    Examples
    --------
    >>> from rxstream import Device
    >>> device = Device(Playback(np.arange(6.0), rate=2.0, start=0, speed=math.inf))
    >>> reader = device.reader()
    >>> with device:
    ...     chunk = next(iter(reader))
    >>> chunk.data.tolist(), chunk.time.tolist()[:3]
    ([0.0, 1.0, 2.0, 3.0, 4.0, 5.0], [0, 500000000, 1000000000])
    """

    data: Any
    times: Any = None
    rate: float | None = None
    start: Time | None = None
    speed: float = 1.0
    name: str = "playback"
    unit: str = ""
    channels: tuple[str, ...] = ()

    @property
    def live(self) -> bool:
        """False: it can wait."""
        return False

    def __post_init__(self) -> None:
        data, times, channels = self.data, self.times, self.channels
        if not isinstance(channels, list | tuple):
            msg = f"Playback: channels must be labels, e.g. ('x', 'y'), not {shown(channels)}"
            raise ParameterError(msg)
        if is_table(data):
            data, times, channels = columns_of(data, times, channels, has_rate=bool(self.rate))
        if not isinstance(data, np.ndarray) or not data.ndim:
            msg = (
                "Playback: data must be an array (n, *shape), a DataFrame or a Series, not "
                f"{shown(data)}; values one by one are for Iterable"
            )
            raise ParameterError(msg)
        columns = data.shape[-1] if data.ndim > 1 else 1
        if channels and len(channels) != columns:
            msg = (
                f"Playback: channels must be {counted(columns, 'label')}, one for each along the "
                f"last axis of data {data.shape}, not {shown(channels)}"
            )
            raise ParameterError(msg)
        if np.ma.is_masked(data):
            msg = "Playback: samples of data are masked; give data.filled(...), or leave them out"
            raise ParameterError(msg)
        if times is None and self.rate is None:
            msg = "Playback: give times=, or rate= where samples come at one"
            raise ParameterError(msg)
        if times is not None and (self.rate is not None or self.start is not None):
            msg = "Playback: give times=, or rate= and start=, not both"
            raise ParameterError(msg)
        if not (is_positive(self.speed) or self.speed == math.inf):
            msg = f"Playback: speed must be > 0, or math.inf, not {shown(self.speed)}"
            raise ParameterError(msg)
        if self.start is not None:
            object.__setattr__(self, "start", to_ns(self.start))
        if times is not None:
            object.__setattr__(self, "times", times_of(times, len(data)))
        view = data.view()
        view.flags.writeable = False
        object.__setattr__(self, "data", view)
        object.__setattr__(self, "channels", tuple(channels))
        _ = self.info

    def _options(self) -> tuple[Any, ...]:
        return (self.rate, self.start, self.speed, self.name, self.unit, self.channels)

    def __eq__(self, other: object) -> bool:
        """Whether both play the same."""
        return isinstance(other, Playback) and bool(
            self._options() == other._options()
            and self.data.dtype == other.data.dtype
            and np.array_equal(self.data, other.data)
            and (self.times is None) == (other.times is None)
            and (self.times is None or np.array_equal(self.times, other.times))
        )

    def __hash__(self) -> int:
        return hash((self._options(), self.data.shape, self.data.dtype))

    @property
    def info(self) -> StreamInfo:
        """Description of the stream."""
        return StreamInfo(
            self.name, self.rate, self.data.shape[1:], self.data.dtype, self.unit, self.channels,
            device_clock="host", extra={"samples": len(self.data)},
        )  # fmt: skip

    def open(self, emit: Emit, fail: Fail) -> Close | tuple[Close, StreamInfo]:
        """Begin to play; see `Source.open`."""
        return open_generator(lambda _: self._play(), self.info, emit, fail)

    def _play(self) -> Generator[Any, None, None]:
        begun = now_ns()
        first = begun if self.start is None else to_ns(self.start)
        if self.times is not None and len(self.times):
            first = int(self.times[0])
        yield
        if self.speed == math.inf:
            yield from self._blocks(0, len(self.data), first)
            return
        nothing, done = Reading(self.data[:0]), 0
        while done < len(self.data):
            now = first + round((now_ns() - begun) * self.speed)
            due = self._due(now, first)
            if due > done:
                yield from self._blocks(done, due, first)
                done = due
            else:
                # nothing until now, in the time of the samples
                yield replace(nothing, bounds=(now, now))
            if done < len(self.data):
                wait = (self._time(done, first) - now) / 1e9 / self.speed
                time.sleep(min(max(wait, _LEAST), _LONGEST))

    def _time(self, number: int, first: int) -> int:
        """Return the time of a sample [ns]."""
        if self.times is not None:
            return int(self.times[number])
        return first + round(number * 1e9 / (self.rate or 1.0))

    def _due(self, now: int, first: int) -> int:
        """Return how many samples are due at a time of theirs [ns]."""
        if self.times is not None:
            return int(np.searchsorted(self.times, now, "right"))
        return min(len(self.data), math.floor((now - first) / 1e9 * (self.rate or 1.0)) + 1)

    def _blocks(self, start: int, stop: int, first: int) -> Iterator[Reading]:
        """Yield samples from one number to another."""
        data: NDArray[Any] = self.data
        size = max(1, min(_MOST, _BYTES // max(1, data.nbytes // max(1, len(data)))))
        for at in range(start, stop, size):
            end = min(at + size, stop)
            when = self._time(at, first) if self.times is None else self.times[at:end]
            yield Reading(data[at:end], device_time=when)
