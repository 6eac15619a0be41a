"""`from_stream2py`: readers of stream2py and of its plugins, unchanged, as a source."""

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass, replace
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.authoring.generators import open_generator
from rxstream.authoring.samples import Samples
from rxstream.data.clock import FOREVER, NEVER, host_clock
from rxstream.data.stream_info import Reading, StreamInfo
from rxstream.devices.stream2py.items import Ends, Item, Items, Reader
from rxstream.errors import ChunkError, DeviceNotFoundError, ParameterError
from rxstream.printable import shown
from rxstream.validation import check_choice, check_flag, is_number, is_whole

__all__ = ["Conversion", "Stream2py", "from_stream2py"]

KeyUnit: TypeAlias = Literal["ns", "us", "ms", "s"]
"""What a key that is a time of the wall clock counts."""

ToReading: TypeAlias = Callable[[Any, Any], Any]
"""Takes an item and its reader; returns a value as an author yields it, or None for no sample."""

_NS = {"ns": 1, "us": 1000, "ms": 1_000_000, "s": 1_000_000_000}
_OBJECTS = StreamInfo("stream2py", None, (), np.dtype(object), device_clock="host")

# Longest time without a heartbeat [s].
_BEAT = 0.1
# What heartbeats of stamped items stay behind, besides twice the oldest stamp seen [ns].
_BEHIND = 100_000_000
# Items that came within this time came at once, where they have no times of their own [ns].
_ONCE = 500_000
# Types of which a value is one sample; a pair may be one with its time.
_SINGLE = frozenset({int, float, bool, str, bytes})
_PAIR = "value", "time"


@dataclass(frozen=True)
class Conversion:
    """How items of one kind of reader become samples.

    Attributes
    ----------
    to_reading
        Function that takes an item and its reader, and returns a value as `source` describes
        them, a `Reading` with evidence, or None for no sample.
    info
        Description of the stream before a reader is open.
    learn
        Function that takes ``info`` and an open reader, and returns what is known then.
    key
        Unit of the time of an item, if that has one of the wall clock.
    stamp
        Function that returns that time, of the first sample in an item; None: the reader's key.
    ends
        Function that returns whether an item, which may be None, of a reader is the end.
    """

    to_reading: ToReading
    info: StreamInfo
    learn: Callable[[StreamInfo, Any], StreamInfo] | None = None
    key: KeyUnit | None = None
    stamp: Callable[[Any], Any] | None = None
    ends: Ends | None = None


def from_stream2py(
    make: Callable[[], Any],
    to_reading: Conversion | ToReading | None = None,
    *,
    info: StreamInfo | None = None,
    key: KeyUnit | None = None,
    ends: Ends | None = None,
    live: bool = True,
) -> "Stream2py":
    """Return a source made of a reader of stream2py or of one of its plugins, unchanged.

    What the reader raises is a `DeviceLostError`, and with ``reconnect`` a new reader goes on
    after a gap. Items with equal keys are kept, a nanosecond apart. A ``read`` may block.

    Parameters
    ----------
    make
        Function, or class, that returns a new reader: readers hold state, so each opening gets one
        of its own. ``functools.partial(Reader, ...)`` can be pickled, a lambda cannot.
    to_reading
        How items become samples: a ready `Conversion`, ``AUDIO``, ``VIDEO``, ``HEALTH``,
        ``KEYBOARD``, ``PLC`` or ``REQUEST`` of `rxstream.devices.stream2py`; or a function that
        takes an item and its reader, and returns what an author may yield, or None for no sample.
        None: items stay Python objects, which can be looked at, but neither recorded nor sent.
    info
        Description of the samples; needed with a function.
    key
        ``"us"``, as most plugins count, ``"ns"``, ``"ms"`` or ``"s"``: the reader's ``key`` is a
        time of the wall clock, that of its first sample. None: items have the time at which
        ``read`` returned them.
    ends
        Function that takes an item, which may be None, and its reader, and returns whether that is
        the end, as ``lambda item, reader: item is None`` for a file. ``StopIteration`` always is.
    live
        False for what can wait, as a file; then keys are kept as they are.

    Returns
    -------
    source
        With what the reader says of itself in ``Device.info.extra``.

    Raises
    ------
    ParameterError
        If something is not what it should be.

    Examples
    --------
    >>> from rxstream import Device
    >>> from stream2py.examples.source_reader import SimpleCounterString
    >>> counter = from_stream2py(
    ...     lambda: SimpleCounterString(start=0, stop=3),
    ...     ends=lambda item, reader: item is None, live=False,
    ... )
    >>> device = Device(counter)
    >>> reader = device.reader()
    >>> with device:
    ...     items = [item for chunk in reader for item in chunk.data]
    >>> items, device.info.extra["stop"]
    (['s0', 's1', 's2'], 3)
    """
    given = Conversion(_as_it_is, _OBJECTS)
    if isinstance(to_reading, Conversion):
        given = to_reading
        if info is not None:
            given = replace(given, info=info, learn=None)
    elif to_reading is not None:
        if not callable(to_reading):
            msg = f"to_reading must be a Conversion or a function, not {shown(to_reading)}"
            raise ParameterError(msg)
        if info is None:
            msg = "to_reading needs info=, the StreamInfo of the samples that it returns"
            raise ParameterError(msg)
        given = Conversion(to_reading, info)
    elif info is not None:
        given = replace(given, info=info)
    if key is not None:
        given = replace(given, key=key, stamp=None)
    if ends is not None:
        given = replace(given, ends=ends)
    return Stream2py(make, given, live)


