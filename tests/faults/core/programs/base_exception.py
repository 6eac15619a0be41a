"""A subscriber that raises BaseException on the immediate scheduler kills the device's thread.

Others then wait for ever, and nothing is reported. Right: as with an Exception, the subscriber
alone is cut off and reported.
"""

import asyncio

from fault_programs import Numbered, eventually, expect
from reactivex.scheduler import ImmediateScheduler

from rxstream import Device

seen = {}
for kind in (ValueError, SystemExit, KeyboardInterrupt, asyncio.CancelledError, GeneratorExit):
    source = Numbered(delay=0.1)
    device = Device(source)
    faults, other = [], []
    device.faults.subscribe(faults.append)

    def bad(_chunk, kind=kind):
        raise kind("mine")

    device.subscribe(bad, scheduler=ImmediateScheduler())
    device.subscribe(lambda chunk, other=other: other.append(len(chunk)))
    device.open()
    seen[kind.__name__] = eventually(lambda o=other: sum(o) >= 100, 1.0) and len(faults) == 1
    device.close(0)
expect(all(seen.values()), f"the other subscriber went on, and a fault came: {seen}")
