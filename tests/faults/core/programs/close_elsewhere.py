"""A callback closes the device; the `with` block of the main program does not wait for that.

Right: `close()`, also that of `with` and at exit, waits until a close under way is done: after
the block every file is whole.
"""

import tempfile
import threading
from pathlib import Path

from fault_programs import Numbered, expect, pause

from rxstream import Device
from rxstream.sinks import csv

device, stopped = Device(Numbered(period=0.002)), threading.Event()
path = Path(tempfile.mkdtemp()) / "a.csv"
sink = csv(path)


def slow(chunk):
    pause(0.02)  # a sink that is a little late
    sink.on_next(chunk)


def stop(chunk):
    if chunk.index > 300:
        stopped.set()
        device.close()


device.subscribe(slow, sink.on_error, sink.on_completed)
device.subscribe(stop)
with device:
    stopped.wait(10)
expect(sink.closed, f"state {device.state}, file closed: {sink.closed}")
