"""The thread that reads a film or a sound, which its driver may hold up, and its pace."""

import threading
from abc import ABC, abstractmethod

from rxstream.acquisition.source import Close, Fail
from rxstream.data.clock import now_ns
from rxstream.errors import DeviceLostError, EndOfStream, OverrunError

__all__ = ["MediaThread"]

# longest wait of `close` for the thread [s], which may hang in the driver
_JOIN_TIMEOUT = 0.5


class MediaThread(ABC):
    """Plays one opened input until its end.

    Its driver cannot be interrupted while it waits, nor released by another thread meanwhile. If
    nothing comes, the thread ends by itself after the driver's timeout; it emits nothing more.

    Parameters
    ----------
    fail
        Takes the end, and errors.
    device, where
        Name of the device, and of what it plays, in messages.
    recorded
        Whether it is a recording, which has an end.
    remote
        Whether it comes over the network: a recording that ends early is then a lost connection.
    paced
        Whether a recording is played at its own pace.
    """

    def __init__(
        self, fail: Fail, device: str, where: str, *, recorded: bool, remote: bool, paced: bool
    ) -> None:
        self._fail, self._device, self._where = fail, device, where
        self._recorded, self._remote, self._paced = recorded, remote, paced
        self._stop = threading.Event()
        # host time minus time of what is played [ns]
        self._zero: int | None = None

    @abstractmethod
    def play(self) -> None:
        """Emit everything up to the end, or until `stopped`."""

    @abstractmethod
    def missing(self) -> str:
        """Return a sentence on what a recording lacks at its end, or ''."""

    @abstractmethod
    def release(self) -> None:
        """Free the driver."""

    @property
    def stopped(self) -> bool:
        """Whether it was closed."""
        return self._stop.is_set()

    def start(self) -> Close:
        """Start the thread; return how to close it."""
        thread = threading.Thread(target=self._run, name=f"rxstream-{self._device}", daemon=True)

        def close() -> None:
            self._stop.set()
            if thread is not threading.current_thread():
                thread.join(_JOIN_TIMEOUT)

        thread.start()
        return close

    def begin(self, time: int) -> None:
        """Let what is played at ``time`` [ns] be due now; by default what is waited for first."""
        self._zero = now_ns() - time

    def wait_until(self, time: int) -> bool:
        """Wait until what is played at ``time`` [ns] is due; return whether it was closed."""
        if not self._paced:
            return self.stopped
        if self._zero is None:
            self.begin(time)
        due = (self._zero or 0) + time
        return self._stop.wait(max(0, due - now_ns()) / 1e9)

    def _run(self) -> None:
        try:
            self.play()
            if not self.stopped:
                self._end()
        except Exception as error:  # noqa: BLE001 - drivers raise anything
            if not self.stopped:
                self._fail(error)
        finally:
            self.release()

    def _end(self) -> None:
        missing = self.missing()
        if not self._recorded or (missing and self._remote):
            msg = (
                f"{self._device}: {self._where} sends nothing more: switched off, unplugged or cut"
            )
            self._fail(DeviceLostError(msg))
            return
        if missing:
            self._fail(OverrunError(f"{self._device}: {self._where} {missing}"))
        self._fail(EndOfStream(f"{self._device}: end of {self._where}"))
