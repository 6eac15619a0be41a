"""select: take some channels or fields."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from reactivex import Observable

from rxstream.data.chunk import Chunk
from rxstream.data.stream_info import StreamInfo
from rxstream.errors import ParameterError
from rxstream.printable import shown
from rxstream.steps.lift import lift
from rxstream.steps.stream import Stream, label

__all__ = ["select"]


class _Select:
    __slots__ = ("_info", "_keys", "_known", "_pick")

    def __init__(self, keys: tuple[Any, ...]) -> None:
        self._keys = keys
        self._known: StreamInfo | None = None
        self._info: StreamInfo | None = None
        self._pick: Callable[[NDArray[Any]], NDArray[Any]] = np.asarray

    def push(self, chunk: Chunk) -> tuple[Chunk]:
        if chunk.info is not self._known:
            self._known, self._info = chunk.info, None
            self._pick = _picker(chunk.info, self._keys)
        data = self._pick(chunk.data)
        if self._info is None:
            self._info = chunk.info.like(data, channels=_labels(chunk.info, self._keys))
        return (chunk.with_data(data, self._info),)

    def flush(self) -> tuple[()]:
        return ()


def _picker(info: StreamInfo, keys: tuple[Any, ...]) -> Callable[[NDArray[Any]], NDArray[Any]]:
    names = info.dtype.names
    if names:
        for key in keys:
            if key not in names:
                msg = f"select: {info.name} has no field {shown(key)}; it has {', '.join(names)}"
                raise ParameterError(msg)
        fields: Any = list(keys) if len(keys) > 1 else keys[0]
        return lambda data: data[fields]
    if not info.shape:
        msg = f"select: {info.name} has one value per sample, no channels or fields to choose from"
        raise ParameterError(msg)
    if len(keys) == 1 and isinstance(keys[0], slice):
        part = keys[0]
        return lambda data: data[..., part]
    numbers = [_number(info, key) for key in keys]
    if len(numbers) == 1:
        number = numbers[0]
        return lambda data: data[..., number]
    return lambda data: data[..., numbers]


def _number(info: StreamInfo, key: Any) -> int:
    count = info.shape[-1]
    if isinstance(key, str):
        if key in info.channels:
            return info.channels.index(key)
        have = ", ".join(info.channels) or f"no labels; use numbers from 0 to {count - 1}"
        msg = f"select: {info.name} has no channel {shown(key)}; it has {have}"
        raise ParameterError(msg)
    if isinstance(key, int | np.integer) and -count <= key < count:
        return int(key)
    msg = f"select: {info.name} has channels 0 to {count - 1}, not {shown(key)}"
    raise ParameterError(msg)


def _labels(info: StreamInfo, keys: tuple[Any, ...]) -> tuple[str, ...]:
    if info.dtype.names or not info.channels:
        return ()
    if len(keys) == 1:
        return info.channels[keys[0]] if isinstance(keys[0], slice) else ()
    return tuple(info.channels[_number(info, key)] for key in keys)


@label
def select(*keys: int | str | slice) -> Callable[[Observable[Chunk]], Stream[Chunk]]:
    """Take some channels of each sample, or some fields of structured samples.

    .. marble::

        --[(1, 2), (3, 4)]--|
        [    select(0)      ]
        --[1, 3]------------|

    Parameters
    ----------
    *keys
        Channel numbers or labels along the last axis, one slice of them, or names of fields. One
        number, label or name removes that axis.

    Returns
    -------
    operator
        Chunks with those values, at the same times; for one key they are views, without a copy.

    Raises
    ------
    ParameterError
        If nothing is selected; downstream, if the stream has no such channel or field (the message
        lists those it has).

    Examples
    --------
    >>> import numpy as np, reactivex as rx
    >>> from rxstream import Chunk, StreamInfo
    >>> info = StreamInfo("stereo", 10.0, (2,), np.int16, channels=("left", "right"))
    >>> chunk = Chunk.regular(np.array([[1, 2], [3, 4]], np.int16), info, start=0)
    >>> rx.of(chunk).pipe(select("right")).subscribe(lambda c: print(c.data)).dispose()
    [2 4]
    """
    if not keys or not all(isinstance(k, int | np.integer | str | slice) for k in keys):
        msg = f"select needs channel numbers, labels, field names or one slice, not {shown(keys)}"
        raise ParameterError(msg)
    if any(isinstance(k, slice) for k in keys) and len(keys) > 1:
        msg = f"select takes one slice alone, not {shown(keys)}"
        raise ParameterError(msg)
    return lift(lambda: _Select(keys))
