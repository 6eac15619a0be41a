"""At exit, a driver that raises while it is closed keeps other devices from being closed.

Right: every other device is closed, and its file is whole.
"""

import atexit
import subprocess
import sys
import tempfile
from pathlib import Path

sinks = []
# before rxstream registers its own: what is registered first runs last
atexit.register(lambda: print("closed", sum(sink.closed for sink in sinks), flush=True))

from fault_programs import Numbered, expect, pause  # noqa: E402

from rxstream import Device  # noqa: E402
from rxstream.sinks import csv  # noqa: E402

GOOD, BAD = 6, 12  # the order in which they are closed is that of a set


class CannotClose(Numbered):
    def open(self, emit, fail):
        close = super().open(emit, fail)

        def bad():
            close()
            msg = "driver: cannot close"
            raise RuntimeError(msg)

        return bad


def child(folder):
    devices = [Device(Numbered(f"good {k}")) for k in range(GOOD)]
    for k, device in enumerate(devices):
        sinks.append(csv(folder / f"{k}.csv"))
        device.subscribe(sinks[-1])
    devices += [Device(CannotClose(f"bad {k}")) for k in range(BAD)]
    for device in devices:
        device.open()
    pause(0.3)
    return devices


if len(sys.argv) > 1:
    kept = child(Path(sys.argv[1]))
else:
    command = [sys.executable, __file__, tempfile.mkdtemp()]
    out = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    assert "closed" in out, out
    expect(f"closed {GOOD}" in out, f"of {GOOD} files: {out}")
