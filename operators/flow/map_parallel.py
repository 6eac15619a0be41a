"""map_parallel: process several items at a time, in threads, processes, or on a cluster."""

import os
from collections.abc import Callable
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import Generic, TypeVar

from reactivex import Observable

from rxstream.errors import ParameterError
from rxstream.operators.flow.in_flight import is_async, run_in_order
from rxstream.printable import shown
from rxstream.steps.stream import Stream, label

__all__ = ["map_parallel"]

A = TypeVar("A")
B = TypeVar("B")


class _ExecutorCalls(Generic[A, B]):
    """Calls on an executor, which is shut down at the end if it is the subscription's own."""

    def __init__(self, function: Callable[[A], B], executor: Executor, *, own: bool) -> None:
        self._function, self._executor, self._own = function, executor, own

    def submit(self, item: A, /) -> Future[B]:
        return self._executor.submit(self._function, item)

    def close(self) -> None:
        if self._own:
            self._executor.shutdown(wait=False, cancel_futures=True)


@label
def map_parallel(
    function: Callable[[A], B], executor: Executor | None = None, *, in_flight: int | None = None
) -> Callable[[Observable[A]], Stream[B]]:
    """Apply a function to several items at a time; emit results in the items' order.

    For work that is too slow for one thread: spectra, decoding of images, a model. Items may be
    chunks or anything else. Each is processed by itself, so where the result depends on how the
    stream is cut, put ``rechunk`` or ``window_by_time`` before it.

    .. marble::

        --1--2--3---4--------|
        [   map_parallel(f)  ]
        -----------1-2-3-4---|    f(2) was done before f(1), and waited for it

    Parameters
    ----------
    function
        A function of one argument, the item. Processes and clusters need one that can be pickled:
        defined in a module, no lambda.
    executor
        Any `concurrent.futures.Executor`: threads, processes, Dask's ``client.get_executor()``. The
        caller shuts it down. Default: threads for each subscription, which end with it.
    in_flight
        Largest number of items whose results have not been emitted. Default: the number of the
        executor's workers, or of this machine's processors where that is unknown.

    Returns
    -------
    operator
        Results, one at a time, on a thread of the subscription's own. While ``in_flight`` items are
        under way the source waits in its own thread: behind a device, the window is the queue, and
        ``on_lag`` decides. An exception is emitted after the results before it, with a note that
        names the function and the chunk, and ends the stream. The end comes after all results, and
        the source waits for it. Disposing cancels calls that have not begun.

    Raises
    ------
    ParameterError
        If ``function`` is not callable, ``executor`` is no executor, or ``in_flight`` is less than
        1.

    See Also
    --------
    map_async : for coroutines.

    Examples
    --------
    >>> import numpy as np, reactivex as rx
    >>> from rxstream import Chunk, StreamInfo
    >>> whole = Chunk.regular(np.arange(6.0), StreamInfo("x", 10.0, (), np.float64), start=0)
    >>> rx.of(whole[:2], whole[2:4], whole[4:]).pipe(
    ...     map_parallel(lambda chunk: float(chunk.data.sum()), in_flight=2)).subscribe(
    ...     print).dispose()
    1.0
    5.0
    9.0
    """
    if not callable(function):
        msg = f"map_parallel needs a function of an item, not {shown(function, 80)}"
        raise ParameterError(msg)
    if is_async(function):
        msg = f"map_parallel: {shown(function, 80)} is a coroutine function; use map_async"
        raise ParameterError(msg)
    if executor is not None and not isinstance(executor, Executor):
        msg = (
            f"map_parallel: {shown(executor, 80)} is no concurrent.futures.Executor; for a "
            "Dask client "
            "use client.get_executor()"
        )
        raise ParameterError(msg)
    workers: int = getattr(executor, "_max_workers", None) or os.cpu_count() or 1
    most = workers if in_flight is None else in_flight

    def begin(stage: str) -> _ExecutorCalls[A, B]:
        if executor is not None:
            return _ExecutorCalls(function, executor, own=False)
        return _ExecutorCalls(function, ThreadPoolExecutor(most, f"rxstream-{stage}"), own=True)

    return run_in_order("map_parallel", function, most, begin)
