"""The clock model as a whole."""

import copy
import math
import pickle
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rxstream.data.stream_info import DeviceCounter
from rxstream.timing.online.model import ClockModel
from rxstream.timing.settings import ClockSettings

# -- times only go forward ------------------------------------------------------------------------

S = 1_000_000_000
_counter = st.sampled_from(
    [
        None,
        DeviceCounter(16),
        DeviceCounter(32),
        DeviceCounter(16, 1e3, "ticks"),
        DeviceCounter(32, 1e6, "ticks"),
    ]
)


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_times_only_go_forward_and_never_lie_after_their_arrival(data):
    rate = data.draw(st.sampled_from([None, 1.0, 30.0, 1000.0, 48_000.0]))
    spec = data.draw(_counter)
    quantum = data.draw(st.sampled_from([None, 1, 10]))
    rule = data.draw(st.sampled_from(["auto", "gap", "latency"]))
    latency = data.draw(st.sampled_from([0.0, 0.02]))
    model = ClockModel(ClockSettings(rate, quantum, spec, path_delay=latency, on_step=rule))
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32)))
    jumpy = data.draw(st.floats(0, 0.1))
    two_sided, stamped = data.draw(st.booleans()), data.draw(st.booleans())
    arrival, counter, before = data.draw(st.integers(0, 2**61)), 0, None
    for _ in range(data.draw(st.integers(1, 400))):
        n = int(rng.integers(1, 50))
        step = float(rng.exponential(n / (rate or 1000.0)))
        if rng.random() < jumpy:
            step = float(rng.choice([0.0, 0.1, 5.0, 100.0]))
            counter = int(rng.integers(0, 2**40))
        arrival += max(round(step * S), n)
        counter += int(rng.integers(0, 60))
        bounds = [arrival - int(rng.integers(-(10**7), 10**8)) for _ in range(2)]
        stamp = model.push(
            n,
            arrival,
            counter=None if spec is None or rng.random() < 0.05 else counter % (1 << spec.bits),
            device_time=counter * 1_000_000 if stamped else None,
            bounds=(min(bounds), max(bounds)) if two_sided else None,
            lost=int(rng.integers(1, 9)) if rng.random() < jumpy else None,
        )
        assert stamp.last - stamp.first >= n - 1
        if before is not None:
            assert stamp.first > before.last
        assert stamp.last <= arrival - round(latency * S)
        assert stamp.uncertainty >= 0
        before = stamp
        if rng.random() < jumpy / 10:
            model.restart()


def test_equal_arrivals_still_rise():
    model = ClockModel(ClockSettings(rate=1000.0))
    last = [model.push(10, 5_000_000_000).last for _ in range(5)]
    assert all(b - a >= 10 for a, b in pairwise(last))


# -- as good as it should be ----------------------------------------------------------------------

# half as much again as the median of the tuned prototype's 20 seeds
GOALS = {
    "a_audio": 2.5, "a2_audio_adc": 350.0, "b_camera": 2200.0, "b2_camera_seq": 2200.0,
    "c_can32": 27.0, "c2_can16": 40.0, "d_vib_route": 130.0, "e_plc_rr": 4600.0,
    "e2_plc_rr_tick": 900.0, "f_restart": 3.0, "g1_drop_blocks": 2.8, "g2_drop_any": 23.0,
    "g3_drop_seq": 2.6, "h_ntp_step": 2.6,
}  # fmt: skip


@pytest.mark.parametrize("name", GOALS)
def test_every_trace_is_within_its_goal(name, traces, follow):
    run = follow(traces.TRACES[name](seed=1))
    run.check_order()
    assert run.p95() < GOALS[name]


@pytest.mark.parametrize("name", ["b_camera", "g1_drop_blocks", "g2_drop_any"])
def test_losses_are_found_and_sized(name, traces, follow):
    run = follow(traces.TRACES[name](seed=2))
    precision, recall = run.precision_recall()
    assert precision >= 0.97
    assert recall >= 0.97
    true = dict(run.trace.gaps)
    off = [abs(samples - true[chunk]) for chunk, samples in run.gaps() if chunk in true]
    assert np.quantile(off, 0.95) <= (30 if run.trace.quantum is None else 0)


def test_a_loss_in_the_stamp_is_as_long_as_it_says(traces, follow):
    run = follow(traces.regular(3, losses=1 / 8))
    reported = [(i, stamp) for i, stamp in enumerate(run.stamps) if stamp.reason == "dropped"]
    assert len(reported) >= 30
    for i, stamp in reported:
        length = stamp.first - run.last[i - 1] - stamp.period
        assert length == pytest.approx(stamp.lost * stamp.period, abs=3e6)
        assert stamp.events[0].correction == pytest.approx(stamp.lost * stamp.period, rel=1e-3)


