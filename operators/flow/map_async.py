"""map_async: await several coroutines at a time."""

import asyncio
import threading
from collections.abc import Callable, Coroutine
from concurrent.futures import Future
from typing import Any, Generic, TypeVar

from reactivex import Observable

from rxstream.errors import ParameterError
from rxstream.operators.flow.in_flight import is_async, run_in_order
from rxstream.printable import shown
from rxstream.steps.stream import Stream, label

__all__ = ["map_async"]

A = TypeVar("A")
B = TypeVar("B")
# Calls that wait for a network cost next to nothing, so more of them than processors are useful; a
# service or database still serves so many from one client.
_IN_FLIGHT = 16


class _LoopCalls(Generic[A, B]):
    """Coroutines on an event loop, which is stopped at the end if it is the subscription's own."""

    def __init__(
        self,
        function: Callable[[A], Coroutine[Any, Any, B]],
        loop: asyncio.AbstractEventLoop | None,
        stage: str,
    ) -> None:
        self._function = function
        self._given, self._own = loop, _OwnLoop(stage) if loop is None else None
        self._loop = loop or self._own.loop  # type: ignore[union-attr]  # there is one of the two

    def submit(self, item: A, /) -> Future[B]:
        if not self._loop.is_running():
            msg = f"map_async: {shown(self._loop, 80)} does not run; leave loop= out, or let it run"
            raise ParameterError(msg)
        if self._given is not None and _runs_here(self._given):
            msg = (
                "map_async: the items come on the thread of the given loop, which would wait for "
                "itself; leave loop= out, or subscribe without a scheduler on that loop"
            )
            raise ParameterError(msg)
        work = self._function(item)
        try:
            return asyncio.run_coroutine_threadsafe(work, self._loop)
        except RuntimeError:  # the loop was closed since it was looked at
            work.close()
            raise

    def close(self) -> None:
        if self._own is not None:
            self._own.close()


class _OwnLoop:
    """An event loop in a thread of its own."""

    def __init__(self, stage: str) -> None:
        ready: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()

        async def run() -> None:
            stop = asyncio.Event()
            ready.set_result((asyncio.get_running_loop(), stop))
            await stop.wait()

        # When `run` returns, asyncio.run cancels the calls still running.
        threading.Thread(
            target=lambda: asyncio.run(run()), name=f"rxstream-{stage}-loop", daemon=True
        ).start()
        self.loop, self._stop = ready.result()

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self._stop.set)


def _runs_here(loop: asyncio.AbstractEventLoop) -> bool:
    try:
        return asyncio.get_running_loop() is loop
    except RuntimeError:
        return False


@label
def map_async(
    function: Callable[[A], Coroutine[Any, Any, B]],
    *,
    in_flight: int = _IN_FLIGHT,
    loop: asyncio.AbstractEventLoop | None = None,
) -> Callable[[Observable[A]], Stream[B]]:
    """Apply a coroutine function to several items at a time; emit results in the items' order.

    For work that waits for something else: a web service, a database, a device that answers. Items
    may be chunks or anything else.

    .. marble::

        --1--2--3---4-----|
        [   map_async(f)  ]
        --------1-2-3-4---|    f(2) was done before f(1), and waited for it

    Parameters
    ----------
    function
        An ``async def`` of one argument, the item.
    in_flight
        Largest number of items whose results have not been emitted.
    loop
        A running event loop, in another thread than the source's. Default: a loop for each
        subscription, which ends with it.

    Returns
    -------
    operator
        Results, one at a time, on a thread of the subscription's own, not the loop's. While
        ``in_flight`` items are under way the source waits in its own thread: behind a device, the
        window is the queue, and ``on_lag`` decides. An exception is emitted after the results
        before it, with a note that names the function and the chunk, and ends the stream. The end
        comes after all results, and the source waits for it. Disposing cancels running calls.

    Raises
    ------
    ParameterError
        If ``function`` is no coroutine function, ``in_flight`` is less than 1, or ``loop`` is no
        loop; downstream, if ``loop`` does not run, or the items come on its own thread.

    See Also
    --------
    map_parallel : for plain functions.

    Examples
    --------
    >>> import asyncio, reactivex as rx
    >>> async def ask(number):
    ...     await asyncio.sleep(0)
    ...     return number * number
    >>> rx.of(1, 2, 3).pipe(map_async(ask)).subscribe(print).dispose()
    1
    4
    9
    """
    if not is_async(function):
        msg = (
            f"map_async needs a coroutine function (async def), not {shown(function, 80)}; "
            "for a plain one use map_parallel"
        )
        raise ParameterError(msg)
    if loop is not None and not isinstance(loop, asyncio.AbstractEventLoop):
        msg = f"map_async: loop must be an event loop, not {shown(loop, 80)}"
        raise ParameterError(msg)
    return run_in_order(
        "map_async", function, in_flight, lambda stage: _LoopCalls(function, loop, stage)
    )
