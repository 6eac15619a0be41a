"""Closing the devices from a subscriber of two of them stalls for `drain` (5 s).

"Stop after the first clip" is the usual end of a script. The subscriber runs on the thread of one
device, inside the lock of the join; `close()` of the other waits for its thread, which waits for
that lock. Right: `close()` returns at once, as it does from a subscriber of one device.
"""

import threading
import time

from fault_programs import expect

from rxstream import Device
from rxstream import operators as ops
from rxstream.devices.simulated import Simulated

JOINS = {
    "merge_by_time": lambda a, b: a.pipe(ops.merge_by_time(b)),
    "align": lambda a, b: a.pipe(ops.align(b)),
    "join_windows": lambda a, b: a.pipe(ops.join_windows(b, duration=0.1)),
}


def look(join):
    a = Device(Simulated(1000.0, name="a"))
    b = Device(Simulated(1000.0, name="b", seed=2))
    took, done = [], threading.Event()

    def stop(_item):
        if not took:
            took.append(20.0)
            begin = time.monotonic()
            a.close()
            b.close()
            took[0] = time.monotonic() - begin
            done.set()

    with a, b:
        join(a, b).subscribe(stop)
        done.wait(20)
    return round(took[0], 2)


seen = {}
for name, join in JOINS.items():
    seen[name] = look(join)
    if seen[name] > 2:  # one is enough
        break
expect(max(seen.values()) < 2, f"closing took {seen} s")
