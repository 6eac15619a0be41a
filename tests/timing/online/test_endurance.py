"""Many chunks: the model keeps as much, and costs as much, as after some thousand."""

import json
import pickle
import time
import tracemalloc

import numpy as np
import pytest
from campaign import at_length

from rxstream.timing.online.model import ClockModel
from rxstream.timing.settings import ClockSettings

pytestmark = pytest.mark.soak

CHUNKS = 1_000_000 if at_length() else 200_000
DECILE = CHUNKS // 10


def test_many_chunks_leave_no_more_behind_than_the_first():
    rng = np.random.default_rng(1)
    push = (model := ClockModel(ClockSettings(rate=48_000.0, quantum=480))).push
    size, cost, held, truth = [], [], [], 1_000_000_000
    for _ in range(CHUNKS // DECILE):
        delay = rng.exponential(500_000, DECILE)
        delay[rng.integers(0, DECILE, 5)] += 40e6  # stalls
        arrivals = truth + np.arange(1, DECILE + 1) * 10_000_370 + delay.astype(np.int64)
        arrivals = np.maximum.accumulate(arrivals)
        truth += DECILE * 10_000_370
        rows = arrivals.tolist()
        tracemalloc.start()
        for arrival in rows[:2000]:
            stamp = push(480, arrival)
        held.append(tracemalloc.get_traced_memory()[0])
        tracemalloc.stop()
        begin = time.perf_counter()
        for arrival in rows[2000:]:
            stamp = push(480, arrival)
        cost.append((time.perf_counter() - begin) / (DECILE - 2000) * 1e6)
        size.append(len(pickle.dumps(model)))
        assert abs(stamp.last - truth) < 50_000
    print(f"µs per chunk, first and last tenth: {cost[0]:.1f}, {cost[-1]:.1f}; state {size[-1]} B")
    assert max(size) < 1.2 * size[0]
    assert max(held[1:]) < 120_000


def test_the_state_does_not_grow(traces, follow):
    trace = traces.regular(17, seconds=300, rate=1000.0, size=1)
    early = follow(traces.cut(trace, 0, 30_000))
    late = follow(traces.cut(trace, 30_000), early.model)
    assert len(pickle.dumps(late.model)) < 30_000
    assert json.dumps(late.stamps[-1])  # plain numbers, for logs and files
