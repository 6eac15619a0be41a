"""Servers of images, as network cameras are: one of the test's own, and ffmpeg."""

import http.server
import select
import subprocess
import time
from typing import Any

import numpy as np
import pytest
from counterparts import QuietHttpServer, Website, free_port
from fakes import eventually

__all__ = ["FfmpegServer", "ImageServer", "image", "number_of"]

SIZE = 64, 48


def image(number: int, size: tuple[int, int] = SIZE) -> bytes:
    """Return a JPEG of so many pixels, blue but for its number, from 0 to 63, in red."""
    import cv2

    frame = np.zeros((size[1], size[0], 3), np.uint8)
    frame[..., 0], frame[..., 2] = 200, 4 * number
    good, data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, 100])
    assert good
    return data.tobytes()


def number_of(frame: np.ndarray[Any, Any], red: int = 2) -> int:
    """Return the number of a frame."""
    return round(float(frame[..., red].mean()) / 4)


class ImageServer(Website):
    """A web server of images: ``/stream`` that goes on, and ``/snapshot``.

    Parameters
    ----------
    boundary
        As it is in the header; before each part is ``--frame``.
    length, stamps
        Whether parts have their length, and stamps of a clock that began 1000 s ago.
    """

    def __init__(
        self, boundary: str = "frame", *, length: bool = True, stamps: bool = False
    ) -> None:
        super().__init__()
        self.url = f"http://127.0.0.1:{self.port}"
        self.boundary, self.length, self.stamps = boundary, length, stamps
        self.sent: list[bytes] = []

    def serve(self) -> QuietHttpServer:
        server = _Server(("127.0.0.1", self.port), _Images)
        server.owner = self
        return server

    def send(self, *images: bytes) -> None:
        """Send images to who listens."""
        self.sent += images

    def part(self, data: bytes) -> bytes:
        """Return an image as a part, whose end only the next boundary shows if it has no length."""
        head = b"Content-Type: image/jpeg\r\n"
        if self.stamps:
            head += f"X-Timestamp: {time.monotonic() - 1000 + 1e6:.6f}\r\n".encode()
        if not self.length:
            return head + b"\r\n" + data + b"\r\n--frame\r\n"
        return b"--frame\r\n%sContent-Length: %d\r\n\r\n%s\r\n" % (head, len(data), data)


class _Server(QuietHttpServer):
    owner: ImageServer


class _Images(http.server.BaseHTTPRequestHandler):
    timeout = 5

    def do_GET(self) -> None:
        assert isinstance(self.server, _Server)
        owner = self.server.owner
        self.send_response(200)
        if self.path == "/snapshot":
            data = owner.sent[-1] if owner.sent else image(0)
            self.send_header("Content-Type", "image/jpeg")
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)
            return
        kind = f"multipart/x-mixed-replace; boundary={owner.boundary}"
        self.send_header("Content-Type", kind)
        self.end_headers()
        at = len(owner.sent)
        # a camera sends what it sees, and the first image shows the size
        self.wfile.write(b"--frame\r\n" * (not owner.length) + owner.part(image(0)))
        owner.listeners.append(self.connection)
        try:
            while not (owner.over.is_set() or select.select([self.connection], [], [], 0.005)[0]):
                for data in owner.sent[at:]:
                    self.wfile.write(owner.part(data))
                    at += 1
        finally:
            owner.listeners.remove(self.connection)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


class FfmpegServer:
    """ffmpeg, which sends a test image 50 times a second to the one client that it waits for."""

    def __init__(self, ffmpeg: str) -> None:
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"
        self._command = [
            ffmpeg, "-loglevel", "quiet", "-re", "-f", "lavfi", "-i",
            "testsrc=size=160x120:rate=50", "-f", "mpjpeg", "-content_type",
            "multipart/x-mixed-replace;boundary=ffmpeg", "-listen", "1", self.url,
        ]  # fmt: skip

    def plug(self) -> None:
        self._process = subprocess.Popen(self._command, stdin=subprocess.DEVNULL)

    def wait(self) -> None:
        """Wait until it listens, which it ceases to do once it has its client."""
        about = pytest.importorskip("psutil").Process(self._process.pid)
        # to connect would be to be its client
        assert eventually(lambda: any(x.status == "LISTEN" for x in about.net_connections()))

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(10)
