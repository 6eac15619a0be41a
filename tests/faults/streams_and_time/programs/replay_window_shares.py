"""RxPY's `share()` takes from a device the independence of subscribers; `replay_window` does not.

Right: beside a slow subscriber, and beside one that raises, another gets all chunks, in each
session of the device.
"""

import logging

import numpy as np
from fault_programs import Scripted, eventually, expect, pause

from rxstream import Device, StreamInfo
from rxstream import operators as ops
from rxstream.errors import EndOfStream

logging.disable(logging.CRITICAL)
INFO = StreamInfo("fifty", 1000.0, (), np.int64)


def fifty():
    chunks = [np.arange(10 * k, 10 * k + 10) for k in range(50)]
    return Device(Scripted(INFO, chunks, EndOfStream(), period=0.002))


def beside(other, limit):
    device, got = fifty(), []
    shared = device.pipe(ops.replay_window(1))
    shared.subscribe(other)
    shared.subscribe(got.append)
    with device:
        eventually(lambda: sum(map(len, got)) == 500, limit)
        return sum(map(len, got))


def raises(_chunk):
    msg = "mine"
    raise ValueError(msg)


seen = {"slow": beside(lambda _: pause(0.02), 0.7), "raises": beside(raises, 2.0)}
expect(set(seen.values()) == {500}, seen)
