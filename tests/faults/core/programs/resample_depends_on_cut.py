"""`resample("previous")` behind `ignore_gaps` or `gate` depends on how the input was cut.

Right: operators give the same however the input is cut.
"""

import numpy as np
import reactivex as rx
from fault_programs import expect
from reactivex.scheduler import ImmediateScheduler

from rxstream import Chunk, Gap, StreamInfo, concat
from rxstream import operators as ops

info = StreamInfo("x", 100.0, (), np.float64)
first = Chunk.regular(np.arange(50.0), info, start=0)
gap = Gap(first.end, first.end + 300_000_000, 30, "disconnect")
second = Chunk.regular(np.arange(50.0), info, start=gap.end, index=80, gap=gap)
whole = first + second


def run(chunks, *operators):
    out = []
    rx.from_iterable(chunks, scheduler=ImmediateScheduler()).pipe(*operators).subscribe(out.append)
    result = concat(out)
    return len(result), tuple(map(str, result.gaps))


def cuts():
    yield [whole]
    for at in (*range(1, 100, 7), 49, 50, 51):
        yield [whole[:at], whole[at:]]
    for at in (550_000_000, 650_000_000, 750_000_000):
        yield [whole.between(0, at), whole.between(at, whole.end)]


def gate():
    return ops.gate(lambda x: x % 50 < 40, lambda x: x % 50 >= 40)


seen = {
    make.__name__: {run(cut, make(), ops.resample(100, method="previous")) for cut in cuts()}
    for make in (ops.ignore_gaps, gate)
}
expect(all(len(results) == 1 for results in seen.values()), seen)
