"""After close, `rewind` and `reader(rewind=)` wait for ever, though the past is there.

`last`, `between` and `past` look at the session that has ended; these two look at the next, which
may never come. Right: the past that was asked for and then the end, or an error that names `past`.
"""

import threading

from fault_programs import Numbered, expect, pause

from rxstream import Device
from rxstream import operators as ops

device = Device(Numbered(count=50, period=0.001), history=60)
with device:
    pause(0.5)
assert len(device.last(60)) == 500
piped, ended, read = [], threading.Event(), []
try:
    device.pipe(ops.rewind(60)).subscribe(piped.append, on_completed=ended.set)
    thread = threading.Thread(target=lambda: read.extend(device.reader(rewind=60)), daemon=True)
    thread.start()
    thread.join(1.0)
    ended.wait(1.0)
except Exception as error:
    expect("past" in str(error), f"refused: {error}")
got = sum(map(len, piped)), sum(map(len, read))
right = got == (500, 500) and ended.is_set() and not thread.is_alive()
expect(right, f"{got} of (500, 500) samples; ended: {ended.is_set()}, {not thread.is_alive()}")
