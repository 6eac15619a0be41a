"""Pairs of pseudo-terminals: serial lines without hardware."""

import contextlib
import os
import select
import shutil
import subprocess
import threading
import tty
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import pytest
from fakes import eventually


@dataclass
class PtyLine:
    """A serial line whose far end is held by the test.

    Attributes
    ----------
    path
        To open as a serial port.
    """

    path: str
    _master: int
    _slave: int
    _closed: bool = field(default=False)

    @classmethod
    def open(cls) -> "PtyLine":
        master, slave = os.openpty()
        tty.setraw(slave)
        os.set_blocking(master, False)
        return cls(os.ttyname(slave), master, slave)

    def write(self, data: bytes, timeout: float = 20.0) -> None:
        """Send bytes to the port; waits while its buffer is full."""
        view = memoryview(data)
        while view:
            _, ready, _ = select.select([], [self._master], [], timeout)
            if not ready:
                msg = f"nobody reads {self.path}"
                raise TimeoutError(msg)
            view = view[os.write(self._master, view) :]

    def read(self, timeout: float = 0.0) -> bytes:
        """Return the bytes that were written to the port; none if none come in time."""
        ready, _, _ = select.select([self._master], [], [], timeout)
        return os.read(self._master, 65536) if ready else b""

    def unplug(self) -> None:
        """Pull the plug: reading the port fails."""
        if not self._closed:
            self._closed = True
            os.close(self._slave)
            os.close(self._master)


@contextlib.contextmanager
def pty_line() -> Iterator[PtyLine]:
    """Give a serial line; unplug it afterwards."""
    line = PtyLine.open()
    try:
        yield line
    finally:
        line.unplug()


@contextlib.contextmanager
def pty_pair(folder: Path) -> Iterator[tuple[str, str]]:
    """Give the paths of two serial ports that are connected, by socat."""
    socat = shutil.which("socat")
    if socat is None:
        pytest.skip("needs socat (apt-get install socat)")
    ends = folder / "pty-a", folder / "pty-b"
    links = [f"pty,raw,echo=0,link={end}" for end in ends]
    process = subprocess.Popen([socat, *links])
    try:
        assert eventually(lambda: all(end.exists() for end in ends)), "socat made no ports"
        yield str(ends[0]), str(ends[1])
    finally:
        process.terminate()
        process.wait(10)


@dataclass
class Drain:
    """Reads and throws away what is written to a line, so that its writer never waits."""

    line: PtyLine
    _stop: threading.Event = field(default_factory=threading.Event)

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._run, name="pty-drain")
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _run(self) -> None:
        while not self._stop.is_set():
            with contextlib.suppress(OSError):
                self.line.read(0.05)
