"""The rooms of the clock model, each for itself, against the plain definition."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxstream.data.stream_info import DeviceCounter
from rxstream.timing.extremes import floor_bias
from rxstream.timing.online.buckets import Buckets
from rxstream.timing.online.counters import DeviceTime
from rxstream.timing.online.delays import DelayHistogram
from rxstream.timing.online.envelope import LowerEnvelope
from rxstream.timing.online.losses import LossTest
from rxstream.timing.tangent import lower_hull, tangent

floats = st.floats(-100, 100, allow_nan=False)


# -- hull and tangent -----------------------------------------------------------------------------


@given(st.lists(st.tuples(floats, floats), min_size=1, max_size=30))
def test_no_point_lies_under_the_hull(points):
    points.sort()
    xs, ys = lower_hull([x for x, _ in points], [y for _, y in points])
    assert all(b > a for a, b in pairwise(xs))
    slopes = [(b - a) / (d - c) for a, b, c, d in zip(ys, ys[1:], xs, xs[1:], strict=False)]
    assert all(b >= a - 1e-9 * abs(a) for a, b in pairwise(slopes))
    for x, y in points:
        assert y >= np.interp(x, xs, ys) - 1e-7


@given(st.lists(st.tuples(st.sampled_from([0.0, 1.0, 2.0]), floats), min_size=1, max_size=9))
def test_points_that_go_back_leave_a_hull(points):
    xs, ys = lower_hull([x for x, _ in points], [y for _, y in points])
    assert all(b > a for a, b in pairwise(xs))
    assert min(ys) == min(y for _, y in points)


@given(
    st.lists(st.tuples(st.floats(0, 10), st.floats(0, 1)), min_size=1, max_size=20),
    st.floats(0.1, 1e4),
    st.floats(-0.1, 0.1),
    st.floats(1e-6, 1.0),
)
def test_the_tangent_is_the_most_plausible_line(points, weight, prior, variance):
    points.sort()
    at = (points[0][0] + points[-1][0]) / 2
    hull = lower_hull([x for x, _ in points], [y for _, y in points])

    def target(slope):
        height = min(y - slope * (x - at) for x, y in points)
        return weight * height - (slope - prior) ** 2 / (2 * variance)

    value, slope = tangent(hull, at, weight, prior, variance, limit=2.0)
    assert value == pytest.approx(min(y - slope * (x - at) for x, y in points), abs=1e-9)
    best = max(target(s) for s in np.linspace(-2.0, 2.0, 801))
    assert target(slope) >= best - 1e-6 * (1 + abs(best))


# -- buckets and envelope -------------------------------------------------------------------------


def test_buckets_stay_few_and_keep_the_lowest():
    rng = np.random.default_rng(0)
    buckets, window = Buckets(), 20.0
    x = np.cumsum(rng.exponential(0.01, 20_000))
    y = rng.exponential(1.0, len(x))
    for i, (a, b) in enumerate(zip(x.tolist(), y.tolist(), strict=True)):
        if buckets.closes_at(a, True):
            buckets.begin(a, b, True, 0.0, window)
        else:
            buckets.lower(a, b, True, 0.0)
        assert len(buckets.x) <= 65
        inside = y[np.searchsorted(x, a - window) : i + 1]
        if i % 97 == 0:
            assert min(*buckets.offset, buckets.open_offset, math.inf) <= inside.min()


def test_the_envelope_finds_offset_and_slope():
    rng = np.random.default_rng(1)
    line = LowerEnvelope(0.0, 50e-6, 5e-9, (10.0, 300.0))
    line.set_scale(0.5e-3, 100.0)
    for x in np.arange(0.0, 60.0, 0.01):
        line.add(float(x), float(0.25 - 37e-6 * x + rng.exponential(0.5e-3)))
    assert line.slope == pytest.approx(-37e-6, abs=1e-6)
    assert line.floor(60.0) == pytest.approx(0.25 - 37e-6 * 60, abs=5e-6)
    assert 0 < line.uncertainty(60.0) < 20e-6


def test_a_wrong_prior_of_the_slope_is_given_up():
    rng = np.random.default_rng(2)
    line = LowerEnvelope(0.0, 50e-6, 5e-9, (10.0, 300.0), scale=0.5e-3)
    for x in np.arange(0.0, 30.0, 0.01):
        line.add(float(x), float(-5e-3 * x + rng.exponential(0.5e-3)))
    assert line.slope == pytest.approx(-5e-3, abs=5e-6)


@pytest.mark.parametrize("shape", [1.0, 1.5, 2.0, 3.0])
def test_the_bias_of_minima_follows_from_their_variation(shape):
    rng = np.random.default_rng(3)
    minima = rng.weibull(shape, (4000, 48))
    above = minima - minima.min(axis=1, keepdims=True)
    variation = float(np.mean(above.std(axis=1) / above.mean(axis=1)))
    bias = floor_bias(variation, 48) * float(above.mean())
    assert bias == pytest.approx(float(minima.min(axis=1).mean()), rel=0.25)


# -- counters -------------------------------------------------------------------------------------


@given(
    st.integers(8, 32),
    st.integers(0, 2**40),
    st.lists(st.floats(0, 0.7, allow_nan=False), min_size=2, max_size=30),
)
def test_ticks_are_unwrapped_however_late_up_to_three_quarters_of_a_turn(bits, start, late):
    size = 1 << bits
    device = DeviceTime(None, DeviceCounter(bits, 1000.0, "ticks"), None)
    device.restart(start % size)
    step = max(size // 5, 1)
    for i, part in enumerate(late, start=1):
        true = start + i * step
        since = (i * step + part * size) / 1000.0
        assert device.advance(1, true % size, 0, 1e9, since - device.seconds)
        assert device.seconds == i * step / 1000.0


def test_many_turns_of_a_counter_are_seen_by_the_host_clock():
    device = DeviceTime(None, DeviceCounter(16, 1e6, "ticks"), None)
    device.restart(0)
    ticks = 1_000_000  # 15 turns
    assert device.advance(1, ticks % 65536, 0, 1.0, 1.0003)
    assert device.seconds == 1.0


def test_a_sequence_number_tells_what_is_lost_and_what_comes_twice():
    device = DeviceTime(1000.0, DeviceCounter(16), None)
    device.restart(65_530)
    assert device.advance(10, (65_530 + 25) % 65536, 0, 0.025, 0.025)
    assert device.missing == 15
    assert device.advance(10, (65_530 + 32) % 65536, 0, 0.01, 0.01)
    assert device.missing == -3
    assert device.seconds == 0.032


def test_a_counter_that_starts_again_is_a_restart():
    device = DeviceTime(48_000.0, DeviceCounter(32), None)
    device.restart(1_000_000)
    assert not device.advance(480, 480, 0, 0.01, 0.01)


def test_a_reading_without_its_counter_does_not_lose_the_count():
    device = DeviceTime(1000.0, DeviceCounter(16), None)
    device.restart(100)
    assert device.advance(10, None, 0, 0.01, 0.01)
    assert device.advance(10, 120, 0, 0.01, 0.01)
    assert (device.missing, device.seconds) == (0, 0.02)


def test_coarse_ticks_of_a_regular_stream_tell_no_false_loss():
    rng = np.random.default_rng(4)
    device = DeviceTime(30.0, DeviceCounter(32, 1000.0, "ticks"), None)
    device.restart(0)
    lost = 0
    for i in range(1, 2000):
        ticks = math.floor(i * 1000 / 30 + rng.uniform(0, 1))
        assert device.advance(1, ticks, 0, 1 / 30, 1 / 30)
        lost += device.missing
    assert lost == 0


# -- delays and gaps ------------------------------------------------------------------------------


def test_the_histogram_knows_quantiles_and_tails():
    rng = np.random.default_rng(5)
    delays = DelayHistogram()
    for delay in rng.exponential(1e-3, 20_000).tolist():
        delays.add(delay)
    assert delays.quantile(0.5) == pytest.approx(math.log(2) * 1e-3, rel=0.2)
    assert delays.tail(3e-3) == pytest.approx(math.exp(-3), rel=0.5)
    assert 0 < delays.tail(1.0) < 1e-3


def _armed(quantum):
    rng = np.random.default_rng(6)
    delays = DelayHistogram()
    for delay in rng.exponential(1e-3, 5000).tolist():
        delays.add(delay)
    test = LossTest(quantum, 1e-6)
    test.calibrate(delays, step=0.01, half_width=1e-5)
    return test, rng


def test_lateness_is_no_loss():
    test, rng = _armed(0.01)
    found = [
        test.observe(i, i * 0.01, float(rng.exponential(1e-3)), fresh=True) for i in range(20_000)
    ]
    assert not any(found)


@pytest.mark.parametrize("quantum", [0.01, None])
def test_a_loss_is_found_and_sized(quantum):
    test, rng = _armed(quantum)
    for i in range(100):
        test.observe(i, i * 0.01, float(rng.exponential(1e-3)), fresh=True)
    for i in range(100, 120):
        excess = 0.03 + float(rng.exponential(1e-3))
        run = test.observe(i, i * 0.01, excess, fresh=True)
        if run:
            break
    assert i <= 104
    assert run.chunk == 100
    assert run.lowest == pytest.approx(0.03, abs=2e-3)
    assert run.quanta == (3 if quantum else 0)


def test_chunks_drained_after_a_stall_are_no_evidence():
    test, _ = _armed(0.01)
    for i in range(100):
        assert test.observe(i, i * 0.01, 0.05, fresh=False) is None


def test_what_was_late_before_the_loss_does_not_shrink_it():
    test, rng = _armed(0.01)
    test.observe(0, 0.0, 0.014, fresh=True)
    for i in range(1, 10):
        run = test.observe(i, i * 0.01, 0.03 + float(rng.exponential(1e-3)), fresh=True)
        if run:
            break
    assert (run.chunk, run.quanta) == (1, 3)


@pytest.mark.parametrize("shape", [1.0, 2.0])
def test_a_new_line_over_known_delays_knows_how_far_it_is_from_their_floor(shape):
    rng = np.random.default_rng(6)
    old = LowerEnvelope(0.0, 50e-6, 5e-9, (10.0, 300.0))
    for k in range(20_000):
        old.add(k * 0.01, float(rng.gamma(shape, 0.5e-3)))
        if not k % 256:
            old.set_scale(0.5e-3, 100.0)
    raw, lifted = [], []
    for _ in range(30):
        new = old.successor(0.3e-6, 50e-6)
        for k in range(100):
            new.add(200 + k * 0.01, float(rng.gamma(shape, 0.5e-3)))
        raw.append(new.at(201.0))
        lifted.append(new.floor(201.0))
    assert abs(np.mean(lifted)) < np.mean(raw) / 2
