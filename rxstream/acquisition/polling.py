"""`poll`: a source's ``open`` made of a driver's blocking ``read``; one thread, no sleeps."""

import threading
from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.data.stream_info import Reading
from rxstream.errors import DeviceLostError, ParameterError

__all__ = ["poll"]


def poll(
    read: Callable[[], "Reading | NDArray[Any] | None"],
    emit: Emit,
    fail: Fail,
    *,
    name: str,
    release: Callable[[], object] | None = None,
) -> Close:
    """Call ``read`` in a thread of its own until it raises or the source is closed.

    Parameters
    ----------
    read
        Function that blocks until there is something, and returns a `Reading`, an array, or None
        if nothing came within its own timeout. That timeout, 0.1 s or less, is how long closing
        may take. It raises `EndOfStream` at the end of a file, any other error when the device is
        gone.
    emit, fail
        Arguments of ``Source.open``.
    name
        Name of the stream; the thread is called ``rxstream-<name>``.
    release
        Function that frees the hardware; called once, after the last ``read``, by the thread
        itself.

    Returns
    -------
    close
        Function that stops the thread and waits for its end; may be called twice, and from
        ``read``.

    Examples
    --------
    >>> from rxstream.errors import EndOfStream
    >>> values, done = iter([1, 2]), threading.Event()
    >>> def read():
    ...     try:
    ...         return next(values)
    ...     except StopIteration:
    ...         raise EndOfStream from None
    >>> close = poll(read, print, lambda error: done.set(), name="two")
    1
    2
    >>> done.wait(1)
    True
    >>> close()
    """
    if not name:
        msg = "poll needs a name for its thread"
        raise ParameterError(msg)
    stop = threading.Event()

    def run() -> None:
        try:
            while not stop.is_set():
                reading = read()
                if reading is not None and not stop.is_set():
                    emit(reading)
        except BaseException as error:  # noqa: BLE001 - whatever a driver raises is reported
            if not stop.is_set():
                fail(error if isinstance(error, Exception) else _lost(name, error))
        finally:
            if release is not None:
                release()

    thread = threading.Thread(target=run, name=f"rxstream-{name}", daemon=True)

    def close() -> None:
        stop.set()
        if thread is not threading.current_thread():
            thread.join()

    thread.start()
    return close


def _lost(name: str, error: BaseException) -> DeviceLostError:
    """Return an exception that is no `Exception`, e.g. asyncio's `CancelledError`, as an error."""
    lost = DeviceLostError(f"{name}: {type(error).__name__}: {error}")
    lost.__cause__ = error
    return lost
