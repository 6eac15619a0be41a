"""scan_data: apply a function with a state that is carried from chunk to chunk."""

from collections.abc import Callable
from copy import deepcopy
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray
from reactivex import Observable

from rxstream.data.chunk import Chunk
from rxstream.errors import ChunkError, ParameterError
from rxstream.operators.values.results import ResultChunks, check_changes, place_of
from rxstream.printable import shown
from rxstream.steps.contiguous_runs import ContiguousRuns, OnGap
from rxstream.steps.in_order import lift_in_order
from rxstream.steps.stream import Stream, label
from rxstream.validation import check_choice

__all__ = ["scan_data"]

Function: TypeAlias = Callable[[Any, NDArray[Any]], tuple[NDArray[Any], Any]]


class _ScanData:
    __slots__ = ("_begun", "_bridge", "_function", "_initial", "_results", "_runs", "_state")

    def __init__(
        self, function: Function, initial: Any, on_gap: OnGap, changes: dict[str, Any]
    ) -> None:
        self._function, self._initial = function, initial
        self._results = ResultChunks(changes)
        self._bridge, self._begun = on_gap == "bridge", False
        self._state: Any = None
        self._runs = ContiguousRuns()

    def push(self, chunk: Chunk) -> tuple[Chunk, ...]:
        results = [self._apply(chunk, i, j, broken) for i, j, broken in self._runs.cut(chunk)]
        if not results:
            return self._results.without_samples(chunk)
        data = results[0] if len(results) == 1 else np.concatenate(results)
        return self._results.of(chunk, data)

    def flush(self) -> tuple[Chunk, ...]:
        return self._results.flush()

    def _apply(self, chunk: Chunk, i: int, j: int, broken: bool) -> NDArray[Any]:
        if broken and not (self._bridge and self._begun):
            initial, self._begun = self._initial, True
            self._state = initial(chunk.info) if callable(initial) else deepcopy(initial)
        given = chunk.data[i:j]
        try:
            result = self._function(self._state, given)
        except Exception as error:
            error.add_note(f"scan_data: in {place_of(chunk)}")
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


@label
def scan_data(
    function: Function,
    state: Any,
    *,
    on_gap: OnGap = "reset",
    **changes: Any,
) -> Callable[[Observable[Chunk]], Stream[Chunk]]:
    """Apply a numpy function with a state to the values; times and gaps stay.

    .. marble::

        --[1 2]--[3 4]------------------|
        [ scan_data(cumulative sum, 0)  ]
        --[1 3]--[6 10]-----------------|

    Parameters
    ----------
    function
        Takes the state and the next samples ``(n, *shape)``, in the order of `functools.reduce`;
        returns results ``(n, *other shape)`` and the new state. Called with at least one sample,
        never with a gap among them.
    state
        The initial state, which is copied; or a function that makes it from the `StreamInfo`.
    on_gap
        ``"reset"``: the state is initial again after a gap, or where the numbers of the samples
        jump; ``"bridge"``: it goes on.
    **changes
        New fields of the `StreamInfo`, e.g. ``unit="m"``.

    Returns
    -------
    operator
        Chunks with the new values; shape and dtype of their info follow. Chunks without samples
        at the very beginning come with the first that has some.

    Raises
    ------
    ParameterError
        If ``function`` is not callable, ``on_gap`` is unknown, or ``changes`` are no fields of
        `StreamInfo`.
    ChunkError
        Downstream, if the function does not return results and a state, or changes the number of
        samples.

    See Also
    --------
    map_data : without a state.

    Examples
    --------
    >>> import numpy as np, reactivex as rx
    >>> from rxstream import Chunk, StreamInfo
    >>> def total(before, data):
    ...     sums = before + np.cumsum(data, axis=0)
    ...     return sums, sums[-1]
    >>> whole = Chunk.regular(np.arange(1.0, 5), StreamInfo("x", 10.0, (), np.float64), start=0)
    >>> rx.of(whole[:2], whole[2:]).pipe(scan_data(total, 0)).subscribe(
    ...     lambda c: print(c.data)).dispose()
    [1. 3.]
    [ 6. 10.]
    """
    if not callable(function):
        msg = f"scan_data needs a function of a state and samples, not {shown(function)}"
        raise ParameterError(msg)
    check_choice(on_gap, OnGap, "on_gap")
    check_changes("scan_data", changes)
    return lift_in_order(lambda: _ScanData(function, state, on_gap, changes))
