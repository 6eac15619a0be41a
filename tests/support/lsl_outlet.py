"""Outlets of the Lab Streaming Layer in another process, and a network of their own for them.

liblsl listens on all addresses of the computer and asks by multicast: here there is only the
loopback, in a network namespace that a test enters and leaves.
"""

import contextlib
import ctypes
import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from counterparts import Plugged

__all__ = ["Outlet", "private_network"]

_CLONE_NEWNET = 0x40000000

_CONFIG = """
[ports]
IPv6 = disable
[multicast]
ResolveScope = machine
ListenAddress = 127.0.0.1
MachineAddresses = {127.0.0.1}
LinkAddresses = {}
SiteAddresses = {}
OrganizationAddresses = {}
GlobalAddresses = {}
[lab]
KnownPeers = {127.0.0.1}
SessionID = rxtest
[tuning]
TimeProbeInterval = 0.008
TimeProbeMaxRTT = 0.05
MulticastMinRTT = 0.03
UnicastMinRTT = 0.03
[log]
level = -3
"""


@contextlib.contextmanager
def private_network(folder: Path) -> Iterator[None]:
    """Let this thread, and what it starts, have a loopback of its own; needs root.

    liblsl reads its configuration once in a process: it stays that of the first call.
    """
    libc = ctypes.CDLL(None, use_errno=True)
    before = os.open("/proc/self/task/" + str(threading.get_native_id()) + "/ns/net", os.O_RDONLY)
    try:
        if libc.unshare(_CLONE_NEWNET):
            pytest.skip(f"no network namespace: {os.strerror(ctypes.get_errno())}")
        try:
            subprocess.run(["ip", "link", "set", "lo", "up"], check=True)
            config = folder / "lsl_api.cfg"
            config.write_text(_CONFIG)
            os.environ["LSLAPICFG"] = str(config)
            yield
        finally:
            os.environ.pop("LSLAPICFG", None)
            libc.setns(before, _CLONE_NEWNET)
    finally:
        os.close(before)


class Outlet(Plugged):
    """An outlet in a process of its own; each sample has its number in each channel.

    Parameters
    ----------
    rate
        Of the samples [Hz]; 0: texts, one for each line that `say` is given.
    name, source_id
        Of the outlet.
    """

    def __init__(
        self, rate: float = 200.0, name: str = "rx", source_id: str = "rx-1", channels: int = 2
    ) -> None:
        self._arguments = [str(rate), name, source_id, str(channels)]
        self._process: subprocess.Popen[str] | None = None

    def plug(self) -> None:
        """Start the process, and wait until the outlet is open."""
        self._process = subprocess.Popen(
            [sys.executable, __file__, *self._arguments], stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
        )  # fmt: skip
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "open\n"

    def unplug(self) -> None:
        """Kill the process, as a crash would."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate(timeout=10)
            self._process = None

    def be_found(self) -> None:
        """Start it anew where nobody finds it.

        In some runs liblsl no longer finds an outlet on this loopback that it has found before,
        in none of its waves; why is not known.
        """
        import pylsl

        if not pylsl.resolve_byprop("source_id", self._arguments[2], timeout=1.0):
            code = None if self._process is None else self._process.poll()
            print(f"outlet {self._arguments[1]} is not found; its exit code is {code}")
            self.unplug()
            self.plug()

    def say(self, text: str, stamp: float | None = None) -> None:
        """Let an outlet of texts send one, with a stamp [s]; None: that of now."""
        assert self._process is not None
        assert self._process.stdin is not None
        self._process.stdin.write(f"{text}\t{'' if stamp is None else stamp}\n")
        self._process.stdin.flush()


def _run(rate: float, name: str, source_id: str, channels: int) -> None:
    import pylsl

    kind, count = ("float32", channels) if rate else ("string", 1)
    info = pylsl.StreamInfo(name, "EEG" if rate else "Markers", count, rate, kind, source_id)
    described = info.desc().append_child("channels")
    for k in range(count):
        channel = described.append_child("channel")
        channel.append_child_value("label", f"C{k}")
        channel.append_child_value("unit", "µV")
    outlet = pylsl.StreamOutlet(info)
    print("open", flush=True)
    if not rate:
        for line in sys.stdin:
            text, _, stamp = line.rstrip("\n").partition("\t")
            outlet.push_sample([text], float(stamp) if stamp else pylsl.local_clock())
        return
    begun, number = pylsl.local_clock(), 0
    while True:
        while number < (pylsl.local_clock() - begun) * rate:
            outlet.push_sample([float(number)] * count, begun + number / rate)
            number += 1
        time.sleep(0.005)


if __name__ == "__main__":
    _run(float(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))
