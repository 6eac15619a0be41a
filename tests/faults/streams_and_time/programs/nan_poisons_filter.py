"""One NaN in a live stream: every later sample of `filter_band` and what is behind it is NaN.

A recursive filter keeps what it has seen. NaN comes from sensors, from `map_data`, and from
`fill_gaps(np.nan)`. Right: it begins anew, as after a gap; or an error at the first NaN.
"""

import numpy as np
import reactivex as rx
from fault_programs import expect

from rxstream import Chunk, Gap, StreamInfo
from rxstream import operators as ops

info = StreamInfo("x", 1000.0, (), np.float64)
rng = np.random.default_rng(0)
signal = rng.standard_normal(20_000)
signal[5_000] = np.nan
whole = Chunk.regular(signal, info, start=0)
first = Chunk.regular(rng.standard_normal(5_000), info, start=0)
gap = Gap(5_000_000_000, 5_010_000_000, 10, "dropped")
second = Chunk.regular(rng.standard_normal(14_990), info, start=5_010_000_000, index=5_010, gap=gap)
seen = {}
for name, chunks, operators in (
    ("a NaN, filter_band", [whole], [ops.filter_band(10, 200)]),
    ("a NaN, filter_band, rms", [whole], [ops.filter_band(10, 200), ops.rms(0.1)]),
    ("fill_gaps(nan)", [first, second], [ops.fill_gaps(np.nan), ops.filter_band(10, 200)]),
):
    out, errors = [], []
    rx.from_iterable(chunks).pipe(*operators).subscribe(out.append, errors.append)
    late = np.concatenate([c.data[c.time > 6_000_000_000].reshape(-1) for c in out if len(c)])
    share = float(np.isnan(late).mean()) if len(late) else 0.0
    seen[name] = share, bool(errors)
expect(
    all(share == 0.0 or failed for share, failed in seen.values()),
    f"share of NaN more than a second later, and whether it failed: {seen}",
)
