"""A sensor read in a loop that sleeps, with a stated rate: losses are invented.

What every tutorial writes: ``emit(read()); sleep(1 / rate)``. The loop's overhead makes the rate
lower than stated and lets it wander. In virtual time: a sample is taken when the loop wakes and
arrives 20 us later; nothing is lost. Right: no loss reported, and an uncertainty that covers.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from fault_programs import Scripted, expect

from rxstream import Device, Reading, StreamInfo
from rxstream.errors import EndOfStream

BASE, SECONDS = 1_700_000_000_000_000_000, 60


@dataclass
class Seen:
    lost: int
    covered: Any


def look(rate, overhead):
    rng = np.random.default_rng(1)
    steps = 1 / rate + rng.exponential(overhead, round(SECONDS * rate))
    taken = BASE + np.cumsum(np.round(steps * 1e9).astype(np.int64))
    readings = (Reading(np.array([t]), arrival=int(t) + 20_000) for t in taken)
    source = Scripted(StreamInfo("sensor", rate, (), np.int64), readings, EndOfStream())
    source.live = False
    device, chunks = Device(source, history=10**6), []
    device.subscribe(chunks.append)
    with device:
        device.wait(30)
    error = np.concatenate([chunk.time - chunk.data for chunk in chunks])
    half_width = np.concatenate([np.full(len(chunk), chunk.uncertainty) for chunk in chunks])
    return Seen(sum(c.lost for c in chunks), round(np.mean(np.abs(error) <= half_width), 2))


seen = {(rate, over): look(rate, over) for rate, over in ((100.0, 0.7e-3), (10.0, 2.5e-3))}
expect(all(s.lost == 0 and s.covered > 0.95 for s in seen.values()), seen)
