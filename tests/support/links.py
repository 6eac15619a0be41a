"""Links between two network interfaces of this computer, and what passes through them."""

import itertools
import os
import shutil
import socket
import subprocess
from typing import Self

import pytest
from fakes import eventually

__all__ = ["Link", "udp_to"]


def udp_to(port: int) -> str:
    """Return the filter for UDP to a port over IPv4, as ``tcpdump -ddd "udp dst port ..."``."""
    steps = [
        (0x28, 0, 0, 12), (0x15, 0, 8, 0x0800), (0x30, 0, 0, 23), (0x15, 0, 6, 17),
        (0x28, 0, 0, 20), (0x45, 4, 0, 0x1FFF), (0xB1, 0, 0, 14), (0x48, 0, 0, 16),
        (0x15, 0, 1, port), (0x06, 0, 0, 0x40000), (0x06, 0, 0, 0),
    ]  # fmt: skip
    return "\n".join([str(len(steps)), *[" ".join(map(str, step)) for step in steps]])


class Link:
    """Two interfaces that are connected: what one is sent comes to the other."""

    _numbers = itertools.count()

    def __enter__(self) -> Self:
        if shutil.which("ip") is None:
            pytest.skip("needs ip (apt-get install iproute2)")
        number = f"{os.getpid() % 100_000}{next(self._numbers) % 100}"
        self.name, self._far = f"rxa{number}", f"rxb{number}"
        made = self._ip("link", "add", self.name, "type", "veth", "peer", "name", self._far)
        if made:
            pytest.skip(f"no interfaces can be made here: {made}")
        self._ip("link", "set", self._far, "up")
        self.plug()
        return self

    def __exit__(self, *_: object) -> None:
        self._ip("link", "del", self.name)

    def plug(self) -> None:
        assert not self._ip("link", "set", self.name, "up")
        # what is sent before the kernel has seen that they are connected is dropped
        assert eventually(lambda: all(map(self._is_up, (self.name, self._far))))

    def unplug(self) -> None:
        assert not self._ip("link", "set", self.name, "down")

    def send(self, ethertype: int = 0x88B5, data: bytes = bytes(46)) -> None:
        """Send a packet, of a kind for experiments, from the far end."""
        with socket.socket(socket.AF_PACKET, socket.SOCK_RAW) as line:
            line.bind((self._far, 0))
            line.send(b"\xff" * 6 + bytes(6) + ethertype.to_bytes(2, "big") + data)

    @staticmethod
    def _is_up(name: str) -> bool:
        shown = subprocess.run(["ip", "link", "show", name], capture_output=True, check=True)
        return b"state UP" in shown.stdout

    @staticmethod
    def _ip(*arguments: str) -> str:
        done = subprocess.run(["ip", *arguments], capture_output=True, text=True, check=False)
        return done.stderr.strip() if done.returncode else ""
