"""An instrument that answers SCPI on a socket; it can be switched off, and on again."""

import contextlib
import socket
import socketserver
import struct
import threading
from collections.abc import Callable

from counterparts import Plugged, free_port

__all__ = ["Instrument"]

Answer = str | bytes | None


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = False

    def __init__(self, port: int, answer: Callable[[str], Answer]) -> None:
        self.answer = answer
        self.lines: list[socket.socket] = []
        super().__init__(("127.0.0.1", port), _Line)


class _Line(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        self.server.lines.append(self.request)
        with contextlib.suppress(OSError):
            for line in self.rfile:
                answer = self.server.answer(line.decode().strip())
                if answer is not None:
                    self.wfile.write(answer if isinstance(answer, bytes) else answer.encode())
                    self.wfile.write(b"\n")


class Instrument(Plugged):
    """A meter: ``COUNT?`` counts up, ``TWO?`` gives two values, ``TRACE?`` a block of float32.

    What else it is asked is in ``answers``, by the question; commands are in ``commands``.
    """

    def __init__(self) -> None:
        self.port = free_port()
        self.answers: dict[str, Answer] = {"TWO?": "1.5,-2.5E0", "*IDN?": "rx,meter,1,1"}
        self.commands: list[str] = []
        self.count = self.asked = 0

    @property
    def resource(self) -> str:
        """Address of VISA."""
        return f"TCPIP::127.0.0.1::{self.port}::SOCKET"

    def plug(self) -> None:
        """Switch it on."""
        self._server = _Server(self.port, self._answer)
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def unplug(self) -> None:
        """Switch it off: its connections are cut."""
        self._server.shutdown()
        for line in self._server.lines:
            with contextlib.suppress(OSError):
                line.shutdown(socket.SHUT_RDWR)
        self._server.server_close()
        self._thread.join()

    def _answer(self, question: str) -> Answer:
        self.asked += 1
        if question == "COUNT?":
            self.count += 1
            return str(self.count - 1)
        if question == "TRACE?":
            block = struct.pack(">500f", *range(500))
            return b"#42000" + block
        if not question.endswith("?"):
            self.commands.append(question)
        return self.answers.get(question)
