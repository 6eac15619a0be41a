"""Clients that post: this file is also their program, `posts.py URL NAME COUNT [headers]`."""

import contextlib
import http.client
import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

__all__ = ["half_post", "post", "posting"]


def post(url: str, body: bytes, kind: str = "application/json", **headers: str) -> tuple[int, Any]:
    """Send a body; return status and answer."""
    where = urlsplit(url)
    connection = http.client.HTTPConnection(where.hostname or "", where.port, timeout=20)
    try:
        names = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request("POST", where.path, body, {"Content-Type": kind} | names)
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read())
    finally:
        connection.close()


@contextlib.contextmanager
def half_post(url: str, head: str, body: bytes = b"") -> Iterator[socket.socket]:
    """Give a connection that has sent the head of a request, and some of its body."""
    where = urlsplit(url)
    lines = f"POST {where.path} HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n"
    with socket.create_connection((where.hostname or "", where.port or 80), 20) as connection:
        connection.sendall(lines.encode() + body)
        yield connection


def posting(url: str, name: str, count: int, *, chunked: bool = False) -> "subprocess.Popen[str]":
    """Start a client of its own process, which posts numbered rows until it has or is killed."""
    command = [sys.executable, __file__, url, name, str(count), "chunked" if chunked else ""]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True)


def _post_all(url: str, name: str, count: int) -> None:
    """Post rows one body after the other, each again until it is acknowledged; print how many."""
    done = 0
    for number in range(0, count, 5):
        rows = [{"client": name, "n": n} for n in range(number, min(number + 5, count))]
        key = f"{name}-{number}"
        while True:
            with contextlib.suppress(OSError, http.client.HTTPException):
                status, answer = post(url, json.dumps(rows).encode(), Idempotency_Key=key)
                if status == 200:
                    done += answer["samples"]
                    break
            time.sleep(0.01)
    print(done)


def _go_on(url: str, name: str, count: int) -> None:
    """Post rows in one body that goes on."""
    rows = (f'{{"client": "{name}", "n": {n}}}\n'.encode() for n in range(count))
    head = "Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\nX-Counter: 0"
    with half_post(url, head) as connection:
        for row in rows:
            connection.sendall(b"%x\r\n%s\r\n" % (len(row), row))
            time.sleep(0.001)
        connection.sendall(b"0\r\n\r\n")
        print(connection.recv(10_000).decode())


if __name__ == "__main__":
    assert Path(sys.argv[0]) == Path(__file__)
    (_go_on if sys.argv[4] else _post_all)(sys.argv[1], sys.argv[2], int(sys.argv[3]))
