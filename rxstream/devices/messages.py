"""What a message from the network is: a text, a JSON value or object; bad ones are counted."""

import datetime as dt
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from numpy.typing import DTypeLike

from rxstream.authoring.samples import Samples
from rxstream.data.stream_info import Reading, StreamInfo
from rxstream.errors import ChunkError, ParameterError
from rxstream.printable import error_line, get_logger, shown
from rxstream.validation import checked_dtype, is_number, is_positive, is_whole

__all__ = ["Json", "MessageDecoder", "MessageFormat", "Text", "checked_form", "to_stamp"]

_log = get_logger(__name__)

# Most characters of a text; more, numpy has no type for.
_LONGEST = (1 << 29) - 1

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
_MICROSECOND = dt.timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Text:
    """Messages of text: samples ``()`` of so many characters at most; a longer one is lost.

    Attributes
    ----------
    longest
        Most characters of a message.

    Examples
    --------
    >>> Text().dtype
    dtype('<U200')
    """

    longest: int = 200

    def __post_init__(self) -> None:
        if not is_whole(self.longest, 1) or self.longest > _LONGEST:
            msg = (
                f"Text: longest must be a number of characters from 1 to {_LONGEST}, not "
                f"{shown(self.longest)}"
            )
            raise ParameterError(msg)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Type of a sample."""
        return np.dtype(f"U{self.longest}")

    def values(self, message: str) -> list[tuple[Any, int | None]]:
        """Return the samples in a message, each with its stamp [ns]."""
        return [(message, None)]


@dataclass(frozen=True, slots=True)
class Json:
    """Messages in JSON: a value, an object, or a list of them, a sample each.

    A message that lacks a field, or has in it what does not fit, is lost. ``null`` is NaN.

    Attributes
    ----------
    dtype
        Of a value, e.g. ``"f8"``; or the fields of an object, ``[("x", "f8"), ("y", "f8")]``.
        ``"position.x"`` is a field of the object in a field.
    time
        Field with the sender's stamp, a number or an ISO 8601 text; empty: none. All are of one
        clock, e.g. of one sender.
    tick
        Unit of that number [s].

    Examples
    --------
    >>> Json([("x", "f8")], time="t", tick=1e-3).values('{"t": 1500, "x": 2, "more": 0}')
    [((2,), 1500000000)]
    """

    dtype: np.dtype[Any] = field(default_factory=lambda: np.dtype(float))
    time: str = ""
    tick: float = 1.0

    def __init__(self, dtype: DTypeLike = float, time: str = "", tick: float = 1.0) -> None:
        given = checked_dtype(dtype, "Json: dtype")
        if given.hasobject:
            msg = f"Json: dtype must be of numbers and text, not {given}"
            raise ParameterError(msg)
        if not isinstance(time, str) or (time and not given.names):
            msg = f"Json: time must name a field, beside a dtype of fields, not {shown(time)}"
            raise ParameterError(msg)
        if not is_positive(tick):
            msg = f"Json: tick must be > 0 s, not {shown(tick)}"
            raise ParameterError(msg)
        for name, value in (("dtype", given), ("time", time), ("tick", tick)):
            object.__setattr__(self, name, value)

    def values(self, message: str) -> list[tuple[Any, int | None]]:
        """Return the samples in a message, each with its stamp [ns]; ValueError if it has none."""
        given = json.loads(message)
        several = isinstance(given, list) and not self.dtype.shape
        return [self._value(item) for item in (given if several else [given])]

    def _value(self, item: Any) -> tuple[Any, int | None]:
        names = self.dtype.names
        if not names:
            return _number(item), None
        row = tuple(_number(_found(item, name)) for name in names)
        return row, to_stamp(_found(item, self.time), self.tick) if self.time else None


MessageFormat = Text | Json
"""What the messages of a server are."""


def checked_form(form: object, name: str) -> MessageFormat:
    """Return what messages are; raise ParameterError if that is nothing of the kind."""
    if isinstance(form, MessageFormat):
        return form
    msg = f"{name} must be Text(...) or Json(...), not {shown(form)}"
    raise ParameterError(msg)


def _found(item: Any, name: str) -> Any:
    """Return a field of an object, or of one in it."""
    if isinstance(item, Mapping) and name in item:
        return item[name]
    first, _, rest = name.partition(".")
    if rest and isinstance(item, Mapping) and first in item:
        return _found(item[first], rest)
    msg = f"{shown(item)} has no {name!r}"
    raise ValueError(msg)


def _number(value: Any) -> Any:
    return math.nan if value is None else value


def to_stamp(value: Any, tick: float) -> int:
    """Return a number of ``tick`` [s], or an ISO 8601 text, as ns that int64 can hold.

    Raises
    ------
    ValueError
        If it is neither, or they are too many.
    """
    stamp = _stamp_of(value, tick)
    if abs(stamp) >= 1 << 63:
        msg = f"the time {shown(value)} is no time that int64 nanoseconds can hold; see tick="
        raise ValueError(msg)
    return stamp


def _stamp_of(value: Any, tick: float) -> int:
    if isinstance(value, str):
        when = dt.datetime.fromisoformat(value)
        when = when if when.tzinfo else when.replace(tzinfo=dt.UTC)
        return (when - _EPOCH) // _MICROSECOND * 1000
    if not (is_whole(value) or is_number(value)):
        msg = f"the time {shown(value)} is neither a number nor an ISO 8601 text"
        raise ValueError(msg)
    return round(Fraction(value) * Fraction(tick).limit_denominator(10**12) * 10**9)


class MessageDecoder:
    """Makes readings of the messages of one connection; bad ones are counted, and the first logged.

    Parameters
    ----------
    form
        What the messages are.
    info
        Description of the stream, whose samples are those of the messages, or structured with
        ``more`` fields before them.
    """

    def __init__(self, form: MessageFormat, info: StreamInfo) -> None:
        self._form, self._samples = form, Samples(info)
        self._lost = 0
        self._logged = False

    def reading(self, message: str | bytes, *more: Any) -> Reading | None:
        """Return a message as a reading; None if it has no samples."""
        try:
            text = message if isinstance(message, str) else message.decode()
            values = self._form.values(text)
            if not values:
                return None
            rows = [_joined(more, value) for value, _ in values]
            data = self._samples.reading(rows).data
            stamps = [stamp for _, stamp in values if stamp is not None]
            times = np.array(stamps, np.int64) if stamps else None
        except (ValueError, ChunkError, OverflowError, RecursionError) as error:
            self.lose(message, error)
            return None
        lost, self._lost = self._lost, 0
        return Reading(data, device_time=times, lost=lost or None)

    def lose(self, message: str | bytes, error: Exception) -> None:
        """Count a message that is no sample, with the reason."""
        self._lost += 1
        if not self._logged:
            self._logged = True
            _log.warning(
                "%s: the message %s is no sample (%s); from now on such are only counted, in "
                "the gap before the next sample",
                self._samples.info.name, shown(message), error_line(error),
            )  # fmt: skip


def _joined(more: tuple[Any, ...], value: Any) -> Any:
    """Return a sample with fields before those of a message."""
    if not more:
        return value
    return (*more, *value) if isinstance(value, tuple) else (*more, value)
