"""One wrong stamp in the future (a flipped bit) moves every later sample there and empties history.

Right: times true and monotonic; a live stamp after its arrival is impossible.
"""

import numpy as np
from fault_programs import Passive, expect

from rxstream import Device, Reading, StreamInfo
from rxstream.data.clock import now_ns

DAY = 86_400 * 10**9
source = Passive(StreamInfo("x", None, dtype=float, device_clock="host"))
device = Device(source, history=60).open()
begin = now_ns() - 10**9
for k in range(100):
    wrong = DAY if k == 50 else 0
    source.emit(Reading(np.zeros(1), device_time=begin + k * 10**7 + wrong))
kept = len(device.between(0, 2**62))
off = (device.last(1).end - begin) / 1e9
expect(kept >= 99 and off < 10, f"{kept} of 100 samples kept; the last is {off:.0f} s off")
