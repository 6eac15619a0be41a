"""`detect_gaps` splits what it finds where the input was cut.

Right: the same gaps, reported as often, however the input is cut.
"""

import numpy as np
import reactivex as rx
from fault_programs import expect
from reactivex.scheduler import ImmediateScheduler

from rxstream import Chunk, StreamInfo, concat
from rxstream import operators as ops

info = StreamInfo("x", 10.0, (), np.float64)
whole = Chunk.regular(np.array([1.0] * 5 + [0] * 7 + [1.0] * 5), info, start=0)


def run(chunks):
    out, reports = [], []
    rx.from_iterable(chunks, scheduler=ImmediateScheduler()).pipe(
        ops.gate(0.5), ops.detect_gaps(reports.append)
    ).subscribe(out.append)
    return tuple(map(str, concat(out).gaps)), tuple(map(str, reports))


seen = {run([whole[:at], whole[at:]]) for at in range(1, 17)} | {run([whole])}
expect(len(seen) == 1, seen)
