"""Calls of a driver that may hang, and errors that are not ours."""

import threading
import time
from collections.abc import Callable

from rxstream.errors import DeviceError, DeviceLostError, EndOfStream, ParameterError, RxStreamError
from rxstream.flag import Flag
from rxstream.printable import error_line, printable, shown

__all__ = ["DriverCall", "wrap_error", "wrap_given"]


def wrap_error(
    name: str, error: BaseException, kind: type[DeviceError] = DeviceLostError
) -> Exception:
    """Return an error of ours as it is, and any other one as a `DeviceLostError`, or of ``kind``.

    Others are what a driver raises: its own kinds, and those that are no `Exception`, e.g.
    asyncio's `CancelledError`.

    Examples
    --------
    >>> wrap_error("mic", OSError(19, "No such device"))
    DeviceLostError('mic: OSError: [Errno 19] No such device')
    """
    if isinstance(error, RxStreamError | EndOfStream):
        return error
    wrapped = kind(f"{name}: {error_line(error)}")
    wrapped.__cause__ = error
    return wrapped


def wrap_given(name: str, given: object) -> Exception:
    """Return an error of ours for what a driver has called ``fail`` with.

    A text is the message of a `DeviceLostError`; what is neither that nor an exception is a mistake
    of who wrote the source.

    Examples
    --------
    >>> wrap_given("mic", "cable out")
    DeviceLostError('mic: cable out')
    >>> wrap_given("mic", TimeoutError)
    DeviceLostError('mic: TimeoutError')
    >>> wrap_given("mic", None)
    ParameterError('mic: its driver must call fail with an exception or a text, not None')
    """
    if isinstance(given, type) and issubclass(given, BaseException):
        return DeviceLostError(f"{name}: {given.__name__}")
    if isinstance(given, BaseException):
        return wrap_error(name, given)
    if isinstance(given, str):
        return DeviceLostError(f"{name}: {printable(given)}")
    msg = f"{name}: its driver must call fail with an exception or a text, not {shown(given)}"
    return ParameterError(msg)


class DriverCall:
    """One call of a driver in a thread of its own, so that who waits for it can give it up.

    Parameters
    ----------
    name
        Name of the stream, for the thread.
    what
        What it does, for who waits: ``open``, ``close``.
    call
        Function to call.
    here
        Call it in the calling thread all the same.

    Attributes
    ----------
    what
        As given.
    since
        When it began [s], of `time.monotonic`.
    error
        What it raised, once it is done.
    harmless
        Whether the driver has been opened while it was hanging.
    """

    def __init__(
        self, name: str, what: str, call: Callable[[], object], *, here: bool = False
    ) -> None:
        self.what, self.since = what, time.monotonic()
        self.error: BaseException | None = None
        self.harmless = False
        self._call = call
        self._done = Flag()
        if here:
            self._run()
            return
        thread = threading.Thread(target=self._run, name=f"rxstream-{name}-driver", daemon=True)
        try:
            thread.start()
        except RuntimeError:
            # the system has no more threads, or the program is at its end
            self._run()

    def _run(self) -> None:
        try:
            self._call()
        except BaseException as error:  # noqa: BLE001 - it goes to who waits
            self.error = error
        finally:
            self._done.set()

    @property
    def done(self) -> bool:
        """Whether it has returned or raised."""
        return self._done.is_set()

    def wait(self, timeout: float) -> bool:
        """Wait until it is done, up to ``timeout`` [s]; return whether it is."""
        return self._done.wait(max(0.0, timeout))