def _as_it_is(item: Any, reader: Any) -> Any:
    return item


@dataclass(frozen=True)
class Stream2py:
    """A reader of stream2py as a source; made by `from_stream2py`.

    Attributes
    ----------
    make
        Function that returns a new reader.
    conversion
        How its items become samples.
    live
        False for what can wait, as a file.
    """

    make: Callable[[], Any]
    conversion: Conversion
    live: bool = True

    def __post_init__(self) -> None:
        if not callable(self.make):
            msg = (
                f"make must be a function that returns a reader, as lambda: Reader(...), not "
                f"{shown(self.make)}: each opening gets a new one"
            )
            raise ParameterError(msg)
        given = self.conversion
        if not isinstance(given.info, StreamInfo):
            msg = f"info must be a StreamInfo, not {shown(given.info)}"
            raise ParameterError(msg)
        if given.key is not None:
            check_choice(given.key, KeyUnit, "key")
        if given.ends is not None and not callable(given.ends):
            msg = (
                "ends must be a function of an item and its reader, as lambda item, reader: item "
                f"is None, not {shown(given.ends)}"
            )
            raise ParameterError(msg)
        check_flag(self.live, "live")

    @property
    def info(self) -> StreamInfo:
        """Description of the stream before its reader is open."""
        return self._timed(self.conversion.info)

    def open(self, emit: Emit, fail: Fail) -> Close | tuple[Close, StreamInfo]:
        """Open a new reader; see `Source.open`."""
        take = emit
        if self.conversion.key is not None and not self.live:

            def take(reading: Reading | NDArray[Any]) -> None:
                # now is not a time of a recording
                if not isinstance(reading, Reading) or len(reading.data):
                    emit(reading)

        return open_generator(lambda _: self._values(), self.info, take, fail)

    @property
    def _as_objects(self) -> bool:
        """Whether items stay as they are."""
        given, info = self.conversion, self.conversion.info
        return given.to_reading is _as_it_is and info.dtype == object and not info.shape

    def _timed(self, info: StreamInfo) -> StreamInfo:
        """Return a description whose stamps are of the host clock, where we give them."""
        if self.conversion.key is None and not self._as_objects:
            return info
        return replace(info, device_clock="host")

    def _values(self) -> Generator[Any, None, None]:
        given = self.conversion
        reader = _open(self.make, given.info.name)
        try:
            info = given.info if given.learn is None else given.learn(given.info, reader)
            info = self._timed(replace(info, extra={**info.extra, **(reader.info or {})}))
        except BaseException:
            reader.close()
            raise
        readings = _Readings(info, given.key, live=self.live)
        convert = None if given.to_reading is _as_it_is else given.to_reading
        stamp = None if given.key is None else given.stamp or reader.key
        as_objects = self._as_objects
        with Items(reader, info.name, convert, stamp, given.ends) as items:
            yield info
            while True:
                taken = items.take(_BEAT)
                if not taken:
                    yield readings.nothing(items.quiet)
                elif as_objects:
                    yield readings.of_objects(taken)
                else:
                    yield from readings.of_items(taken)


def _open(make: Callable[[], Any], name: str) -> Reader:
    """Return a new reader, open."""
    reader: Reader = make()
    missing = [part for part in ("open", "read", "key", "close") if not hasattr(reader, part)]
    if missing:
        msg = f"{name}: make returned {shown(reader)}, no reader: it has no {', '.join(missing)}"
        raise ParameterError(msg)
    # as plcstream2py says that nobody answers
    if reader.open() is False:
        reader.close()
        msg = f"{name}: {type(reader).__name__}.open() returned False; see that the device is there"
        raise DeviceNotFoundError(msg)
    return reader


