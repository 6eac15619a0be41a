"""Read a stream2py reader in a thread of its own: neither its blocking nor its pace shows."""

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from types import TracebackType
from typing import Any, Protocol, Self, TypeAlias

from rxstream.data.clock import now_ns
from rxstream.errors import DeviceError, EndOfStream

__all__ = ["Ends", "Item", "Items", "Reader"]

Ends: TypeAlias = Callable[[Any, Any], bool]
"""Takes what a reader gave, None included, and the reader; returns whether that is the end."""

Item: TypeAlias = tuple[Any, int, Any]
"""A sample, when it was read on the host clock [ns], and its time as the reader counts."""

_LAST: Item = None, 0, None

# Most items that one turn takes, and that wait for it; a reader further ahead waits itself.
_MOST, _WAITING = 1024, 4096
# Pause after a read that found nothing, where the reader does not give one, and the longest [s].
_PAUSE, _LONGEST_PAUSE = 0.01, 0.1
# Longest waits for a read under way, before its reader is closed and afterwards [s].
_BEFORE_CLOSE, _AFTER_CLOSE = 1.0, 0.5


class Reader(Protocol):
    """What stream2py calls a source: a ``SourceReader``, a ``StreamSource``, or alike."""

    @property
    def info(self) -> dict[str, Any]:
        """What it says of itself once it is open."""
        ...

    def open(self) -> Any:
        """Start the hardware."""
        ...

    def read(self) -> Any:
        """Return an item; None if there is none."""
        ...

    def key(self, data: Any) -> Any:
        """Return what items are ordered by."""
        ...

    def close(self) -> Any:
        """Stop the hardware."""
        ...


class Items:
    """The items of an open reader, and when each was read.

    A ``read`` of stream2py may block as long as it likes. So it has a thread of its own, and who
    takes the items still comes back every 0.1 s, and gets what has come meanwhile in one go.

    Parameters
    ----------
    reader
        An open reader; it is closed as the context is left.
    name
        Name of the stream.
    convert
        Function that returns a sample of an item and its reader, None for none; called by the
        thread that reads, so that it may look at the reader. None: the item is the sample.
    stamp
        Function that returns what the time of an item is; None: items have none.
    ends
        Whether an item is the end; None: only ``StopIteration`` is.

    Attributes
    ----------
    quiet
        Host time until which all items were taken [ns], when `take` has last returned none.
    """

    def __init__(
        self,
        reader: Reader,
        name: str,
        convert: Callable[[Any, Any], Any] | None,
        stamp: Callable[[Any], Any] | None,
        ends: Ends | None,
    ) -> None:
        self._reader, self._name = reader, name
        self._convert, self._stamp, self._ends = convert, stamp, ends
        self._queue = SimpleQueue[Item]()
        self._put_lock = threading.Lock()  # between an item that was read and `quiet`
        self._converting = 0  # when the item was read that is not yet in the queue; 0: none [ns]
        self._taken = threading.Event()
        self._stop, self._over = threading.Event(), threading.Event()
        self._error: BaseException = EndOfStream()
        self.quiet = now_ns()
        self._thread = threading.Thread(target=self._run, name=f"rxstream-{name}-read", daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._taken.set()
        # most drivers want to be closed between two reads
        self._thread.join(_BEFORE_CLOSE)
        self._reader.close()
        self._thread.join(_AFTER_CLOSE)
        if self._thread.is_alive():
            msg = (
                f"{self._name}: its read goes on after close; it may still hold the device: let "
                "read return None when nothing comes"
            )
            raise DeviceError(msg)

    def take(self, timeout: float) -> list[Item]:
        """Return the items that have come; none if there are none for ``timeout`` [s].

        Raises
        ------
        BaseException
            What the reader raised, after its last item; `EndOfStream` at its end.
        """
        queue, over = self._queue, self._over.is_set()
        try:
            taken = [queue.get_nowait() if over else queue.get(timeout=timeout)]
        except Empty:
            if over:
                raise self._error from None
            with self._put_lock:
                if queue.empty():
                    self.quiet = self._converting or now_ns()
            return []
        try:
            while len(taken) < _MOST:
                taken.append(queue.get_nowait())
        except Empty:
            pass
        self._taken.set()
        return [item for item in taken if item is not _LAST]

    def _run(self) -> None:
        """Read until the end."""
        try:
            self._read_all()
        except StopIteration:
            pass
        except BaseException as error:  # noqa: BLE001 - whatever a driver raises is reported
            self._error = error
        finally:
            self._over.set()
            self._queue.put(_LAST)

    def _read_all(self) -> None:
        reader, queue, lock = self._reader, self._queue, self._put_lock
        read, convert, stamp, ends = reader.read, self._convert, self._stamp, self._ends
        pause, is_stopped = _pause_of(reader), self._stop.is_set
        while not is_stopped():
            item = read()
            if ends is not None and ends(item, reader):
                return
            if item is None:
                self._stop.wait(pause)
                continue
            time = None if stamp is None else stamp(item)
            with lock:
                came = self._converting = now_ns()
                if convert is None:
                    queue.put((item, came, time))
                    self._converting = 0
            if convert is not None:
                value = convert(item, reader)
                with lock:
                    if value is not None:
                        queue.put((value, came, time))
                    self._converting = 0
            if queue.qsize() >= _WAITING:
                self._wait_taken()

    def _wait_taken(self) -> None:
        """Wait until items were taken, or nobody wants more."""
        while self._queue.qsize() >= _WAITING and not self._stop.is_set():
            self._taken.clear()
            if self._queue.qsize() >= _WAITING:
                self._taken.wait(_LONGEST_PAUSE)


def _pause_of(reader: Any) -> float:
    """Return how long to wait after a read that found nothing [s]."""
    pause = getattr(reader, "sleep_time_on_read_none_s", None)
    if not isinstance(pause, int | float) or pause <= 0:
        return _PAUSE
    return min(float(pause), _LONGEST_PAUSE)
