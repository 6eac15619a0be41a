"""`correct_arrays(online=False)`: the slope leaves `skew_tol` by a factor of 10 to 600.

Steps of 10.725 ms with independent scatter of 0.3 ms, as in a real recording; the rate is given
exactly, skew_tol is the default, 50 ppm. Right: a line within skew_tol of the rate, or an event
that says that the stream is not of that rate.
"""

import numpy as np
from fault_programs import expect

from rxstream.timing import correct_arrays

seen = {}
for seed in range(2):
    rng = np.random.default_rng(seed)
    steps = 0.010725 + 0.0003 * rng.standard_normal(12_876)
    came = 10**12 + np.round(np.cumsum(steps) * 1e9).astype(np.int64)
    rate = 1 / steps.mean()
    found = correct_arrays(1, came, rate, online=False)
    slope = np.polyfit(np.arange(len(came)), found.last / 1e6, 1)[0] * rate / 1e3 - 1
    kinds = {event.kind for event in found.events}
    seen[seed] = round(slope * 1e6), sorted(kinds)
expect(
    all(abs(ppm) <= 100 or set(kinds) - {"gap", "latency"} for ppm, kinds in seen.values()),
    f"seed: (ppm off the stated rate, kinds of events): {seen}",
)
