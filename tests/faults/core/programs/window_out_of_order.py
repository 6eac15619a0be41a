"""`TimeWindowSubject.on_next` takes chunks whose time goes back; look-ups are then wrong.

Right: ChunkError where it is put in. Seen: `between(5, 6)` is empty though 10 samples lie there.
"""

import numpy as np
from fault_programs import expect

from rxstream import Chunk, StreamInfo, TimeWindowSubject
from rxstream.errors import ChunkError

SECOND = 10**9
info, subject = StreamInfo("x", 10.0, dtype=float), TimeWindowSubject(60)
try:
    for t in (0, 5, 2, 6):
        chunk = Chunk.regular(np.arange(10.0), info, start=t * SECOND, index=t * 10)
        subject.on_next(chunk)
except ChunkError as error:
    expect(True, f"refused: {error}")
found = [len(subject.between(t * SECOND, (t + 1) * SECOND)) for t in (5, 2)]
expect(found == [10, 10], f"{found} samples found from 5 to 6 s and from 2 to 3 s; 10 each came")