class _Readings:
    """Readings of the items of one reader.

    Parameters
    ----------
    info
        Description of the stream.
    unit
        What the times of items count; None: they have none.
    live
        Whether these are times of now.
    """

    def __init__(self, info: StreamInfo, unit: KeyUnit | None, *, live: bool) -> None:
        self._info, self._live = info, live
        self._ns = None if unit is None else _NS[unit]
        self._samples = Samples(info)
        # whether items get a stamp here; those of a rate are timed by that
        self._stamped = info.device_clock == "host" and not (self._ns is None and info.rate)
        self._lag = 0  # of the oldest item, from its time until it was read [ns]

    def nothing(self, quiet: int) -> Reading:
        """Return a heartbeat: nothing until ``quiet`` [ns], or where times are older, before."""
        until = quiet if self._ns is None else quiet - 2 * self._lag - _BEHIND
        return replace(self._samples.nothing, bounds=(until, until))

    def of_objects(self, taken: list[Item]) -> Reading:
        """Return items as they are, in one reading."""
        data: NDArray[Any] = np.empty(len(taken), object)
        # one by one: numpy would take lists apart
        for k, item in enumerate(taken):
            data[k] = item[0]
        return Reading(data, device_time=np.array(self._times(taken), np.int64))

    def of_items(self, taken: list[Item]) -> Iterator[Reading]:
        """Yield converted items; of single values, which come fast, many in one reading."""
        begin = 0
        while begin < len(taken):
            end = begin + 1
            first = taken[begin]
            if self._is_single(first[0]):
                until = FOREVER if self._stamped else first[1] + _ONCE
                kind = type(first[0])
                while (
                    end < len(taken)
                    and type(taken[end][0]) is kind
                    and taken[end][1] <= until
                    and self._is_single(taken[end][0])
                ):
                    end += 1
            yield from self._of_some(taken[begin:end])
            begin = end

    def _is_single(self, value: Any) -> bool:
        """Whether a value is one sample, without evidence."""
        info, names = self._info, self._info.dtype.names
        if info.shape or info.rate is not None:
            return False
        if names is None:
            return type(value) in _SINGLE
        if type(value) is tuple:
            # two may be a sample and its time
            return len(value) == len(names) != len(_PAIR)
        return type(value) is dict and ("time" in names or "time" not in value)

    def _of_some(self, some: list[Item]) -> Iterator[Reading]:
        if len(some) > 1:
            try:
                data = self._samples.reading([value for value, _, _ in some]).data
            except ChunkError:
                pass  # one by one: those before the wrong one are right, and that one is named
            else:
                times = np.array(self._times(some), np.int64) if self._stamped else None
                yield Reading(data, device_time=times, arrival=some[-1][1])
                return
        for item in some:
            yield self._of_item(item)

    def _of_item(self, item: Item) -> Reading:
        """Return a converted item, with its time where it has none of its own."""
        value, came, _ = item
        reading = self._samples.reading(value)
        if reading.arrival is None:
            reading = replace(reading, arrival=came)
        n = len(reading.data)
        if reading.device_time is not None or not n or not self._stamped:
            return reading
        (time,) = self._times([item])
        regular = self._info.rate is not None
        return replace(reading, device_time=time if regular else np.full(n, time, np.int64))

    def _times(self, some: list[Item]) -> list[int]:
        """Return the times of items [ns]: their own, or when they were read."""
        if self._ns is None:
            return [came for _, came, _ in some]
        ahead = self._ahead()
        return [self._time(item, ahead) for item in some]

    def _ahead(self) -> int:
        """Return the host clock less the wall clock [ns]; of a recording nobody knows it."""
        return host_clock.from_realtime(0) if self._live else 0

    def _time(self, item: Item, ahead: int) -> int:
        """Return the time of an item [ns]."""
        _, came, key = item
        if not (is_whole(key) or is_number(key)):
            msg = (
                f"{self._info.name}: the key {shown(key)} is no time; leave out key=, and the time "
                "of items is that of arrival"
            )
            raise ParameterError(msg)
        time = round(key * (self._ns or 1)) + ahead
        if self._live and came - time > self._lag:
            self._lag = came - time
        # what int64 cannot be is set aside, and reported, where others are
        return min(max(time, NEVER), FOREVER)
