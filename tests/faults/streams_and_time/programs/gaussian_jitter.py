"""Delays that are normally distributed (the jitter of pyxdf's own tests): losses are invented.

A perfect clock, one sample a chunk, independent delays of 2 ms with a standard deviation of 0.4 ms.
Right: no event, and times that scatter no more than arrival.
"""

import numpy as np
from fault_programs import expect

from rxstream.timing import correct_arrays

seen = {}
for rate in (100.0, 500.0):
    for online in (True, False):
        events, spread = 0, []
        for seed in range(2):
            rng = np.random.default_rng(seed)
            n = round(100 * rate)
            true = 10**12 + np.round(np.arange(n) / rate * 1e9).astype(np.int64)
            delay = np.round((2e-3 + 4e-4 * rng.standard_normal(n)) * 1e9).astype(np.int64)
            came = np.maximum.accumulate(true + delay)
            found = correct_arrays(1, came, rate, online=online)
            events += sum(event.kind in ("gap", "latency") for event in found.events)
            late = round(2 * rate)
            spread.append(np.ptp((found.last - true)[late:]) / np.ptp((came - true)[late:]))
        seen[rate, online] = events, round(float(max(spread)), 2)
expect(
    all(events == 0 and spread <= 1.0 for events, spread in seen.values()),
    f"(rate, online): (events, spread against that of arrival): {seen}",
)
