"""`max_bytes` does not count the stamps of irregular samples, nor the evidence kept beside them.

Right: memory is bounded in bytes.
"""

import gc

import numpy as np
from fault_programs import Passive, expect, resident

from rxstream import Device, Reading, StreamInfo

LIMIT, N = 4 << 20, 10_000
source = Passive(StreamInfo("x", None, dtype=np.uint8, device_clock="host"))
device = Device(source, history=1e6, max_bytes=LIMIT).open()
start = 1_700_000_000_000_000_000
grown = []
gc.collect()
before = resident()
for k in range(800):
    stamps = np.arange(start + k * N, start + (k + 1) * N)
    source.emit(Reading(np.zeros(N, np.uint8), device_time=stamps))
gc.collect()
grown = resident() - before
expect(grown < 5 * LIMIT, f"max_bytes {LIMIT >> 20} MiB; memory grew by {grown >> 20} MiB")
