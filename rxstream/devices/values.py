"""What the program has itself, as devices: `Iterable`, `Function` (need no extra)."""

from collections import abc
from collections.abc import Callable, Generator
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np

from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.authoring.generators import answers, open_generator
from rxstream.authoring.samples import Samples
from rxstream.data.clock import Duration, now_ns, to_span
from rxstream.data.stream_info import StreamInfo
from rxstream.errors import ParameterError
from rxstream.printable import shown
from rxstream.validation import check_flag

__all__ = ["Function", "Iterable"]


def _checked_info(info: object) -> StreamInfo:
    if isinstance(info, StreamInfo):
        return info
    msg = f"info must be a StreamInfo, not {shown(info)}"
    raise ParameterError(msg)


@dataclass(frozen=True, slots=True)
class Iterable:
    """The values of an iterable: a list, a generator, a queue's ``iter(queue.get, None)``.

    **Times.** Those that values bring along as ``(value, time)`` or under ``"time"`` [ns]; with
    ``info.rate`` the next one is a period later than the one before, from the opening on; otherwise
    that at which a value came. As a generator or a function ends, so does the stream.

    Attributes
    ----------
    values
        An iterable, or a function that returns one for each opening. An iterator itself goes on
        where it was left. A value is what an author of a device may yield, see `source`: a number,
        a text, a dict, an array ``(n, *shape)``, a `Reading`; None: nothing for now.
    info
        Description of the samples; default: single numbers.
    live
        True where values come when they want, as of a queue; then readers that are slow lose some.
        Default: the next value is taken when the slowest reader can take it.

    Examples
    --------
    >>> from rxstream import Device
    >>> device = Device(Iterable(range(5), StreamInfo("count", dtype=np.dtype(int))))
    >>> reader = device.reader()
    >>> with device:
    ...     [value for chunk in reader for value in chunk.data.tolist()]
    [0, 1, 2, 3, 4]
    """

    values: Any = field(hash=False)
    info: StreamInfo = field(default=StreamInfo("iterable", dtype=np.dtype(float)))
    live: bool = False

    def __post_init__(self) -> None:
        _checked_info(self.info)
        check_flag(self.live, "Iterable: live")
        if isinstance(self.values, np.ndarray):
            msg = "Iterable: values are an array; give it to Playback, with its rate or times"
            raise ParameterError(msg)
        if not isinstance(self.values, abc.Iterable) and not callable(self.values):
            msg = (
                "Iterable: values must be an iterable, or a function that returns one, not "
                f"{shown(self.values)}"
            )
            raise ParameterError(msg)
        # what is stamped here is a time of this computer
        if self._is_counted and self.info.device_clock != "host":
            object.__setattr__(self, "info", replace(self.info, device_clock="host"))

    @property
    def _is_counted(self) -> bool:
        """Whether the time of a sample follows from its number."""
        return self.info.rate is not None and not self.live

    def open(self, emit: Emit, fail: Fail) -> Close | tuple[Close, StreamInfo]:
        """Begin to take values; see `Source.open`."""
        return open_generator(lambda _: self._given(), self.info, emit, fail)

    def _given(self) -> Generator[Any, None, None]:
        values = iter(self.values() if callable(self.values) else self.values)
        yield
        if not self._is_counted:
            yield from values
            return
        samples, begin, number = Samples(self.info), now_ns(), 0
        for value in values:
            if value is None:
                yield
                continue
            reading = samples.reading(value)
            if reading.device_time is None:
                passed = round(number * 1e9 / (self.info.rate or 1.0))
                reading = replace(reading, device_time=begin + passed)
            number += len(reading.data) + (reading.lost or 0)
            yield reading


@dataclass(frozen=True, slots=True)
class Function:
    """What a function returns, called every so often: the simplest device that is asked.

    It is called as the device is opened, and then each ``every`` seconds, on a schedule that does
    not drift. **Times** are between its call and its return, with `Chunk.uncertainty` half of
    that; a turn that is skipped is in a ``Gap(reason="overrun")``. `source` with ``every=`` makes a
    device with options of its own.

    Attributes
    ----------
    function
        Takes nothing, and returns a value as `source` describes them; None: nothing this time.
    every
        Time from one call to the next [s].
    info
        Description of the samples, without a rate; default: single numbers.

    Examples
    --------
    >>> import os
    >>> from rxstream import Device
    >>> load = Function(os.getloadavg, 0.01, StreamInfo("load", shape=(3,), dtype=np.dtype(float)))
    >>> device = Device(load)
    >>> with device.reader() as reader, device:
    ...     reader.read(2, timeout=10).shape
    (2, 3)
    """

    function: Callable[[], Any]
    every: Duration = 1.0
    info: StreamInfo = field(default=StreamInfo("function", dtype=np.dtype(float)))

    def __post_init__(self) -> None:
        if not callable(self.function):
            msg = f"Function: function must be a function, not {shown(self.function)}"
            raise ParameterError(msg)
        to_span(self.every, "Function: every")
        if _checked_info(self.info).rate is not None:
            msg = (
                f"Function: what is asked has no rate of its own; leave out rate={self.info.rate:g}"
            )
            raise ParameterError(msg)

    def open(self, emit: Emit, fail: Fail) -> Close | tuple[Close, StreamInfo]:
        """Call it once, and then every so often; see `Source.open`."""
        samples = Samples(self.info)
        return open_generator(
            lambda _: answers(self.function, samples), self.info, emit, fail, every=self.every
        )
