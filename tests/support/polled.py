"""What a device goes through as its server is killed and started again."""

import contextlib
import itertools
import signal
import socket
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from typing import Any

import plc_servers
from counterparts import Plugged, free_port
from fakes import eventually

from rxstream import Backoff, Chunk, Device
from rxstream.acquisition.source import Source

__all__ = ["Outage", "ServerProcess", "freeze", "outage"]

# How long a program may take to start on a busy machine [s].
_START = 60.0


class ServerProcess(Plugged):
    """A server in a process of its own, which is killed.

    Attributes
    ----------
    back
        When it listened the last time [s of time.monotonic()].
    """

    _program = plc_servers.__file__

    def __init__(self, kind: str) -> None:
        self.kind, self.port = kind, free_port()
        self._firsts = itertools.count(0, 1_000_000)
        self.back = 0.0

    @property
    def url(self) -> str:
        return f"opc.tcp://127.0.0.1:{self.port}"

    def plug(self) -> None:
        """Start it; each counts from a million later."""
        self._process = subprocess.Popen(
            [sys.executable, self._program, self.kind, str(self.port), str(next(self._firsts))],
            stdin=subprocess.PIPE,
        )
        assert eventually(self._listens, _START), f"{self.kind} has not started"
        self.back = time.monotonic()

    def unplug(self) -> None:
        """Kill it."""
        assert self._process.stdin is not None
        self._process.kill()
        self._process.wait()
        self._process.stdin.close()

    def freeze(self) -> None:
        """Let it answer nothing; its connections stand."""
        self._process.send_signal(signal.SIGSTOP)

    def _listens(self) -> bool:
        assert self._process.poll() is None, f"{self.kind} has ended"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), 1):
            return True
        return False


@dataclass(frozen=True)
class Outage:
    """What came.

    Attributes
    ----------
    before, after
        Samples before and after the kill.
    reasons
        Of the gaps, in order, but for turns that a busy machine has left out.
    resumed
        Time from when the server listened again to the first sample [s].
    """

    before: list[Any]
    after: list[Any]
    reasons: list[str]
    resumed: float

    def check_counts(self) -> None:
        """See that no answer of a counter is missing, and that it was soon there again.

        The first answer of each opening is no sample.
        """
        assert self.before == list(range(1, len(self.before) + 1))
        assert self.after == list(range(1_000_001, 1_000_001 + len(self.after)))
        assert self.reasons == ["disconnect"]
        assert self.resumed <= 2.0


def outage(source: Source, server: ServerProcess, enough: int = 20) -> Outage:
    """Kill the server of a source after ``enough`` samples, start it, and take as many again."""
    before = threading.active_count()
    chunks: list[Chunk[Any]] = []
    arrivals: list[float] = []
    lost = threading.Event()

    def take(chunk: Chunk[Any]) -> None:
        chunks.append(chunk)
        arrivals.append(time.monotonic())

    def came() -> int:
        return sum(map(len, chunks))

    device = Device(source, reconnect=Backoff(first=0.05, most=0.5))
    device.faults.subscribe(lambda _: lost.set())
    device.subscribe(take)
    with device:
        assert eventually(lambda: came() >= enough, 30)
        server.unplug()
        assert lost.wait(30)
        assert eventually(lambda: device.state == "lost", 30)
        first = came()
        server.plug()
        assert eventually(lambda: came() >= first + enough, 30)
    gaps = [at.gap for chunk in chunks for at in chunk.gap_positions]
    samples = [sample for chunk in chunks for sample in chunk.data]
    back = next(
        at for chunk, at in zip(chunks, arrivals, strict=True) if at > server.back and len(chunk)
    )
    assert threading.active_count() <= before
    return Outage(
        samples[:first],
        samples[first:],
        [gap.reason for gap in gaps if gap.reason != "overrun"],
        back - server.back,
    )


def freeze(source: Source, server: ServerProcess) -> BaseException | None:
    """Let the server of a source answer nothing any more; return why the device has ended."""
    device = Device(source)
    with device:
        assert eventually(lambda: len(device.last(10)) > 1, 30)
        server.freeze()
        assert eventually(lambda: device.error is not None, 30)
    return device.error
