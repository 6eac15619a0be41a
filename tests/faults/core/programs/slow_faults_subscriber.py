"""A slow subscriber of `device.faults` holds the device's thread, and so every other subscriber.

Right: a slow subscriber harms nobody.
"""

import time

from fault_programs import Numbered, expect, pause

from rxstream import Device
from rxstream.errors import OverrunError

held = [0.0]


class Overrunning(Numbered):
    def open(self, emit, fail):
        def both(data):
            emit(data)
            begin = time.monotonic()
            fail(OverrunError("overrun"))
            held.append(time.monotonic() - begin)

        return super().open(both, fail)


device, got = Device(Overrunning()), []
device.faults.subscribe(lambda _: pause(0.3))
device.subscribe(lambda chunk: got.append(len(chunk)))
device.open()
pause(1.0)
expect(
    max(held) < 0.1,
    f"the source was held for {max(held):.2f} s; the other subscriber got {sum(got)} of 1000",
)
