"""A TimeWindowSubject that is dropped keeps its window and a thread for ever, if it was subscribed.

As in a notebook whose cell is run again and again. Right: what nobody holds is freed, as with
RxPY's ReplaySubject.
"""

import gc
import threading
import weakref

import numpy as np
from fault_programs import eventually, expect

from rxstream import Chunk, StreamInfo, TimeWindowSubject

info = StreamInfo("x", 1000.0, (1000,), np.float64)


def cell():
    subject = TimeWindowSubject(0.2)
    subject.subscribe(lambda _: None)
    data = np.zeros((10, 1000))
    subject.on_next(Chunk.regular(data, info, start=0))
    return weakref.ref(data)


before = threading.active_count()
kept = [cell() for _ in range(10)]


def freed():
    gc.collect()
    return not any(ref() is not None for ref in kept) and threading.active_count() == before


right = eventually(freed, 1.0)
held = sum(ref() is not None for ref in kept)
expect(right, f"{held} of 10 windows held, {threading.active_count() - before} threads more")