@pytest.mark.parametrize("name", ["a_audio", "h_ntp_step", "d_vib_route"])
def test_stalls_and_routes_are_no_losses(name, traces, follow):
    run = follow(traces.TRACES[name](seed=3))
    assert run.gaps() == []
    assert {event.kind for event in run.events} <= {"latency"}


@pytest.mark.parametrize("skew", [-5e-3, -5e-4, 5e-4, 5e-3])
@pytest.mark.parametrize(("rate", "size", "goal"), [(48_000.0, 480, 4.0), (1.0, 1, 100.0)])
def test_a_rate_that_is_off_is_found_without_telling(rate, size, goal, skew, traces, follow):
    seconds = 120 if size > 1 else 1800
    trace = traces.regular(31, rate=rate, size=size, seconds=seconds, skew=skew, stalls=None)
    run = follow(trace)
    assert run.events == []
    assert run.p95() < goal
    assert run.model.slope == pytest.approx(-skew, abs=3e-6)


@pytest.mark.parametrize("law", ["gamma", "pareto", "bimodal", "lognormal"])
def test_other_delays_are_no_losses_and_are_covered(law, traces, follow):
    delay = {
        "gamma": traces.gamma(2.0, 0.5e-3), "pareto": traces.pareto(1.5, 0.5e-3),
        "bimodal": traces.bimodal(0.3e-3, 5e-3, 0.3), "lognormal": traces.lognormal(1e-3, 0.8),
    }[law]  # fmt: skip
    run = follow(traces.regular(32, delay=delay))
    assert run.gaps() == []
    width = np.array([stamp.uncertainty for stamp in run.stamps])[-len(run.errors()) :] / 1e3
    assert np.mean(np.abs(run.errors()) <= width) > 0.85


def test_the_first_two_seconds_are_no_worse_than_the_lowest_delay_so_far(traces, follow):
    ours, lowest = [], []
    for seed in range(12):
        trace = traces.regular(seed, rate=200.0, size=20, seconds=3.0, stalls=None)
        ours += np.abs(follow(trace).errors(warm=-1)[:20]).tolist()
        delay = np.minimum.accumulate((trace.arrival - trace.truth) / 1e3 - trace.floor * 1e6)
        lowest += delay[:20].tolist()
    assert np.quantile(ours, 0.95) < 1.1 * np.quantile(lowest, 0.95)


def test_a_camera_whose_constant_is_known_wobbles_little(traces, follow):
    spread = []
    for seed in range(4):
        errors = follow(traces.b2_camera_seq(seed)).errors()
        spread.append(np.quantile(np.abs(errors - np.median(errors)), 0.95))
    assert np.median(spread) < 700  # of delays that spread over 20 000


# -- particular cases -----------------------------------------------------------------------------


def test_a_counter_that_starts_again_is_a_restart(traces, follow):
    run = follow(traces.f_restart(5))
    at = run.trace.restarts[0]
    assert [(event.kind, event.first) for event in run.events] == [("restart", at)]
    assert run.stamps[at].reason == "restart"
    assert run.stamps[at].lost is None
    assert run.stamps[at + 1].reason is None


def test_restart_keeps_the_rate_and_forgets_the_phase(traces, follow):
    trace = traces.regular(6, seconds=60)
    run = follow(trace)
    slope = run.model.slope
    run.model.restart()
    pause = 7 * S
    stamp = run.model.push(480, int(trace.arrival[-1]) + pause)
    assert (stamp.reason, stamp.lost, stamp.state) == ("restart", None, "reacquiring")
    assert run.model.slope == pytest.approx(slope, abs=1e-6)
    again = ClockModel(ClockSettings(rate=48_000.0))
    again.restart()  # before the first chunk it means nothing
    assert again.push(480, 10**9).reason is None


def test_an_outage_without_numbers_is_a_restart(traces, follow):
    trace = traces.regular(7, seconds=60)
    arrival = trace.arrival.copy()
    arrival[3000:] += 3 * S
    truth = trace.truth + (arrival - trace.arrival)
    run = follow(traces.replace(trace, arrival=arrival, truth=truth))
    assert [event.kind for event in run.events] == ["restart"]
    assert run.p95() < 15  # the first seconds after it count


def test_what_the_device_says_it_lost_is_taken_at_its_word():
    model = ClockModel(ClockSettings(rate=1000.0))
    model.push(100, S)
    stamp = model.push(100, S + 150_000_000, lost=50)
    assert (stamp.lost, stamp.reason, stamp.last) == (50, "dropped", S + 150_000_000)
    assert [event.samples for event in stamp.events] == [50]


