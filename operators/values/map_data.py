"""map_data: apply a function to the values, at the same times."""

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from reactivex import Observable

from rxstream.data.chunk import Chunk
from rxstream.errors import ChunkError, ParameterError
from rxstream.operators.values.results import ResultChunks, check_changes, place_of
from rxstream.printable import shown
from rxstream.steps.lift import lift
from rxstream.steps.stream import Stream, label

__all__ = ["map_data"]

Function = Callable[[NDArray[Any]], NDArray[Any]]


class _MapData:
    __slots__ = ("_function", "_results")

    def __init__(self, function: Function, changes: dict[str, Any]) -> None:
        self._function, self._results = function, ResultChunks(changes)

    def push(self, chunk: Chunk) -> tuple[Chunk, ...]:
        if not len(chunk):
            return self._results.without_samples(chunk)
        try:
            data = np.asarray(self._function(chunk.data))
        except Exception as error:
            error.add_note(f"map_data: in {place_of(chunk)}")
            raise
        if data.ndim == 0 or len(data) != len(chunk):
            msg = (
                f"map_data: the function made {data.shape} of {chunk.data.shape}; it must keep the "
                "number of samples (axis 0); to make one value of a chunk use reactivex's map"
            )
            raise ChunkError(msg)
        return self._results.of(chunk, data)

    def flush(self) -> tuple[Chunk, ...]:
        return self._results.flush()


@label
def map_data(function: Function, **changes: Any) -> Callable[[Observable[Chunk]], Stream[Chunk]]:
    """Apply a numpy function to the values of each chunk; times and gaps stay.

    The function must treat each sample by itself (``np.abs``, a gain, a mean over channels);
    otherwise the result depends on how the stream was cut. For more, use `scan_data` or write a
    `Step`.

    .. marble::

        --[1 2]--[3]-------|
        [ map_data(x * 2)  ]
        --[2 4]--[6]-------|

    Parameters
    ----------
    function
        From ``(n, *shape)`` to ``(n, *other shape)``, with n of at least 1.
    **changes
        New fields of the `StreamInfo`, e.g. ``unit="g"``, ``channels=("x",)``.

    Returns
    -------
    operator
        Chunks with the new values; shape and dtype of their info follow.

    Raises
    ------
    ParameterError
        If ``function`` is not callable, or ``changes`` are no fields of `StreamInfo`.
    ChunkError
        Downstream, if the function changes the number of samples.

    Examples
    --------
    >>> import numpy as np, reactivex as rx
    >>> from rxstream import Chunk, StreamInfo
    >>> chunk = Chunk.regular(np.arange(3.0), StreamInfo("x", 10.0, (), np.float64), start=0)
    >>> rx.of(chunk).pipe(map_data(lambda x: 9.81 * x, unit="m/s²")).subscribe(
    ...     lambda c: print(c.data, c.info.unit)).dispose()
    [ 0.    9.81 19.62] m/s²
    """
    if not callable(function):
        msg = f"map_data needs a function of an array, not {shown(function)}"
        raise ParameterError(msg)
    check_changes("map_data", changes)
    return lift(lambda: _MapData(function, changes))
