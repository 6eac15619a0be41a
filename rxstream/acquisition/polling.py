"""`poll`: a source's ``open`` made of a driver's blocking ``read``; one thread, no sleeps."""

import threading
from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from rxstream.acquisition.driver import wrap_error
from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.data.stream_info import Reading
from rxstream.errors import DeviceError, ParameterError

__all__ = ["poll"]

# Longest wait of `close` for a `read` [s].
_TIMEOUT = 2.0


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
        ``read``. It raises `DeviceError` if ``read`` has not returned after 2 s.

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
                fail(error if isinstance(error, Exception) else wrap_error(name, error))
        finally:
            if release is not None:
                release()

    thread = threading.Thread(target=run, name=f"rxstream-{name}", daemon=True)

    def close() -> None:
        stop.set()
        if thread is threading.current_thread():
            return
        thread.join(_TIMEOUT)
        if thread.is_alive():
            msg = (
                f"{name}: read has not returned within {_TIMEOUT:g} s; it is to return None when "
                "nothing comes within 0.1 s"
            )
            raise DeviceError(msg)

    thread.start()
    return close
