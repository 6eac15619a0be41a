"""Frames that know their number, files of them, and live servers on 127.0.0.1 to send them."""

import signal
import socket
import subprocess
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, Self

import cv2
import numpy as np
from numpy.typing import NDArray

from rxstream.data.clock import now_ns

__all__ = [
    "HEIGHT",
    "WIDTH",
    "FfmpegServer",
    "HttpFile",
    "LiveTcp",
    "MjpegHttp",
    "Server",
    "StalledTcp",
    "coded",
    "frame",
    "make_raw_mjpeg",
    "make_sequence",
    "make_video",
    "number_of",
    "numbers_of",
]

WIDTH, HEIGHT = 320, 240
_BITS = 12
_BAR = 24  # pixels
_CODECS = {".avi": "MJPG", ".mkv": "MJPG", ".mp4": "mp4v"}


def frame(number: int) -> NDArray[np.uint8]:
    """Return a frame ``(240, 320, 3)`` with its number as white bars, and red at the left."""
    data = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    data[160:220, :80] = (40, 40, 200)  # B, G, R
    for bit in range(_BITS):
        if number >> bit & 1:
            data[80:140, 16 + bit * _BAR : 16 + bit * _BAR + _BAR - 4] = 230
    return data


def number_of(data: NDArray[Any]) -> int:
    """Return the number in a frame, color or gray, however it was compressed."""
    strip = data[95:125].mean(axis=(0, 2) if data.ndim == 3 else 0)
    bars = [strip[16 + bit * _BAR + 6 : 16 + bit * _BAR + _BAR - 10] for bit in range(_BITS)]
    return sum(int(bar.mean() > 128) << bit for bit, bar in enumerate(bars))


def numbers_of(frames: Iterable[NDArray[Any]]) -> list[int]:
    """Return the numbers in some frames."""
    return [number_of(data) for data in frames]


def coded(number: int, suffix: str = ".jpg") -> bytes:
    """Return a frame as the bytes of a JPEG or PNG file."""
    good, data = cv2.imencode(suffix, frame(number))
    assert good
    return data.tobytes()


def make_video(path: Path, count: int = 60, rate: float = 30.0) -> Path:
    """Make a video file, MJPEG or MPEG-4, by its suffix."""
    code = cv2.VideoWriter.fourcc(*_CODECS[path.suffix])
    writer = cv2.VideoWriter(str(path), code, rate, (WIDTH, HEIGHT))
    for number in range(count):
        writer.write(frame(number))
    writer.release()
    return path


def make_raw_mjpeg(path: Path, count: int = 30) -> Path:
    """Make a file of JPEG images one after the other, without any container."""
    path.write_bytes(b"".join(coded(number) for number in range(count)))
    return path


def make_sequence(folder: Path, numbers: Iterable[int], pattern: str = "p_%04d.png") -> str:
    """Make image files, and return the pattern of their paths."""
    for number in numbers:
        (folder / (pattern % number)).write_bytes(coded(number, Path(pattern).suffix))
    return str(folder / pattern)


