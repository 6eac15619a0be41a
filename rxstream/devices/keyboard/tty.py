"""Keys of a terminal on Linux, macOS and other POSIX systems, by termios."""

import atexit
import contextlib
import errno
import os
import selectors
import sys
import termios
import threading
from collections.abc import Iterator

from rxstream.devices.keyboard.decode import Decoder
from rxstream.errors import DeviceBusyError, DeviceLostError, DeviceNotFoundError
from rxstream.printable import shown

__all__ = ["Terminal", "find_terminal", "open_terminal"]

# longest wait after Esc for the rest of an escape sequence [s]: enough for a remote line, and the
# key Esc alone is not felt to be late
_ESCAPE_TIMEOUT = 0.05
_REMEDY = (
    "run it in a terminal, name one (tty='/dev/pts/3'; the shell's command tty prints it), or use "
    "Simulated.keyboard()"
)
_guard = threading.Lock()
_open: dict[tuple[int, int], "Terminal"] = {}


class Terminal:
    r"""A terminal in non-canonical mode: it passes every key at once, until it is closed.

    Parameters
    ----------
    fd
        File descriptor of the terminal.
    owned
        Whether to close it at the end.
    signals
        Whether Ctrl-C, Ctrl-Z and Ctrl-\ send their signals.
    echo
        Whether the terminal shows the keys.
    """

    def __init__(self, fd: int, *, owned: bool, signals: bool, echo: bool) -> None:
        self._fd, self._owned = fd, owned
        self._decoder = Decoder()
        self._lock = threading.Lock()
        self._closed = False
        self._before = termios.tcgetattr(fd)
        about = os.fstat(fd)
        self._id = about.st_dev, about.st_rdev
        with _guard:
            if self._id in _open:
                msg = "keyboard: another Keyboard of this program reads this terminal; share that"
                raise DeviceBusyError(msg)
            _open[self._id] = self
        self._wake, self._bell = os.pipe()
        # macOS has no kqueue or poll for terminals
        kind = selectors.SelectSelector if sys.platform == "darwin" else selectors.DefaultSelector
        self._selector = kind()
        self._selector.register(fd, selectors.EVENT_READ)
        self._selector.register(self._wake, selectors.EVENT_READ)
        self._listen(signals=signals, echo=echo)

    def _listen(self, *, signals: bool, echo: bool) -> None:
        mode = termios.tcgetattr(self._fd)
        mode[3] &= ~(termios.ICANON | termios.IEXTEN)
        if not signals:
            mode[3] &= ~termios.ISIG
            mode[0] &= ~termios.IXON
        if not echo:
            mode[3] &= ~termios.ECHO
        mode[6] = [*mode[6]]
        mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
        termios.tcsetattr(self._fd, termios.TCSANOW, mode)

    def read(self, timeout: float) -> list[str] | None:
        """Wait for keys, up to ``timeout`` [s].

        Returns
        -------
        keys
            None after `wake`: the terminal is to be closed.

        Raises
        ------
        DeviceLostError
            If the terminal is gone.
        """
        # what is held is the key Esc, or the beginning of a sequence that comes slowly
        ready = self._ready(_ESCAPE_TIMEOUT if self._decoder.waiting else timeout)
        if self._wake in ready:
            return None
        return self._take() if ready else self._decoder.flush()

    def _ready(self, timeout: float) -> set[int]:
        return {key.fd for key, _ in self._selector.select(timeout)}

    def _take(self) -> list[str]:
        try:
            data = os.read(self._fd, 4096)
        except BlockingIOError:
            return []
        except OSError as error:
            if error.errno not in (errno.EIO, errno.EBADF, errno.ENXIO):
                raise
            data = b""
        if not data:
            msg = "keyboard: the terminal is gone"
            raise DeviceLostError(msg)
        return self._decoder.feed(data)

    def wake(self) -> None:
        """Make `read` return None, from now on."""
        with self._lock:
            if not self._closed:
                os.write(self._bell, b"x")

    def restore(self) -> None:
        """Restore the mode in which the terminal was found; it may be gone."""
        with contextlib.suppress(termios.error, OSError):
            termios.tcsetattr(self._fd, termios.TCSANOW, self._before)

    def close(self) -> None:
        """Restore the terminal and release it."""
        self.restore()
        with self._lock:
            self._closed = True
            self._selector.close()
            os.close(self._wake)
            os.close(self._bell)
            if self._owned:
                os.close(self._fd)
        with _guard:
            _open.pop(self._id, None)


@atexit.register
def _restore_all() -> None:
    """Leave no terminal without echo, whatever ended the program."""
    for terminal in list(_open.values()):
        terminal.restore()


def open_terminal(tty: str | int | None, *, signals: bool, echo: bool) -> Terminal:
    """Return the terminal ``tty``; None: the program's own.

    Raises
    ------
    DeviceNotFoundError
        If there is no such terminal.
    DeviceBusyError
        If another `Keyboard` of the program reads it, or the program is in the background.
    """
    for fd, owned in _candidates(tty):
        if os.isatty(fd):
            try:
                _check_foreground(fd)
                return Terminal(fd, owned=owned, signals=signals, echo=echo)
            except BaseException:
                if owned:
                    os.close(fd)
                raise
        if owned:
            os.close(fd)
    what = "this program has no terminal" if tty is None else f"{shown(tty)} is no terminal"
    msg = f"keyboard: {what}; {_REMEDY}"
    raise DeviceNotFoundError(msg)


def find_terminal() -> str:
    """Return the name of the program's terminal, or ''."""
    name = ""
    for fd, owned in _candidates(None):
        if os.isatty(fd):
            name = name or _name(fd)
        if owned:
            os.close(fd)
    return name


def _name(fd: int) -> str:
    try:
        return os.ttyname(fd)
    except OSError:  # its file is in no folder here, as in a container
        return "terminal"


def _check_foreground(fd: int) -> None:
    """Raise DeviceBusyError where the system would stop the program for reading its terminal."""
    try:
        front = os.tcgetpgrp(fd)
    except OSError:
        # not the controlling terminal of this program, so it cannot be stopped for it
        return
    if front != os.getpgrp():
        msg = "keyboard: the program runs in the background; bring it to the front (fg)"
        raise DeviceBusyError(msg)


def _candidates(tty: str | int | None) -> Iterator[tuple[int, bool]]:
    """Yield file descriptors that may be the terminal, and whether they are ours to close."""
    if isinstance(tty, int):
        yield tty, False
        return
    if tty is None and sys.__stdin__ is not None:
        with contextlib.suppress(OSError, ValueError):
            yield sys.__stdin__.fileno(), False
    fd = _opened(tty or "/dev/tty", quiet=tty is None)
    if fd is not None:
        yield fd, True


def _opened(path: str, *, quiet: bool) -> int | None:
    try:
        return os.open(path, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC)
    except OSError as error:
        if quiet:
            return None
        msg = f"keyboard: cannot open {path!r}: {error.strerror}; {_REMEDY}"
        raise DeviceNotFoundError(msg) from error
