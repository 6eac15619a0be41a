"""Pull instead of push: readers of streams, and what they share with those of windows."""

import asyncio
import threading
import weakref
from abc import abstractmethod
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator
from typing import Any, Generic, Self, TypeVar

from reactivex import Observable, abc

from rxstream.data.chunk import Chunk
from rxstream.data.clip import Clip
from rxstream.data.clock import Duration, now_ns, to_span
from rxstream.data.concat import concat
from rxstream.errors import ParameterError, SubscriberError
from rxstream.printable import error_repr, shown
from rxstream.steps.observers import Unsubscribed
from rxstream.validation import is_whole

__all__ = ["BaseReader", "LoopWakeup", "StreamReader", "iterate_stream", "release_own_readers"]

T = TypeVar("T")

# Bytes that may wait for whoever pulls when one more item comes: of large ones, frames, one waits.
_MAX_BYTES = 1 << 20

# Longest wait for a source that emits while it is subscribed to, and is silent [s].
_MAX_WAIT = 1.0


class BaseReader(Generic[T]):
    """Takes items when asked. Iterating gives them as they come. A context manager."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._held: list[T] = []
        self._closed = False

    @abstractmethod
    def _take(self, timeout: float | None) -> list[T] | None:
        """Return what has come, waiting up to ``timeout`` [s] for it; None at the end.

        Raises
        ------
        TimeoutError
            If nothing came in time.
        """

    def read(self, n: int | None = None, timeout: Duration | None = None) -> "Chunk | None":
        """Return the next ``n`` samples as one chunk, waiting for them.

        Parameters
        ----------
        n
            Number of samples; None for what has come since the last read, at least one chunk.
        timeout
            Longest wait [s]; None for ever.

        Returns
        -------
        chunk
            Fewer samples, or None, only at the end of the stream.

        Raises
        ------
        TimeoutError
            If they did not come in time; what came is kept for the next read.
        ParameterError
            If ``n`` is not a whole number of samples, or the items are not chunks.
        """
        if n is not None and not is_whole(n, 1):
            msg = f"read: n must be a whole number of samples >= 1, not {shown(n)}"
            raise ParameterError(msg)
        deadline = None
        if timeout is not None:
            deadline = now_ns() + to_span(timeout, "timeout", zero=True)
        held: list[Any] = self._held
        count = sum(map(len, held))
        while not held or count < (n or 0):
            wait = None if deadline is None else max(0.0, (deadline - now_ns()) / 1e9)
            found: list[Any] | None = None if self._closed else self._take(wait)
            if found is None:
                break
            held += found
            count += sum(map(_length, found))
        if not held:
            return None
        joined = concat(held)
        held.clear()
        if n is not None and len(joined) > n:
            held.append(joined[n:])
            joined = joined[:n]
        return joined

    def close(self) -> None:
        """Stop reading; what waits is dropped."""
        self._closed = True
        self._held.clear()

    def __iter__(self) -> Iterator[T]:
        while True:
            while self._held:
                yield self._held.pop(0)
            found = None if self._closed else self._take(None)
            if found is None:
                return
            self._held += found

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        self.close()

    def __repr__(self) -> str:
        state = "closed" if self._closed else "open"
        return f"<Reader of {self._name}: {state}>"


def _length(item: object) -> int:
    if isinstance(item, Chunk):
        return len(item)
    msg = f"read joins chunks, and the stream gives {type(item).__name__}: iterate over it instead"
    raise ParameterError(msg)


def _size_of(item: object) -> int:
    """Return the bytes of a chunk or an array, and of several; 0 of what does not say."""
    if isinstance(item, Clip):
        return sum(map(_size_of, (*item.events, *item.streams.values())))
    parts = item if isinstance(item, tuple | list) else getattr(item, "chunks", None)
    if isinstance(parts, tuple | list):
        return sum(map(_size_of, parts))
    size = getattr(item, "nbytes", 0)
    return size if isinstance(size, int) else 0


class _HandOver(Generic[T]):
    """A bounded queue between the threads of a stream and who pulls.

    Whoever puts waits while it is full, of items or of bytes: so a device's cursor lags by its
    policy, and nothing grows.
    """

    def __init__(self, source: Observable[T], size: int, wake: Callable[[], None]) -> None:
        # Whoever pulls in this thread cannot wait for itself when it puts too.
        self._puller = threading.get_ident()
        self._items: deque[T] = deque()
        self._size, self._wake = size, wake
        self._moved = threading.Condition()  # guards what follows
        self._bytes = 0
        self._over = self._closed = self._unbounded = False
        self._error: BaseException | None = None
        self._subscription: abc.DisposableBase | None = None
        self._begun = threading.Event()  # it is subscribed, or gives already
        self._thread = threading.Thread(
            target=self._run, args=(source,), name="rxstream-hand-over", daemon=True
        )
        _remember(self)
        self._thread.start()

    def stop_waiting(self) -> None:
        """Let whoever puts go on, however much waits here already."""
        with self._moved:
            self._unbounded = True
            self._moved.notify_all()

    def is_pulled_here(self) -> bool:
        """Whether the calling thread is the one that pulls."""
        return threading.get_ident() == self._puller

    def wait_subscribed(self) -> None:
        """Wait until it is subscribed, or the source emits; for a silent source a second."""
        self._begun.wait(_MAX_WAIT)

    def _run(self, source: Observable[T]) -> None:
        # A cold source gives everything while it is subscribed to, so that needs a thread.
        try:
            subscription = source.subscribe(self._put, self._end, self._end)
        except Unsubscribed:
            return
        except BaseException as error:  # noqa: BLE001 - it goes to who pulls, SystemExit too
            self._end(error)
            return
        finally:
            self._begun.set()
        with self._moved:
            self._subscription, closed = subscription, self._closed
        if closed:
            subscription.dispose()

    def _put(self, item: T) -> None:
        with self._moved:
            self._begun.set()
            own = self.is_pulled_here()
            while self._is_full() and not (self._closed or self._unbounded or own):
                self._moved.wait()
            if self._closed:
                if threading.current_thread() is self._thread:
                    raise Unsubscribed
                return
            self._items.append(item)
            self._bytes += _size_of(item)
            self._moved.notify_all()
        self._wake()

    def _is_full(self) -> bool:
        return len(self._items) >= self._size or self._bytes > _MAX_BYTES

    def _end(self, error: BaseException | None = None) -> None:
        with self._moved:
            self._over, self._error = True, error
            self._begun.set()
            self._moved.notify_all()
        self._wake()

    def take(self, timeout: float | None) -> list[T] | None:
        """Return what has come after up to ``timeout`` [s]: nothing in time, or None at the end."""
        with self._moved:
            self._moved.wait_for(lambda: self._items or self._over or self._closed, timeout)
            found = list(self._items)
            self._items.clear()
            self._bytes = 0
            self._moved.notify_all()
            if not found and (self._over or self._closed):
                if self._error is not None and not self._closed:
                    raise _to_raise(self._error)
                return None
            return found

    def close(self, *, join: bool = True) -> None:
        """End the subscription, and whoever waits to put; with ``join`` wait for the thread."""
        with self._moved:
            self._closed = True
            self._items.clear()
            subscription = self._subscription
            self._moved.notify_all()
        if subscription is not None:
            subscription.dispose()
        if join and threading.current_thread() is not self._thread:
            self._thread.join(1.0)


class _Pulled(threading.local):
    """The hand-overs that this thread pulls from, by their identity."""

    def __init__(self) -> None:
        self.refs: dict[int, weakref.ref[_HandOver[Any]]] = {}


_pulled = _Pulled()


def _remember(hand_over: _HandOver[Any]) -> None:
    refs, key = _pulled.refs, id(hand_over)
    refs[key] = weakref.ref(hand_over, lambda _: refs.pop(key, None))


def release_own_readers() -> None:
    """Let sources go on that wait for the calling thread to pull, as it is about to wait for them.

    So a device can be closed inside a loop over a pipeline behind it: what is left of its window
    waits for the loop then.
    """
    for ref in list(_pulled.refs.values()):
        hand_over = ref()
        if hand_over is not None:
            hand_over.stop_waiting()


def _to_raise(error: BaseException) -> BaseException:
    """Return the error of a stream as whoever pulls is to get it.

    A cancelled task or a closed generator is that of a step, and would pass here for one's own.
    """
    if isinstance(error, asyncio.CancelledError | GeneratorExit):
        raised = SubscriberError(f"the stream was ended by {error_repr(error)}")
        raised.__cause__ = error
        return raised
    return error


class StreamReader(BaseReader[T]):
    """A reader of a stream without a window; up to ``size`` items wait for it."""

    def __init__(
        self,
        source: Observable[T],
        size: int,
        name: str,
        wake: Callable[[], None] | None = None,
    ) -> None:
        if not is_whole(size, 1):
            msg = f"reader: size must be a whole number of items >= 1, not {shown(size)}"
            raise ParameterError(msg)
        super().__init__(name)
        self._hand_over = _HandOver(source, size, wake or _nothing)
        # One that is dropped without being closed ends its subscription all the same.
        weakref.finalize(self, self._hand_over.close, join=False).atexit = False
        if wake is None:
            self._hand_over.wait_subscribed()

    def poll(self) -> list[T] | None:
        """Return what has come, without waiting for it; None at the end of the stream."""
        return self._hand_over.take(0)

    def _take(self, timeout: float | None) -> list[T] | None:
        found = self._hand_over.take(timeout)
        if found is not None and not found:
            msg = f"{self._name}: nothing came in time"
            raise TimeoutError(msg)
        return found

    def close(self) -> None:
        """Stop reading; what waits is dropped, and the subscription ends."""
        super().close()
        self._hand_over.close()

    def leave(self) -> None:
        """Close without waiting for a thread that still subscribes."""
        super().close()
        self._hand_over.close(join=False)


class LoopWakeup:
    """Wakes an iteration in the running event loop; once that is closed, ends it from outside.

    It holds the iteration only while that waits. When it has been woken its loop does, and one that
    is closed drops it with everything else.
    """

    __slots__ = ("_armed", "_leave", "_loop")

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._armed: asyncio.Event | None = None
        self._leave: Callable[[], Callable[[], None] | None] = _nothing

    def end_by(self, leave: Callable[[], None]) -> None:
        """Say which method ends the iteration."""
        self._leave = weakref.WeakMethod(leave)

    def arm(self, event: asyncio.Event) -> None:
        """Set an event of the iteration at the next call; before it looks at what has come."""
        self._armed = event

    def __call__(self) -> None:
        """Wake the iteration, from any thread."""
        event, self._armed = self._armed, None
        if event is None:
            return
        try:
            self._loop.call_soon_threadsafe(event.set)
        except RuntimeError:  # the loop is closed
            leave = self._leave()
            if leave is not None:
                leave()


async def iterate_stream(source: Observable[T], size: int) -> AsyncIterator[T]:
    """Yield items as they come, without holding the event loop; up to ``size`` items wait."""
    wakeup, event = LoopWakeup(), asyncio.Event()
    # a reader, since that is forgotten also where a closed loop never ends this iteration
    reader = StreamReader(source, size, "async for", wakeup)
    wakeup.end_by(reader.leave)
    try:
        while True:
            wakeup.arm(event)
            found = reader.poll()
            if found is None:
                return
            for item in found:
                yield item
            if not found:
                await event.wait()
                event.clear()
    finally:
        reader.leave()


def _nothing() -> None:
    """Stand in for a wake-up where whoever pulls waits by itself."""
