"""RTSP as a server speaks it, RTP in the same connection; a camera of ffmpeg that does."""

import socket
import struct
import subprocess
from contextlib import suppress
from pathlib import Path

from videos import Server

__all__ = ["RtspCamera", "asked_to_play", "interleaved"]


def asked_to_play(connection: socket.socket, media: str) -> bool:
    """Answer a client until it asks to play; False if it goes away before.

    Parameters
    ----------
    connection
        To the client.
    media
        The only track, as lines of SDP.
    """
    while request := connection.recv(1 << 16).decode():
        method = request.partition(" ")[0]
        number = request.partition("CSeq: ")[2].partition("\r")[0]
        head, body = "", ""
        if method == "OPTIONS":
            head = "Public: DESCRIBE, SETUP, PLAY\r\n"
        elif method == "DESCRIBE":
            body = (
                "v=0\r\no=- 0 0 IN IP4 127.0.0.1\r\ns=test\r\nc=IN IP4 0.0.0.0\r\nt=0 0\r\n"
                f"{media}a=control:track0\r\n"
            )
            head = f"Content-Type: application/sdp\r\nContent-Length: {len(body)}\r\n"
        elif method == "SETUP":
            head = "Transport: RTP/AVP/TCP;unicast;interleaved=0-1\r\n"
        reply = f"RTSP/1.0 200 OK\r\nCSeq: {number}\r\nSession: 1\r\n{head}\r\n{body}"
        connection.sendall(reply.encode())
        if method == "PLAY":
            return True
    return False


def interleaved(packet: bytes) -> bytes:
    """Return a packet of RTP as it comes in the connection of RTSP."""
    return b"$\0" + struct.pack(">H", len(packet)) + packet


class RtspCamera(Server):
    """An RTSP camera: a video file played by ffmpeg in real time, as H.264."""

    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path
        self.url = f"rtsp://user:secret@127.0.0.1:{self.port}/door"

    def serve(self, connection: socket.socket) -> None:
        media = (
            "m=video 0 RTP/AVP 96\r\na=rtpmap:96 H264/90000\r\na=fmtp:96 packetization-mode=1\r\n"
        )
        if not asked_to_play(connection, media):
            return
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
            line.bind(("127.0.0.1", 0))
            line.settimeout(0.1)
            line.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 20)
            command = [
                "ffmpeg", "-nostdin", "-loglevel", "error", "-re", "-i", str(self._path),
                "-c:v", "libx264", "-preset", "ultrafast", "-tune", "zerolatency", "-g", "10",
                "-f", "rtp", f"rtp://127.0.0.1:{line.getsockname()[1]}",
            ]  # fmt: skip
            # it describes the stream on stdout
            with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
                try:
                    while not self.gone:
                        with suppress(TimeoutError):
                            connection.sendall(interleaved(line.recv(1 << 16)))
                finally:
                    process.kill()

    def unplug(self) -> None:
        """Cut the connections, and refuse others until `replug`."""
        self.unplugged.set()

    def replug(self) -> None:
        """Take connections again."""
        self.unplugged.clear()
