"""Each slow subscriber holds up to 64 chunks that the window has dropped.

Right: memory is bounded by max_bytes, however many slow subscribers there are.
"""

import threading

import numpy as np
from fault_programs import Passive, expect, pause, resident

from rxstream import Device, StreamInfo

LIMIT = 20 << 20
source = Passive(StreamInfo("cam", 30.0, (480, 512), dtype=np.uint8))
device = Device(source, history=60, max_bytes=LIMIT).open()
frame, release = np.ones((1, 480, 512), np.uint8), threading.Event()
before = resident()
for k in range(600):
    source.emit(frame)
    if k % 80 == 79:
        device.rewind(5).subscribe(lambda _: release.wait(60))
        pause(0.1)
grown = resident() - before
expect(grown < 3 * LIMIT, f"max_bytes {LIMIT >> 20} MiB; memory grew by {grown >> 20} MiB")
