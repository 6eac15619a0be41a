"""What an author gives as samples, and when they were taken, as a `Reading`."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from rxstream.acquisition.evidence import EvidenceCheck
from rxstream.authoring.fitting import fit
from rxstream.data.checked import misfit
from rxstream.data.stream_info import Reading, StreamInfo
from rxstream.errors import ChunkError, ParameterError
from rxstream.printable import shown
from rxstream.validation import is_whole

__all__ = ["Samples"]

_PAIR = 2


class Samples:
    """Makes readings of the values of one stream.

    Parameters
    ----------
    info
        Description of the stream.

    Examples
    --------
    >>> samples = Samples(StreamInfo("weather", None, (), [("place", "U8"), ("celsius", "f4")]))
    >>> samples.reading({"place": "roof", "celsius": 20.5}).data
    array([('roof', 20.5)], dtype=[('place', '<U8'), ('celsius', '<f4')])
    >>> samples.reading({"place": "roof", "celsius": 21, "time": 7}).device_time
    7
    >>> samples.reading(("the whole roof", 20.5))
    Traceback (most recent call last):
    rxstream.errors.ChunkError: weather: place: 'the whole roof' has 14 characters; give ...
    """

    def __init__(self, info: StreamInfo) -> None:
        self.info = info
        self._names = info.dtype.names or ()
        self._evidence = EvidenceCheck(info)
        self.nothing = Reading(np.empty((0, *info.shape), info.dtype))
        """A heartbeat."""

    def reading(self, value: Any) -> Reading:
        """Return what an author gave as a reading.

        Parameters
        ----------
        value
            A number or a text; a mapping or a tuple of the fields of a structured dtype; an array
            ``(*shape)`` or ``(n, *shape)``, or a list of samples; any of these with a stamp [ns],
            as ``(value, time)`` or under ``"time"``; or a `Reading` of them.

        Raises
        ------
        ChunkError
            If it does not fit the description of the stream.
        ParameterError
            If a piece of evidence is of the wrong kind.
        """
        if isinstance(value, Reading):
            given = replace(value, data=self._array(value.data))
        else:
            value, stamp = self._split(value)
            data = self._array(value)
            if stamp is None:
                return Reading(data)
            given = Reading(data, device_time=self._stamp(stamp, len(data)))
        return self._evidence.check(given)

    def _split(self, value: Any) -> tuple[Any, Any]:
        """Return a value without its stamp, and that; None if it has none."""
        if isinstance(value, Mapping) and "time" not in self._names:
            return value, value.get("time")
        if isinstance(value, tuple) and len(value) == _PAIR and self._is_stamped(value[0]):
            return value
        return value, None

    def _is_stamped(self, first: Any) -> bool:
        """Whether a pair that begins so is a sample with its stamp, and not a sample of two."""
        if len(self._names) == _PAIR:
            return isinstance(first, Mapping | tuple) and not self.info.dtype[0].subdtype
        if self._names or self.info.shape:
            return isinstance(first, Mapping | tuple | list | np.ndarray)
        return True

    def _stamp(self, stamp: Any, n: int) -> Any:
        if isinstance(stamp, list | np.ndarray):
            return self._evidence.stamps(np.asarray(stamp), n)
        if not is_whole(stamp):
            msg = (
                f"{self.info.name}: its time is {shown(stamp)}; give int nanoseconds, e.g. "
                "round(seconds * 1e9)"
            )
            raise ParameterError(msg)
        return int(stamp)

    def _array(self, value: Any) -> NDArray[Any]:
        """Return samples ``(n, *shape)``."""
        info = self.info
        if isinstance(value, np.ndarray):
            fits = value.dtype == info.dtype
            if fits and value.ndim and value.shape[1:] == info.shape:
                return value
            if fits and value.shape == info.shape:
                return value[None]
            if value.ndim or self._names:
                raise ChunkError(misfit(value, info))
        if isinstance(value, list) and not value:
            return self.nothing.data
        if self._names:
            rows = value if isinstance(value, list) else [value]
            return np.concatenate([self._row(row) for row in rows])
        try:
            array = fit(value, info.dtype)
        except ValueError as error:
            msg = f"{info.name}: {error}"
            raise ChunkError(msg) from None
        if array.shape == info.shape:
            return array[None]
        if array.ndim and array.shape[1:] == info.shape:
            return array
        msg = (
            f"{info.name}: {shown(value)} has the shape {array.shape}, not {info.shape}; give one "
            f"sample, or an array of several, or another shape="
        )
        raise ChunkError(msg)

    def _row(self, value: Any) -> NDArray[Any]:
        """Return one sample of a structured dtype as an array ``(1,)``."""
        names, dtype = self._names, self.info.dtype
        if self.info.shape:
            msg = f"{self.info.name}: give structured samples of a shape as an array"
            raise ChunkError(msg)
        if isinstance(value, np.void) and value.dtype == dtype:
            return np.array([value], dtype)
        items: Any = ()
        if isinstance(value, Mapping):
            missing = [name for name in names if name not in value]
            if missing:
                msg = f"{self.info.name}: {shown(value)} has no {', '.join(map(repr, missing))}"
                raise ChunkError(f"{msg}; give all of {', '.join(names)}")
            items = [value[name] for name in names]
        elif isinstance(value, tuple):
            items = value
        if len(items) != len(names):
            msg = (
                f"{self.info.name}: {shown(value)} is no sample; give a tuple or a dict of "
                f"{', '.join(names)}"
            )
            raise ChunkError(msg)
        out = np.zeros(1, dtype)
        for name, item in zip(names, items, strict=True):
            out[name] = self._field(name, item)
        return out

    def _field(self, name: str, value: Any) -> NDArray[Any]:
        """Return the value of a field; raise ChunkError if it does not fit."""
        dtype = self.info.dtype[name]
        try:
            array = fit(value, dtype.base)
        except ValueError as error:
            msg = f"{self.info.name}: {name}: {error}"
            raise ChunkError(msg) from None
        if array.shape != dtype.shape:
            msg = (
                f"{self.info.name}: {name}: {shown(value)} has the shape {array.shape}, not "
                f"{dtype.shape}"
            )
            raise ChunkError(msg)
        return array
