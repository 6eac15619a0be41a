"""A forked child that asks an inherited open device may hang.

The lock of the window was held by the device's thread at the fork. Right: an answer or an error;
until Python 3.14 multiprocessing and ProcessPoolExecutor fork on Linux by default.
"""

import os
import select
import sys
from contextlib import suppress

from fault_programs import Numbered, expect, pause

from rxstream import Device
from rxstream.errors import DeviceError

sys.setswitchinterval(1e-5)
device = Device(Numbered(rate=48_000.0, period=0, chunk=5), history=0.5)
subscriptions = [device.subscribe(lambda _: None) for _ in range(4)]
device.open()
pause(0.3)
hangs = forks = 0
while not hangs and forks < 400:
    forks += 1
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        with suppress(DeviceError):
            device.last(0.1)
        device.stats()
        os.write(write, b"x")
        os._exit(0)
    if not select.select([read], [], [], 2.0)[0]:
        hangs += 1
        os.kill(child, 9)
    os.waitpid(child, 0)
    os.close(read)
    os.close(write)
expect(not hangs, f"{hangs} of {forks} children hang")
