"""`close()` while `open()` still processes what the source emitted early loses samples unreported.

Right: nothing after the cut, or a gap. Seen: a later reading after a hole, by an index that does
not count it.
"""

import threading

import numpy as np
from fault_programs import expect, pause
from reactivex.scheduler import ImmediateScheduler

from rxstream import Device, StreamInfo


class Eager:
    """Emits 0 and 1 before `open` returns, and 2 while those are processed."""

    info = StreamInfo("eager", rate=1000.0, dtype=np.int64)
    live = True

    def __init__(self):
        self.delivering, self.closing = threading.Event(), threading.Event()

    def open(self, emit, fail):
        early = threading.Event()

        def run():
            emit(np.array([0]))
            emit(np.array([1]))
            early.set()
            self.delivering.wait(5)
            emit(np.array([2]))

        thread = threading.Thread(target=run, daemon=True)
        thread.start()
        early.wait(5)

        def close():
            self.closing.set()
            thread.join()

        return close


source, got = Eager(), []
device = Device(source)


def take(chunk):
    got.append(chunk)
    if len(got) == 1:
        source.delivering.set()
        pause(0.2)  # the source's thread waits for its turn now
        threading.Thread(target=device.close, daemon=True).start()
        source.closing.wait(5)


device.subscribe(take, scheduler=ImmediateScheduler())
device.open()
device.wait(5)
values = [int(v) for chunk in got for v in chunk.data]
hole = values != list(range(len(values))) and not any(chunk.gaps for chunk in got)
expect(not hole, f"{values}, gaps {[c.gaps for c in got]}")
