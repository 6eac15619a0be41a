"""Lines of text from a server on the network: a driver that blocks."""

import socket
from collections.abc import Iterator
from typing import Any

from rxstream.authoring import source


@source(dtype=lambda options: f"U{options.longest}")
def TcpLines(host: str, port: int, longest: int = 200) -> Iterator[Any]:
    """Lines of text that a TCP server sends, of so many characters at most."""
    with socket.create_connection((host, port), timeout=5) as server:
        yield
        server.settimeout(0.1)
        rest = b""
        while True:
            try:
                received = server.recv(65536)
            except TimeoutError:
                yield
                continue
            if not received:
                raise ConnectionError(f"{host}:{port} has closed the connection")
            *lines, rest = (rest + received).split(b"\n")
            yield [line.decode(errors="replace") for line in lines] or None
