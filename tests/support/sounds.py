"""Sound that knows its number: live servers on 127.0.0.1 that send it, a web radio of ffmpeg."""

import socket
import struct
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from rtsp import asked_to_play, interleaved
from videos import FfmpegServer, Server

from rxstream.data.clock import now_ns

__all__ = ["RATE", "FfmpegRadio", "RampRadio", "RampRtsp", "numbers_of", "ramp"]

RATE = 8000
"""Of the servers that count [Hz]."""

# samples in a packet
_PACKET = 160
_LONG_HEADER = struct.pack(
    "<4sI4s4sIHHIIHH4sI", b"RIFF", 0xFFFFFFFF, b"WAVE", b"fmt ", 16, 1, 1, RATE, 2 * RATE, 2, 16,
    b"data", 0xFFFFFFFF,
)  # fmt: skip


def ramp(first: int, count: int) -> NDArray[np.int16]:
    """Return samples ``(count,)`` that are their numbers, modulo 2 ** 16."""
    return np.arange(first, first + count).astype(np.uint16).view(np.int16)


def numbers_of(data: NDArray[Any], first: int) -> NDArray[np.int64]:
    """Return the numbers of samples ``(n, 1)``, if they are about those from ``first`` on."""
    near = np.arange(first, first + len(data))
    low = data[:, 0].view(np.uint16).astype(np.int64)
    return near + (low - near + 32768) % 65536 - 32768


class RampRadio(Server):
    """A web radio without an end: WAV over HTTP, of which it sends some seconds at once.

    Attributes
    ----------
    zero
        Host time at which sample 0 was taken [ns]; each is sent then, or later in the burst.
    """

    def __init__(self, burst: float = 1.0) -> None:
        super().__init__()
        self._burst = round(burst * RATE)
        # it has been on for that long
        self.zero = now_ns() - round(burst * 1e9)
        self.url = f"http://127.0.0.1:{self.port}/live.wav"

    def serve(self, connection: socket.socket) -> None:
        connection.recv(1 << 16)
        connection.sendall(b"HTTP/1.0 200 OK\r\nContent-Type: audio/wav\r\n\r\n" + _LONG_HEADER)
        self.send(connection, lambda data, _: data.astype("<i2").tobytes())

    def send(
        self, connection: socket.socket, packed: Callable[[NDArray[np.int16], int], bytes]
    ) -> None:
        """Send packets as they are due, as ``packed(data, number)`` has them."""
        number = max(0, round((now_ns() - self.zero) * RATE / 1e9) - self._burst)
        while not self.gone:
            due = self.zero + round((number + _PACKET) * 1e9 / RATE)
            self.stopping.wait(max(0, due - now_ns()) / 1e9)
            if data := packed(ramp(number, _PACKET), number):
                connection.sendall(data)
            number += _PACKET

    def unplug(self) -> None:
        """Cut the connections, and refuse others until `replug`."""
        self.unplugged.set()

    def replug(self) -> None:
        """Take connections again."""
        self.unplugged.clear()


class RampRtsp(RampRadio):
    """A server that speaks RTSP, for linear 16 bit sound in RTP over the same connection.

    Attributes
    ----------
    left_out
        Numbers of the first sample of the packets that get lost.
    """

    def __init__(self, left_out: tuple[int, ...] = ()) -> None:
        super().__init__(burst=0.0)
        self.left_out = left_out
        self.url = f"rtsp://user:secret@127.0.0.1:{self.port}/door"

    def serve(self, connection: socket.socket) -> None:
        media = f"m=audio 0 RTP/AVP 96\r\na=rtpmap:96 L16/{RATE}/1\r\n"
        if asked_to_play(connection, media):
            self.send(connection, self._packet)

    def _packet(self, data: NDArray[np.int16], number: int) -> bytes:
        if any(number <= lost < number + _PACKET for lost in self.left_out):
            return b""
        header = struct.pack(">BBHII", 0x80, 96, number // _PACKET & 0xFFFF, number, 5)
        return interleaved(header + data.astype(">i2").tobytes())


class FfmpegRadio(FfmpegServer):
    """A web radio: a tone that ffmpeg makes in real time, as MP3 over HTTP."""

    def __init__(self) -> None:
        tone = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=44100"]
        coded = ["-c:a", "libmp3lame", "-flush_packets", "1", "-f", "mp3"]
        super().__init__([*tone, *coded], b"HTTP/1.0 200 OK\r\nContent-Type: audio/mpeg\r\n\r\n")
        self.url = f"http://127.0.0.1:{self.port}/live.mp3"