def test_latency_is_subtracted_everywhere(traces, follow):
    trace = traces.regular(8, seconds=30)
    plain, late = follow(trace), follow(trace, path_delay=1.3e-3)
    assert (plain.last - late.last == 1_300_000).all()


def test_a_rise_of_the_floor_does_not_move_time(traces, follow):
    run = follow(traces.d_vib_route(9))
    half = len(run.last) // 2
    before, after = run.errors()[half - 500 : half], run.errors()[half + 500 : half + 1000]
    assert abs(np.median(after) - np.median(before)) < 150  # of 4000 µs


@pytest.mark.parametrize(("rule", "kinds"), [("gap", {"gap"}), ("latency", {"latency"})])
def test_a_rule_says_what_a_step_is(rule, kinds, traces, follow):
    trace = traces.regular(10, seconds=100, step=4e-3, stalls=None)
    assert {event.kind for event in follow(trace, on_step=rule).events} == kinds


def test_a_loss_that_was_none_is_taken_back():
    rng = np.random.default_rng(11)
    model = ClockModel(ClockSettings(rate=30.0, quantum=1))
    arrivals = np.arange(600) / 30 + rng.exponential(2e-3, 600)
    arrivals[400:408] += 0.0333  # eight in a row, each by a frame: then all is as before
    events = []
    for arrival in arrivals:
        events += model.push(1, round(arrival * S)).events
    assert [(event.kind, event.samples) for event in events] == [("gap", 1), ("overlap", -1)]


@pytest.mark.parametrize("at", [7, 80, 150])
@pytest.mark.parametrize("quantum", [480, None])
def test_a_loss_in_the_first_seconds_is_found_when_they_are_over(at, quantum, traces, follow):
    trace = traces.regular(17, seconds=20)
    late = np.where(np.arange(len(trace.count)) >= at, 20_000_000, 0)
    trace = traces.replace(
        trace, arrival=trace.arrival + late, truth=trace.truth + late, quantum=quantum
    )
    run = follow(trace)
    assert [event.kind for event in run.events] == ["gap"]
    assert run.events[0].samples == pytest.approx(960, abs=0 if quantum else 40)
    assert abs(run.events[0].first - at) <= 5
    assert np.abs(run.errors(warm=2.5)).max() < 100


def test_own_stamps_serve_as_a_counter():
    rng = np.random.default_rng(12)
    model = ClockModel(ClockSettings(rate=None))
    x = np.cumsum(rng.exponential(0.01, 5000))
    arrival = x * (1 + 30e-6) + rng.exponential(0.5e-3, len(x))
    stamps = [
        model.push(1, round(a * S) + S, device_time=round(d * S) + 77)
        for a, d in zip(np.maximum.accumulate(arrival), x, strict=True)
    ]
    error = np.array([stamp.last for stamp in stamps]) / S - 1 - x * (1 + 30e-6)
    assert np.quantile(np.abs(error[500:]), 0.95) < 30e-6
    assert model.slope == pytest.approx(30e-6, abs=3e-6)


def test_own_stamps_of_a_regular_stream_show_losses_at_once():
    rng = np.random.default_rng(13)
    model = ClockModel(ClockSettings(rate=100.0))
    x = np.arange(300) * 0.01
    x[200:] += 0.05
    lost = []
    for i, d in enumerate(x):
        arrival = round((d + rng.exponential(1e-3)) * S)
        stamp = model.push(1, arrival, device_time=round(d * S))
        lost += [(i, stamp.lost)] if stamp.reason else []
    assert lost == [(200, 5)]


def test_without_any_clock_the_middle_is_told(traces, follow):
    run = follow(traces.e_plc_rr(14))
    width = np.array([stamp.uncertainty for stamp in run.stamps])
    assert (np.abs(run.last - run.trace.truth) <= width + 1).all()
    one = ClockModel(ClockSettings(rate=None)).push(1, S)
    assert (one.last, one.uncertainty) == (S, math.inf)


def test_state_tells_where_it_stands(traces, follow):
    run = follow(traces.regular(15, seconds=20, losses=0.5))
    states = [stamp.state for stamp in run.stamps]
    assert states[0] == "warming"
    assert states[-1] == "locked" == run.model.state
    assert "suspect" in states


def test_a_pickled_model_goes_on_the_same(traces, follow):
    trace = traces.g1_drop_blocks(16)
    half = len(trace.count) // 2
    whole = follow(trace)
    first = follow(traces.cut(trace, 0, half))
    for copied in (pickle.loads(pickle.dumps(first.model)), copy.deepcopy(first.model)):
        assert follow(traces.cut(trace, half), copied).stamps == whole.stamps[half:]
