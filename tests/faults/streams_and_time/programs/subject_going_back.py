"""A chunk whose time goes back is taken by TimeWindowSubject; looking back is wrong from then on.

It comes from a clock reset of a sender, a repeated file, a message delivered late. Right: it is
refused (ChunkError), or begins a new piece of history with a gap of reason "overlap".
"""

import numpy as np
from fault_programs import expect

from rxstream import Chunk, StreamInfo, TimeWindowSubject
from rxstream.errors import ChunkError

MS = 1_000_000
info = StreamInfo("ramp", 1000.0, (), np.int64)
subject = TimeWindowSubject(60.0, clock=lambda: 0)


def ramp(first, n):
    return Chunk.regular(np.arange(first, first + n), info, start=first * MS, index=first)


def ask(look):
    try:
        return look().data.tolist()
    except Exception as error:
        return repr(error)


try:
    for chunk in (ramp(100, 10), ramp(0, 10), ramp(110, 50)):
        subject.on_next(chunk)
except ChunkError as error:
    expect(True, f"refused: {error}")
seen = {
    "at 105 ms": (ask(lambda: subject.at(105 * MS)), [105]),
    "last 20 ms": (ask(lambda: subject.last(0.02)), [*range(140, 160)]),
    "100 to 110 ms": (ask(lambda: subject.between(100 * MS, 110 * MS)), [*range(100, 110)]),
}
expect(all(found == right for found, right in seen.values()), seen)
