"""`retry()` and `repeat()` on a device that is over: thousands of threads a second.

Each new subscription gets the same end at once and is made again. Right: it waits for the next
session, or is told to use `reconnect`; in no case a silent spin.
"""

import logging
import threading

import numpy as np
from fault_programs import Scripted, expect, pause
from reactivex import operators as rxo

from rxstream import Device, StreamInfo
from rxstream.errors import DeviceLostError, EndOfStream

logging.disable(logging.CRITICAL)
INFO = StreamInfo("short", 1000.0, (), np.int64)
seen = {}
for name, operator, end in (
    ("retry", rxo.retry(), DeviceLostError("gone")),
    ("repeat", rxo.repeat(), EndOfStream()),
):
    count = [0]
    device = Device(Scripted(INFO, [np.arange(10)], end, period=0.05))
    attach = device.attach

    def counted(*arguments, attach=attach, count=count, **options):
        count[0] += 1
        return attach(*arguments, **options)

    device.attach = counted
    device.open()
    stream = device.pipe(operator)
    threading.Thread(
        target=lambda s=stream: s.subscribe(lambda _: None, lambda _: None), daemon=True
    ).start()
    pause(0.7)
    seen[name] = count[0]
    device.close(0)
expect(max(seen.values()) < 20, f"subscriptions in 0.7 s: {seen}")