class Server:
    """One listening socket, and a thread for whoever connects."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._listener.settimeout(0.1)
        self.port: int = self._listener.getsockname()[1]
        self.stopping = threading.Event()
        self.unplugged = threading.Event()
        self.connections = 0
        self._threads: list[threading.Thread] = []

    def serve(self, connection: socket.socket) -> None:
        """Send frames until the connection breaks, or `gone`."""
        raise NotImplementedError

    @property
    def gone(self) -> bool:
        """Whether to stop sending."""
        return self.stopping.is_set() or self.unplugged.is_set()

    def __enter__(self) -> Self:
        accept = threading.Thread(target=self._accept, name="video-server")
        self._threads.append(accept)
        accept.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stopping.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()

    def _accept(self) -> None:
        while not self.stopping.is_set():
            try:
                connection, _ = self._listener.accept()
            except TimeoutError:
                continue
            if self.unplugged.is_set():
                connection.close()
                continue
            self.connections += 1
            thread = threading.Thread(target=self._serve, args=(connection,))
            self._threads.append(thread)
            thread.start()

    def _serve(self, connection: socket.socket) -> None:
        with connection, suppress(OSError):
            connection.settimeout(10.0)
            self.serve(connection)


class FfmpegServer(Server):
    """Passes on to whoever connects what ffmpeg writes to a pipe.

    The port is open before anybody can connect to it, and never somebody else's.

    Parameters
    ----------
    arguments
        Of ffmpeg, but for the pipe.
    head
        What is sent before, once the request has come; None: there is no request.
    """

    def __init__(self, arguments: list[str], head: bytes | None = None) -> None:
        super().__init__()
        self._arguments, self._head = arguments, head
        self._process: subprocess.Popen[bytes] | None = None

    def __exit__(self, *_: object) -> None:
        self.unplug()
        super().__exit__()

    def serve(self, connection: socket.socket) -> None:
        if self._head is not None:
            connection.recv(1 << 16)  # the request; whatever it asks for
            connection.sendall(self._head)
        with self._ffmpeg() as process:
            assert process.stdout is not None
            while data := process.stdout.read1(1 << 16):  # type: ignore[attr-defined]  # a BufferedReader
                connection.sendall(data)

    @contextmanager
    def _ffmpeg(self) -> Iterator[subprocess.Popen[bytes]]:
        command = ["ffmpeg", "-nostdin", "-loglevel", "error", "-re", *self._arguments, "-"]
        process = subprocess.Popen(command, stdout=subprocess.PIPE)
        self._process = process
        try:
            yield process
        finally:
            process.kill()
            process.wait()
            assert process.stdout is not None
            process.stdout.close()

    def freeze(self) -> None:
        """Stop sending, and leave the connection open."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)

    def unplug(self) -> None:
        """Kill ffmpeg, which cuts the connection, and refuse others until `replug`."""
        self.unplugged.set()
        if self._process is not None:
            self._process.kill()

    def replug(self) -> None:
        """Take connections again."""
        self.unplugged.clear()


class LiveTcp(FfmpegServer):
    """A video file played over and over by ffmpeg, in real time, as Matroska over TCP.

    The frame's number starts again with the file.
    """

    def __init__(self, path: Path) -> None:
        loop = ["-stream_loop", "-1", "-i", str(path), "-c:v", "copy"]
        # Without these, Matroska is written in clusters of several frames.
        each = ["-flush_packets", "1", "-cluster_time_limit", "1"]
        super().__init__([*loop, *each, "-f", "matroska"])
        self.url = f"tcp://127.0.0.1:{self.port}"


class MjpegHttp(Server):
    """JPEG images over HTTP (``multipart/x-mixed-replace``), as most network cameras send them.

    Attributes
    ----------
    sent
        Host time [ns] at which each frame was sent.
    """

    def __init__(self, rate: float, count: int = 1000) -> None:
        super().__init__()
        self._rate, self._count = rate, count
        self.url = f"http://127.0.0.1:{self.port}/video.mjpg"
        self.sent: list[int] = []

    def serve(self, connection: socket.socket) -> None:
        connection.recv(1 << 16)  # the request; whatever it asks for
        kind = b"Content-Type: multipart/x-mixed-replace;boundary=frame\r\n"
        connection.sendall(b"HTTP/1.0 200 OK\r\n" + kind + b"\r\n--frame\r\n")
        start = now_ns()
        for number in range(self._count):
            data = coded(number)
            due = start + round(number * 1e9 / self._rate)
            self.stopping.wait(max(0, due - now_ns()) / 1e9)
            if self.gone:
                return
            head = b"Content-Type: image/jpeg\r\nContent-Length: %d\r\n\r\n" % len(data)
            self.sent.append(now_ns())
            connection.sendall(head + data + b"\r\n--frame\r\n")


class HttpFile(Server):
    """A file over HTTP, of which only the first ``sent`` bytes come before the connection ends."""

    def __init__(self, path: Path, sent: int | None = None) -> None:
        super().__init__()
        self._data = path.read_bytes()
        self._sent = len(self._data) if sent is None else sent
        self.url = f"http://127.0.0.1:{self.port}/{path.name}"

    def serve(self, connection: socket.socket) -> None:
        connection.recv(1 << 16)
        head = b"HTTP/1.0 200 OK\r\nContent-Length: %d\r\n\r\n" % len(self._data)
        connection.sendall(head + self._data[: self._sent])


class StalledTcp(Server):
    """Sends the bytes of a file at once, and then nothing, without closing the connection."""

    def __init__(self, data: bytes) -> None:
        super().__init__()
        self._data = data
        self.url = f"tcp://127.0.0.1:{self.port}"

    def serve(self, connection: socket.socket) -> None:
        connection.sendall(self._data)
        while not self.gone:
            self.stopping.wait(0.1)
