"""CAN buses without hardware: an slcan adapter behind a pty, a socketcand server, a namespace."""

import contextlib
import os
import select
import socket
import subprocess
import threading
import time
from collections.abc import Callable
from pathlib import Path

from counterparts import Plugged
from ptys import pty_pair

__all__ = ["SlcanAdapter", "SocketCanServer", "in_a_network_of_its_own"]


class SlcanAdapter(Plugged):
    """The far end of an slcan adapter, which can be pulled out and put in again.

    Attributes
    ----------
    path
        Of the port that a program opens, the same one each time.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self.path = str(folder / "pty-b")
        self._plugged = contextlib.ExitStack()
        self._port = -1

    def plug(self) -> None:
        """Put it in."""
        ours, _ = self._plugged.enter_context(pty_pair(self._folder))
        self._port = os.open(ours, os.O_RDWR | os.O_NOCTTY | os.O_NONBLOCK)
        self._plugged.callback(os.close, self._port)

    def unplug(self) -> None:
        """Pull it out."""
        self._plugged.close()

    def send(self, text: bytes = b"t1232abcd") -> None:
        """Let it pass on a message, in slcan's own form; what it was sent before is left out."""
        self.read(0.0)
        os.write(self._port, text + b"\r")

    def read(self, timeout: float = 10.0) -> bytes:
        """Return what a program has sent to it; none if nothing comes in time."""
        ready, _, _ = select.select([self._port], [], [], timeout)
        return os.read(self._port, 1 << 16) if ready else b""


class SocketCanServer(Plugged):
    """A server that speaks socketcand's raw mode, for several clients; Debian has no socketcand.

    Attributes
    ----------
    port
        On 127.0.0.1.
    sent
        What clients have sent, as text.
    """

    def __init__(self) -> None:
        self.port = 0
        self.sent: list[str] = []
        self._clients: list[socket.socket] = []
        # A client that has been let in gets what is sent from then on.
        self._letting_in = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._listener: socket.socket | None = None

    def plug(self) -> None:
        """Start it, at the same port each time."""
        self._listener = socket.create_server(("127.0.0.1", self.port))
        self.port = self._listener.getsockname()[1]
        self._start(self._accept, self._listener)

    def unplug(self) -> None:
        """Kill it."""
        listener, self._listener = self._listener, None
        for one in [listener, *self._clients]:
            if one is not None:
                with contextlib.suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)
                one.close()
        for thread in self._threads:
            thread.join()
        self._clients, self._threads = [], []

    def send(self, text: str = "frame 123 {:.6f} 0102") -> None:
        """Pass on a message, stamped now, to all clients in raw mode."""
        message = f"< {text.format(time.time())} >".encode()
        with self._letting_in:
            clients = [*self._clients]
        for client in clients:
            with contextlib.suppress(OSError):
                client.sendall(message)

    def _start(self, run: Callable[[socket.socket], None], argument: socket.socket) -> None:
        thread = threading.Thread(target=run, args=(argument,), name="socketcand")
        self._threads.append(thread)
        thread.start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                client, _ = listener.accept()
            except OSError:
                return
            self._start(self._serve, client)

    def _serve(self, client: socket.socket) -> None:
        with client, contextlib.suppress(OSError):
            client.sendall(b"< hi >")
            while data := client.recv(4096):
                for part in data.decode().split(">")[:-1]:
                    command = part.strip("< ")
                    if command.startswith("send"):
                        self.sent.append(command)
                        continue
                    with self._letting_in:
                        client.sendall(b"< ok >")
                        if command == "rawmode":
                            self._clients.append(client)
            if client in self._clients:
                self._clients.remove(client)


def in_a_network_of_its_own(*command: str) -> subprocess.CompletedProcess[str] | None:
    """Run a command where multicast stays; None if this machine gives no such network."""
    prepare = 'ip link set lo up && ip route add 239.0.0.0/8 dev lo && exec "$@"'
    probe = ["unshare", "-rn", "sh", "-c", prepare, "sh"]
    if subprocess.run([*probe, "true"], capture_output=True, check=False).returncode:
        return None
    return subprocess.run([*probe, *command], capture_output=True, text=True, check=False)
