"""scan_data: other values at the same times, with a state that goes on from chunk to chunk."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray
from reactivex import Observable

from rxstream.data.chunk import Chunk
from rxstream.data.clock import format_time
from rxstream.data.concat import concat
from rxstream.data.stream_info import StreamInfo
from rxstream.errors import ChunkError, ParameterError
from rxstream.operators.signal.runs import ContiguousRuns, check_choice
from rxstream.operators.values.changes import check_changes
from rxstream.steps.lift import lift

__all__ = ["scan_data"]

OnGap = Literal["reset", "bridge"]
Function: TypeAlias = Callable[[NDArray[Any], Any], tuple[NDArray[Any], Any]]


class _ScanData:
    __slots__ = ("_begun", "_changes", "_function", "_given", "_held", "_info", "_initial",
                 "_keeps", "_runs", "_state")  # fmt: skip

    def __init__(
        self, function: Function, initial: Any, on_gap: OnGap, changes: dict[str, Any]
    ) -> None:
        self._function, self._initial, self._changes = function, initial, changes
        self._keeps, self._begun = on_gap == "bridge", False
        self._state: Any = None
        self._runs = ContiguousRuns()
        self._held: Chunk | None = None  # without samples, until it is known what will come
        self._given: StreamInfo | None = None
        self._info: StreamInfo | None = None

    def push(self, chunk: Chunk) -> tuple[Chunk, ...]:
        results = [self._apply(chunk, i, j, broken) for i, j, broken in self._runs.cut(chunk)]
        if not results:
            if self._info is None:
                self._held = chunk if self._held is None else concat((self._held, chunk))
                return ()
            none = np.empty((0, *self._info.shape), self._info.dtype)
            return (chunk.with_data(none, self._info),)
        data = results[0] if len(results) == 1 else np.concatenate(results)
        info = self._info
        if (
            info is None
            or self._given is not chunk.info
            or info.dtype != data.dtype
            or info.shape != data.shape[1:]
        ):
            info = self._info = chunk.info.like(data, **self._changes)
            self._given = chunk.info
        out = chunk.with_data(data, info)
        held, self._held = self._held, None
        return (out,) if held is None else (held.with_data(data[:0], info), out)

    def flush(self) -> tuple[Chunk, ...]:
        return () if self._held is None else (self._held,)

    def _apply(self, chunk: Chunk, i: int, j: int, broken: bool) -> NDArray[Any]:
        if broken and not (self._keeps and self._begun):
            initial, self._begun = self._initial, True
            self._state = initial(chunk.info) if callable(initial) else deepcopy(initial)
        given = chunk.data[i:j]
        try:
            result = self._function(given, self._state)
        except Exception as error:
            error.add_note(f"scan_data: in the chunk of {chunk.info.name} at {_when(chunk)}")
            raise
        if not isinstance(result, tuple) or len(result) != 2:
            msg = (
                f"scan_data: the function must return (data, state), and gave "
                f"{type(result).__name__}"
            )
            raise ChunkError(msg)
        data, self._state = np.asarray(result[0]), result[1]
        if data.ndim == 0 or len(data) != len(given):
            msg = (
                f"scan_data: the function made {data.shape} of {given.shape}; it must keep the "
                "number of samples (axis 0)"
            )
            raise ChunkError(msg)
        return data


def _when(chunk: Chunk) -> str:
    return f"{format_time(chunk.start)} (sample {chunk.index})"


def scan_data(
    function: Function,
    state: Any,
    *,
    on_gap: OnGap = "reset",
    **changes: Any,
) -> Callable[[Observable[Chunk]], Observable[Chunk]]:
    """Apply a numpy function with a memory to the values; times and gaps stay.

    .. marble::

        --[1 2]--[3 4]------------------|
        [ scan_data(cumulative sum, 0)  ]
        --[1 3]--[6 10]-----------------|

    Parameters
    ----------
    function
        From samples ``(n, *shape)`` and the state before them to samples ``(n, *other shape)`` and
        the state after them. Called with one sample or more, never with a gap among them.
    state
        The state to begin with, which is copied; or a function that makes it of the `StreamInfo`.
    on_gap
        ``"reset"``: after a gap, or where the numbers of the samples jump, it begins anew;
        ``"bridge"``: the state goes on.
    **changes
        Of the `StreamInfo`, e.g. ``unit="m"``.

    Returns
    -------
    operator
        Chunks with other values; shape and dtype of the info follow. Chunks without samples at the
        very beginning come with the first that has some.

    Raises
    ------
    ParameterError
        If ``function`` is not callable, ``on_gap`` is wrong, or ``changes`` are no fields of
        `StreamInfo`.
    ChunkError
        Downstream, if the function does not give samples and a state, or changes the number of
        samples.

    See Also
    --------
    map_data : without a state.

    Examples
    --------
    >>> import numpy as np, reactivex as rx
    >>> from rxstream import Chunk, StreamInfo
    >>> def total(data, before):
    ...     sums = before + np.cumsum(data, axis=0)
    ...     return sums, sums[-1]
    >>> whole = Chunk.regular(np.arange(1.0, 5), StreamInfo("x", 10.0, (), np.float64), start=0)
    >>> rx.of(whole[:2], whole[2:]).pipe(scan_data(total, 0)).subscribe(
    ...     lambda c: print(c.data)).dispose()
    [1. 3.]
    [ 6. 10.]
    """
    if not callable(function):
        msg = f"scan_data needs a function of samples and a state, not {function!r}"
        raise ParameterError(msg)
    check_choice(on_gap, OnGap, "on_gap")
    check_changes("scan_data", changes)
    return lift(lambda: _ScanData(function, state, on_gap, changes))
