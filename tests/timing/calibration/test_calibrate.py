"""Offset and drift between two devices from events both saw."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxstream.acquisition.stamper import Stamper, clock_settings
from rxstream.data.chunk import Chunk
from rxstream.data.concat import concat
from rxstream.data.gap import Gap
from rxstream.data.stream_info import StreamInfo
from rxstream.devices.simulated import Delay, Simulated
from rxstream.errors import ParameterError
from rxstream.timing.calibration.calibrate import calibrate_latency, onset_times

S = 1_000_000_000
JITTER = 1e-3  # of events seen by both [s]


def _ns(t):
    return np.unique(np.rint(np.asarray(t) * 1e9).astype(np.int64)) + 1_700_000_000 * S


def _seen(seed, offset=0.2, drift=0.0, count=60, seconds=600.0):
    """Events seen by two: each misses 30 %, and sees 30 % more that the other does not."""
    rng = np.random.default_rng(seed)
    events = np.sort(rng.uniform(0, seconds, count))
    false = rng.uniform(0, seconds, (2, int(0.3 * count)))
    a, b = (events[rng.random(count) > 0.3] for _ in "ab")
    b = b + rng.normal(0, JITTER, len(b))
    a, b = np.append(a, false[0]), np.append(b, false[1])
    return _ns(a), _ns(b + offset + drift * b)


def _true(found, offset, drift):
    return offset + drift * (found.middle / 1e9 - 1.7e9)


@given(st.integers(0, 10_000), st.floats(-0.4, 0.4), st.floats(-150e-6, 150e-6))
def test_offset_and_drift_are_found_although_events_are_missing_and_false(seed, offset, drift):
    found = calibrate_latency(*_seen(seed, offset, drift))
    assert abs(found.offset - _true(found, offset, drift)) < 1.5 * JITTER
    assert abs(found.offset - _true(found, offset, drift)) < 3 * found.offset_uncertainty
    assert abs(found.drift - drift * 1e6) < 3 * found.drift_uncertainty
    assert found.offset_uncertainty < JITTER
    assert 0.5 * JITTER < found.residual_p95 < 4 * JITTER
    assert found.matched == len(found.pairs) >= 10


def test_the_uncertainties_cover_the_errors():
    inside = np.zeros(2)
    for seed in range(200):
        found = calibrate_latency(*_seen(seed, -0.1, 50e-6))
        inside += (
            abs(found.offset - _true(found, -0.1, 50e-6)) <= found.offset_uncertainty,
            abs(found.drift - 50.0) <= found.drift_uncertainty,
        )
    assert (inside >= 0.9 * 200).all(), inside


@pytest.mark.parametrize("count", [4, 5, 6, 10])
def test_the_uncertainties_cover_the_errors_also_of_few_events(count):
    inside = np.zeros(2)
    for seed in range(300):
        rng = np.random.default_rng(seed)
        seen = np.cumsum(rng.uniform(2, 15, count))
        found = calibrate_latency(_ns(seen), _ns(seen + 0.04 + rng.normal(0, 5e-3, count)))
        inside += (
            abs(found.offset - 0.04) <= found.offset_uncertainty,
            abs(found.drift) <= found.drift_uncertainty,
        )
    assert (inside >= 0.91 * 300).all(), inside  # 92 to 95 %; 82 to 90 % without care


def test_without_drift_a_constant_is_found():
    found = calibrate_latency(*_seen(1), drift=False)
    assert (found.drift, found.drift_uncertainty) == (0.0, 0.0)
    assert abs(found.offset - 0.2) < 3 * found.offset_uncertainty


def test_nanoseconds_are_kept_far_from_the_epoch():
    a = 4_000_000_000 * S + np.array([0, 7, 11, 26, 40]) * S
    found = calibrate_latency(a, a + 123_456_789)
    assert found.offset == pytest.approx(0.123456789, abs=1e-9)
    assert abs(found.middle - sum(a.tolist()) // len(a)) <= 1


def test_swapped_devices_swap_the_sign():
    a, b = _seen(3, 0.3)
    one, other = calibrate_latency(a, b), calibrate_latency(b, a)
    assert one.offset == pytest.approx(-other.offset, abs=2e-4)
    assert one.latency == (0.0, one.offset)
    assert other.latency == (-other.offset, 0.0)


def test_times_of_one_become_those_of_the_other():
    a = np.array([10, 25, 31, 50, 90]) * S
    b = a + 40_000_000 + (a - a[0]) // 50_000
    found = calibrate_latency(a, b)
    assert np.abs(found.to_a(b) - a).max() <= 2
    assert found.pairs.tolist() == [[i, i] for i in range(5)]
    assert found.drift == pytest.approx(20.0)


def test_steps_of_time_do_not_hide_what_lies_one_step_off():
    rng = np.random.default_rng(4)
    events = np.sort(rng.uniform(0, 600, 50))
    b = np.round(events + 0.05 + rng.choice([-1e-3, 0, 0, 1e-3], 50), 3)
    found = calibrate_latency(_ns(np.round(events, 3)), _ns(b))
    assert found.matched == 50
    assert found.offset == pytest.approx(0.05, abs=5e-4)


def test_many_events_are_matched_by_a_part_of_the_pairs():
    a, b = _seen(5, 0.1, 50e-6, count=20_000, seconds=2000.0)
    found = calibrate_latency(a, b, jitter=0.01)
    assert abs(found.offset - _true(found, 0.1, 50e-6)) < 3 * found.offset_uncertainty
    assert found.matched > 9000


@pytest.mark.parametrize("period", [0.03, 0.25, 0.6])
@pytest.mark.parametrize("kept", [1.0, 0.7])
def test_periodic_events_are_ambiguous(period, kept):
    rng = np.random.default_rng(6)
    a, b = (_ns(np.arange(100)[rng.random(100) < kept] * period) for _ in "ab")
    with pytest.raises(ParameterError, match=r"ambiguous.*repeat every|may be chance"):
        calibrate_latency(a, b + 200_000_000)


def test_periodic_events_are_fine_within_half_a_period():
    times = _ns(np.arange(100) * 0.25)
    with pytest.raises(ParameterError, match=r"tolerance below 0\.125 s"):
        calibrate_latency(times, times + 50_000_000)
    found = calibrate_latency(times, times + 50_000_000, tolerance=0.12)
    assert found.offset == pytest.approx(0.05)


def test_unrelated_events_are_refused():
    for seed in range(100):
        rng = np.random.default_rng(seed)
        with pytest.raises(ParameterError, match=r"may be chance|ambiguous|no event"):
            calibrate_latency(*(_ns(rng.uniform(0, 300, 40)) for _ in "ab"))


@pytest.mark.parametrize(
    ("a", "b", "options", "text"),
    [
        ([], [1, 2, 3], {}, "a has 0 events"),
        ([1, 2, 3], [1, 2], {}, "b has 2 events, at least 3"),
        ([1.5, 2, 3], [1, 2, 3], {}, "a must be"),
        ([1, 2, 3], [[1, 2, 3]], {}, "b must be"),
        ([1, 2, 3], [2, 1, 3], {}, "times of b do not rise"),
        ([0, 1, 2], [10 * S, 11 * S, 12 * S], {}, "larger tolerance"),
        ([0, S, 3 * S], [9, S // 2, 9 * S], {}, "may be chance"),
        ([0, 1, 2], [0, 1, 2], {"jitter": 0}, "jitter must be > 0"),
        ([0, 1, 2], [0, 1, 2], {"tolerance": float("nan")}, "tolerance must be > 0"),
        ([0, 1, 2], [0, 1, 2], {"tolerance": "x"}, "tolerance must be > 0 seconds, not 'x'"),
        ([0, 1, 2], [0, 1, 2], {"tolerance": True}, "tolerance must be > 0 seconds, not True"),
        ([0, 1, 2], [0, 1, 2], {"drift": "no"}, "drift must be True or False, not 'no'"),
        ([0, 1, np.inf], [0, 1, 2], {}, r"a must be \(m,\) integers, not inf"),
        ([0, 1, 2], [0, 1, 1 << 63], {}, "b must fit into int64"),
        ([0, 1, 2], [0, 1, (1 << 63) - 1], {}, "b 9223372036854775807 at 2 is no time"),
        ([0, S, 3 * S], [0, S, 3 * S], {"jitter": 1e-12}, "give at least .* or drift=False"),
    ],
)
def test_bad_events_are_refused(a, b, options, text):
    with pytest.raises(ParameterError, match=text):
        calibrate_latency(a, b, **options)


@pytest.mark.parametrize("times", [[1.5], [(1 << 63) - 1], [[1]], ["x"]])
def test_what_is_no_time_is_not_moved(times):
    claps = np.array([10, 25, 31, 50]) * S
    found = calibrate_latency(claps, claps + 4000)
    with pytest.raises(ParameterError, match=r"^times"):
        found.to_a(times)


# -- onsets -----------------------------------------------------------------------------------


def _chunk(data, rate=100.0, **options):
    info = StreamInfo("signal", rate, data.shape[1:], data.dtype)
    return Chunk.regular(data, info, start=S, **options)


@pytest.mark.parametrize("dtype", [np.float32, np.int16, np.uint8, np.bool_])
@pytest.mark.parametrize("shape", [(), (2,)])
def test_onsets_are_found_in_any_numbers(dtype, shape):
    data = np.zeros((100, *shape), dtype)
    data[[20, 21, 28, 60]] = 1
    if shape:
        data[40, 1] = 1  # another channel does not count
    assert onset_times(_chunk(data), 0.5).tolist() == [1_200_000_000, 1_600_000_000]


def test_the_least_integer_is_loud():
    data = np.zeros(10, np.int16)
    data[5] = -32_768
    assert len(onset_times(_chunk(data), 1000)) == 1


def test_an_event_needs_quiet_before():
    data = np.zeros(100)
    data[10:80:8] = 1.0  # every 80 ms
    assert onset_times(_chunk(data), 0.5).tolist() == [1_100_000_000]
    assert len(onset_times(_chunk(data), 0.5, holdoff=0.05)) == 9


def test_what_began_unseen_is_no_event():
    data = np.zeros(50)
    data[0] = data[30] = 1.0
    first = _chunk(data)
    gap = Gap(first.end, first.end + S, 100, "dropped")
    later = Chunk.regular(data, first.info, start=gap.end, index=150, gap=gap)
    both = concat([first, later])
    assert onset_times(both, 0.5).tolist() == [1_300_000_000, gap.end + 300_000_000]


def test_silence_has_no_events():
    found = onset_times(_chunk(np.zeros(10)), 0.5)
    assert (found.dtype, found.shape) == (np.int64, (0,))


@pytest.mark.parametrize(
    ("data", "threshold", "holdoff", "text"),
    [
        (np.zeros((5, 4, 4, 3), np.uint8), 5, 0.1, "reduce them first"),
        (np.zeros(5, "U3"), 5, 0.1, "found in numbers"),
        (np.zeros(5), 0, 0.1, "threshold must be"),
        (np.zeros(5), float("nan"), 0.1, "threshold must be"),
        (np.zeros(5), 0.5, -1, "holdoff must be"),
        (np.zeros((5, 0)), 0.5, 0.1, "found in numbers"),
    ],
)
def test_bad_onsets_are_refused(data, threshold, holdoff, text):
    with pytest.raises(ParameterError, match=text):
        onset_times(_chunk(data), threshold, holdoff)


def test_onsets_are_those_of_a_chunk():
    with pytest.raises(ParameterError, match=r"found in an rxstream\.Chunk, not in \[0\.9\]"):
        onset_times([0.9], 0.5)


def test_nothing_is_as_loud_as_a_threshold_beyond_its_type():
    assert len(onset_times(_chunk(np.ones(10, np.float32)), 1e300)) == 0


# -- two devices ------------------------------------------------------------------------------

CLAPS = np.cumsum(np.random.default_rng(7).uniform(0.7, 2.5, 40))
"""When somebody claps and a lamp flashes [s]."""


def _shown(rate, ppm, shape, value, length):
    """Signal of a device whose clock is wrong: ``value`` for ``length`` [s] after each clap."""
    per = Fraction(1) / Fraction(rate) / (1 + Fraction(ppm) / 1_000_000)

    def signal(index):
        t = index * float(per)
        k = np.searchsorted(CLAPS, t, side="right") - 1
        on = (k >= 0) & (t - CLAPS[k] < length)
        return (on * value).astype(np.float32).reshape(-1, *(1 for _ in shape))

    return signal


def _watch(device, path_delay=0.0):
    """Return the chunks of a simulated device, in virtual time."""
    stamper = Stamper(device.info, "corrected", clock_settings(device.info, path_delay))
    readings = device.readings(70.0, start=1_700_000_000 * S)
    chunks = [stamper.stamp(r, np.asarray(r.data), r.arrival) for r in readings]
    return concat([chunk for chunk in chunks if chunk is not None])


def test_a_clap_and_a_flash_calibrate_microphone_and_camera():
    mic = Simulated.microphone(
        rate=8000.0, signal=_shown(8000, 37, (1,), 0.8, 0.05), wander=0.0, seed=1
    )
    cam = Simulated(
        rate=30.0, signal=_shown(30, -22, (), 200.0, 0.1), ppm=-22.0, name="camera", seed=2,
        delay=Delay(0.045, 0.002),
    )  # fmt: skip
    heard = onset_times(_watch(mic), 0.4)
    found = calibrate_latency(heard, onset_times(_watch(cam), 100.0), drift=False)
    # what the camera takes more, and half a frame that passes until it looks
    true = 0.045 - 0.0013 + 0.5 / 30
    assert found.matched >= 35
    assert abs(found.offset - true) < found.offset_uncertainty + 0.002
    assert found.residual_p95 < 1 / 30

    flashes = onset_times(_watch(cam, path_delay=found.latency[1]), 100.0)
    again = calibrate_latency(heard, flashes, drift=False)
    assert abs(again.offset) < 1e-3
