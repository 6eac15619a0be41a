"""Simulated: values, clock, delays and losses, in virtual time; presets and bad options."""

import dataclasses
from itertools import islice, pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from simulated_ramp import ramp, samples

from rxstream import DeviceCounter
from rxstream.data.clock import host_clock
from rxstream.devices.can import CAN_DTYPE
from rxstream.devices.simulated import Delay, Drops, Simulated, Stalls, frame_number
from rxstream.errors import ParameterError

# -- values -----------------------------------------------------------------------------------

FIELDS = np.dtype([("a", "f4"), ("b", "i2", (3,)), ("c", "u1"), ("d", "?")])
KINDS = [
    ((), np.float32),
    ((2,), np.int16),
    ((3, 2), np.float64),
    ((), np.uint8),
    ((), np.complex64),
    ((), np.bool_),
    ((), FIELDS),
]


@pytest.mark.parametrize("signal", ["sine", "noise", "ramp", "knocks", "zeros"])
@pytest.mark.parametrize(("shape", "dtype"), KINDS)
def test_values_depend_on_the_sample_number_alone(signal, shape, dtype):
    one = Simulated(rate=1000, signal=signal, shape=shape, dtype=dtype, seed=3, blocksize=10)
    other = dataclasses.replace(one, blocksize=7, delay=Delay(0.5), ppm=50.0)
    a, b = samples(list(one.readings(0.5))), samples(list(other.readings(1.5)))
    assert a.dtype == np.dtype(dtype)
    assert a.shape[1:] == shape
    np.testing.assert_array_equal(a[:400], b[:400])
    np.testing.assert_array_equal(a[100:200], one.data(np.arange(100, 200)))


@given(st.lists(st.integers(0, 10**9), max_size=20))
def test_values_asked_alone_and_together_are_the_same(index):
    sim = Simulated(signal="noise", shape=(2,), seed=5)
    together = sim.data(np.array(index, np.int64))
    for k, value in zip(index, together, strict=True):
        np.testing.assert_array_equal(sim.data(np.array([k]))[0], value)


def test_noise_is_noise():
    data = Simulated(signal="noise", dtype=np.float64, shape=(2,), seed=1).data(np.arange(100_000))
    assert abs(data.mean()) < 0.005
    assert abs(data.std() - 0.25) < 0.005
    spectrum = np.abs(np.fft.rfft(data[:, 0]))[1:] ** 2
    assert spectrum.max() < 20 * spectrum.mean()
    assert abs(np.corrcoef(data.T)[0, 1]) < 0.02
    other = Simulated(signal="noise", dtype=np.float64, shape=(2,), seed=2).data(np.arange(1000))
    assert abs(np.corrcoef(other[:, 0], data[:1000, 0])[0, 1]) < 0.15


def test_sine_has_its_frequency():
    data = Simulated(rate=8000, frequency=440.0).data(np.arange(8000))
    assert np.abs(np.fft.rfft(data)).argmax() == 440


def test_a_function_is_a_signal():
    sim = Simulated(rate=100, signal=lambda k: np.stack([k, -k], axis=1), shape=(2,))
    data = samples(list(sim.readings(1)))
    assert data.dtype == np.float32
    np.testing.assert_array_equal(data[50], [50, -50])


@pytest.mark.parametrize("shape", [(240, 320, 3), (16, 24), (100, 130, 1)])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32])
def test_frames_bear_their_number(shape, dtype):
    sim = Simulated(rate=30, signal="video", shape=shape, dtype=dtype)
    numbers = np.array([0, 1, 2, 1000, 2**24 - 1])
    assert [frame_number(frame) for frame in sim.data(numbers)] == numbers.tolist()


def test_frames_move():
    a, b = Simulated.camera().data(np.array([0, 1])).astype(int)
    assert np.abs(a - b).mean() > 1


# -- clock ------------------------------------------------------------------------------------


def test_a_fast_clock_gains_and_drifts():
    sim = ramp(ppm=100.0)
    assert sim.truth.time(10_000_000)[0] == pytest.approx(1e13 / 1.0001)
    hour = 3_600_000
    drifting = ramp(drift=10.0)  # after an hour 10 ppm fast: on average 5
    assert drifting.truth.time(hour)[0] == pytest.approx(3600e9 * (1 - 5e-6), abs=100)
    swinging = ramp(wander=2.0)
    error = swinging.truth.time(np.arange(0, 2 * hour, 1000)) - np.arange(0, 7200) * 10**9
    assert 0.5e6 < np.ptp(error) < 0.8e6  # 2 ppm * 1200 s / pi
    assert np.abs(np.diff(error)).max() <= 2000


@settings(max_examples=60)
@given(
    st.integers(0, 10**7),
    st.floats(-500, 500),
    st.floats(-20, 20),
    st.floats(0, 5),
    st.sampled_from([1.0, 30.0, 1000.0, 48_000.0]),
    st.integers(-1, 1),
)
def test_find_is_the_inverse_of_time(k, ppm, drift, wander, rate, off):
    truth = ramp(rate, ppm=ppm, drift=drift, wander=wander).truth
    t = int(truth.time(k)[0]) + off
    assert truth.find(t) == (k if off <= 0 else k + 1)


@settings(max_examples=20)
@given(st.integers(0, 20_000), st.integers(0, 5))
def test_find_is_the_inverse_of_time_for_events(k, seed):
    truth = ramp(500.0, irregular=True, seed=seed, ppm=40.0).truth
    t = int(truth.time(k)[0])
    assert truth.time(truth.find(t))[0] == t
    assert truth.time(truth.find(t + 1))[0] > t


def test_events_are_a_poisson_process():
    truth = ramp(100.0, irregular=True).truth
    steps = np.diff(truth.time(np.arange(20_000))) / 1e9
    assert (steps >= 0).all()
    assert steps.mean() == pytest.approx(0.01, rel=0.05)
    assert steps.std() == pytest.approx(0.01, rel=0.05)


def test_there_is_no_sample_before_the_first():
    with pytest.raises(ParameterError, match="-1 does not exist"):
        ramp().truth.time([-1])


# -- arrivals, in virtual time ----------------------------------------------------------------


def test_readings_are_the_same_every_time_and_start_anywhere():
    options = {"stalls": Stalls(1.0), "drops": Drops(1.0), "seed": 7, "counter": DeviceCounter(16)}
    a = list(ramp(**options).readings(20))
    b = list(ramp(**options).readings(20, start=10**18))
    assert [r.arrival + 10**18 for r in a] == [r.arrival for r in b]
    assert [r.counter for r in a] == [r.counter for r in b]
    np.testing.assert_array_equal(samples(a), samples(b))
    c = list(ramp(**options | {"seed": 8}).readings(20))
    assert [r.arrival for r in a] != [r.arrival for r in c]


@pytest.mark.parametrize("kind", ["exponential", "lognormal", "uniform"])
def test_delays_have_a_floor_and_a_mean(kind):
    sim = ramp(100.0, blocksize=1, delay=Delay(0.02, 0.001, kind))
    readings = list(sim.readings(100))
    delays = np.array([r.arrival for r in readings]) - sim.truth.time(samples(readings))
    assert delays.min() >= 20e6
    assert delays.mean() == pytest.approx(21e6, rel=0.01)


def test_a_stall_holds_up_what_comes_after_it():
    sim = ramp(stalls=Stalls(every=5.0, length=0.2), delay=Delay(0.001, 0.0))
    readings = list(sim.readings(60))
    arrivals = np.array([r.arrival for r in readings])
    last = np.array([r.data[-1] for r in readings])
    late = (arrivals - sim.truth.time(last)) / 1e9
    assert late.min() == pytest.approx(0.001)
    assert late.max() > 0.1
    assert (np.diff(arrivals) > 0).all()
    assert np.diff(arrivals).min() < 1e6  # a burst
    np.testing.assert_array_equal(samples(readings), np.arange(len(samples(readings))))


def test_a_host_that_polls_gets_events_together():
    sim = ramp(500.0, irregular=True, delay=Delay(1e-4, 1e-5, poll=0.01))
    readings = [r for r in sim.readings(10) if len(r.data)]
    assert all(r.arrival % 10_000_000 == 0 for r in readings)
    assert max(len(r.data) for r in readings) > 5
    np.testing.assert_array_equal(samples(readings), np.arange(len(samples(readings))))
    few = dataclasses.replace(sim, blocksize=2)
    assert max(len(r.data) for r in few.readings(10)) == 2


@pytest.mark.parametrize("irregular", [False, True])
@pytest.mark.parametrize("unit", ["blocks", "samples"])
def test_what_is_lost_is_known_to_the_truth_and_to_the_counter(unit, irregular):
    sim = ramp(
        drops=Drops(0.2, 2, 30, unit, reported=True),
        counter=DeviceCounter(32),
        irregular=irregular,
        seed=4,
    )
    readings = [r for r in sim.readings(10) if len(r.data)]
    got, lost = samples(readings), sim.truth.lost
    assert len(lost) > 20
    gone = np.concatenate([np.arange(k, k + count) for k, count in lost])
    np.testing.assert_array_equal(np.sort(np.concatenate([got, gone])), np.arange(got[-1] + 1))
    assert [r.counter for r in readings] == [r.data[-1] for r in readings]
    assert [r.lost for r in readings if r.lost] == [count for _, count in lost]
    if unit == "blocks" and not irregular:
        assert sim.info.quantum == 10
        assert all(count % 10 == 0 for _, count in lost)
    silent = dataclasses.replace(sim, drops=Drops(0.2, 2, 30, unit), counter=None)
    assert all(r.lost is None and r.counter is None for r in silent.readings(1))


def test_counters_wrap():
    frames = [r.counter for r in ramp(blocksize=1, counter=DeviceCounter(8)).readings(1)]
    assert frames[250:260] == [250, 251, 252, 253, 254, 255, 0, 1, 2, 3]
    ticks = DeviceCounter(16, rate=1e6, kind="ticks")
    counts = [r.counter for r in ramp(blocksize=1, counter=ticks, ppm=80.0).readings(1)]
    assert counts[60:70] == [1000 * k % 65_536 for k in range(60, 70)]


def test_stamps_are_of_its_own_clock_or_of_the_host():
    own = ramp(stamps="own", ppm=300.0, resolution=0.004, blocksize=10)
    assert [r.device_time for r in islice(own.readings(), 3)] == [0, 8_000_000, 20_000_000]
    assert own.info.device_clock == "own"
    host = ramp(irregular=True, stamps="host", ppm=300.0, resolution=1e-6)
    readings = [r for r in host.readings(2, start=10**9 + 1) if len(r.data)]
    stamps = np.concatenate([r.device_time for r in readings])
    error = host.truth.time(samples(readings)) - stamps
    assert host.info.device_clock == "host"
    assert error.min() >= 0
    assert error.max() < 1000


def test_a_heartbeat_never_lies():
    sim = ramp(3.0, irregular=True, delay=Delay(0.05, 0.05), seed=2)
    readings = list(sim.readings(60))
    beats = [i for i, r in enumerate(readings) if not len(r.data)]
    assert len(beats) > 100
    for i in beats:
        later = next((r for r in readings[i:] if len(r.data)), None)
        if later is not None:
            assert readings[i].bounds[0] <= sim.truth.time(later.data)[0]
    assert max(b.arrival - a.arrival for a, b in pairwise(readings)) <= 100_000_001


def test_unplugged_it_is_silent_and_then_starts_again():
    sim = ramp(unplugs=((1.0, 2.0), (5.0, 0.5)), counter=DeviceCounter(32), stamps="own")
    readings = list(sim.readings(10))
    arrivals = np.array([r.arrival for r in readings]) / 1e9
    assert not ((arrivals >= 1.0) & (arrivals < 3.0)).any()
    assert not ((arrivals >= 5.0) & (arrivals < 5.5)).any()
    back = next(r for r in readings if r.arrival > 3e9)
    assert back.data[0] == 3000
    assert back.counter == 9
    assert back.device_time == 0
    (first, count), (second, _) = sim.truth.lost
    assert (first + count, second) == (3000, 4990)
    assert first in (980, 990)


@pytest.mark.parametrize("irregular", [False, True])
@pytest.mark.parametrize("duration", [0.001, 0.1, 0.105, 1.234, 3.0])
def test_every_sample_up_to_the_end_comes(duration, irregular):
    options = {"ppm": 300.0, "delay": Delay(0.05, 0.01), "irregular": irregular, "seed": 2}
    sim = ramp(duration=duration, **options)
    readings = list(sim.readings(start=5))
    values = samples(readings)
    assert len(values) == sim.truth.find(5 + round(duration * 1e9))
    np.testing.assert_array_equal(values, np.arange(len(values)))
    endless = list(islice(ramp(**options).readings(start=5), len(readings)))
    for got, whole in zip(readings[:-1], endless, strict=False):
        np.testing.assert_array_equal(got.data, whole.data)
        assert got.arrival == whole.arrival


def test_a_device_without_events_is_heard_of_up_to_its_end():
    sim = Simulated(rate=0.01, irregular=True, duration=1.0)
    beats = list(sim.readings(start=0))
    assert [len(beat.data) for beat in beats] == [0] * 9
    assert [beat.bounds[1] for beat in beats] == [k * 100_000_000 for k in range(1, 10)]


def test_an_hour_takes_a_moment():
    before = host_clock.now()
    hour = list(Simulated(rate=1000.0, signal="zeros", ppm=40.0).readings(3600))
    assert sum(len(r.data) for r in hour) in (3_600_130, 3_600_140)
    assert host_clock.now() - before < 20e9


# -- presets ----------------------------------------------------------------------------------


def test_microphone():
    sim = Simulated.microphone(seed=2)
    (reading,) = islice(sim.readings(), 1)
    assert (sim.info.unit, reading.data.shape, reading.data.dtype) == ("FS", (480, 1), np.float32)
    second = Simulated.microphone(stalls=None).data(np.arange(48_000))[:, 0]
    assert np.abs(second[:4800]).max() > 0.5
    assert np.abs(second[-4800:]).max() < 0.1


@pytest.mark.parametrize("size", [320, (320,), (320, 240, 3), (0, 240), (320.0, 240), None])
def test_a_camera_has_a_width_and_a_height(size: Any) -> None:
    with pytest.raises(ParameterError, match="size must be width and height in pixels"):
        Simulated.camera(size=size)


def test_camera():
    sim = Simulated.camera(size=(160, 120))
    assert sim.info.channels == ("B", "G", "R")
    readings = list(sim.readings(2))
    assert [frame_number(r.data[0]) for r in readings] == list(range(len(readings)))
    assert 57 <= len(readings) <= 60


def test_keyboard():
    sim = Simulated.keyboard(rate=20.0)
    strokes = samples([r for r in sim.readings(20) if len(r.data)])
    assert strokes["key"][strokes["pressed"]][:9].tolist() == [*"the", "space", *"quick"]
    assert sim.info.rate is None


def test_can():
    sim = Simulated.can()
    assert (sim.dtype, sim.info.rate, sim.info.device_clock) == (CAN_DTYPE, None, "host")
    readings = [r for r in sim.readings(4) if len(r.data)]
    frames = samples(readings)
    assert max(len(r.data) for r in readings) > 4
    assert set(frames["arbitration_id"].tolist()) == {0x100, 0x200, 0x310}
    assert set(frames["flags"].tolist()) == {64}  # received
    engine = frames[frames["arbitration_id"] == 0x100]
    assert (engine["dlc"] == 8).all()
    assert engine["data"][:300, 7].tolist() == [k % 256 for k in range(300)]
    speed = engine["data"][:, :2].copy().view("<u2")[:, 0] / 4
    assert 790 < speed.min() < speed.max() < 3210
    doors = frames[frames["arbitration_id"] == 0x310]
    assert (doors["dlc"] == 1).all()
    assert not doors["data"][:, 1:].any()
    stamps = np.concatenate([r.device_time for r in readings])
    error = sim.truth.time(np.arange(len(frames))) - stamps
    assert 0 <= error.min() <= error.max() < 1000


def test_presets_take_options():
    assert Simulated.camera(rate=5.0).info.rate == 5.0
    assert Simulated.microphone(name="mic").info.name == "mic"


# -- bad input --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rate": 0.0}, "rate must be > 0.*irregular=True"),
        ({"rate": float("nan")}, "rate"),
        ({"signal": "cosine"}, "'cosine' is unknown; take one of sine"),
        ({"signal": "sine", "dtype": "U8"}, "cannot be written as <U8"),
        ({"signal": "video"}, "height >= 16"),
        ({"shape": (0,)}, r"shape must be the sizes of one sample, each >= 1, .*, not \(0,\)"),
        ({"blocksize": 0}, "blocksize must be a whole number >= 1, not 0"),
        ({"frequency": -1.0}, "frequency"),
        ({"resolution": 0.0}, "resolution must be > 0"),
        ({"duration": 0.0}, "duration must be > 0"),
        ({"ppm": 1e6}, "ppm must be within"),
        ({"drift": float("nan")}, "drift must be within"),
        ({"seed": -1}, "seed must be an integer >= 0, not -1"),
        ({"channels": ("L", "R")}, "2 channel labels do not fit"),
        ({"stamps": "utc"}, "'own' or 'host', not 'utc'"),
        ({"unplugs": ((2.0, 1.0), (1.0, 1.0))}, "one after the other"),
        ({"unplugs": ((0.0, 1.0),)}, "seconds > 0"),
    ],
)
def test_options_that_cannot_work(options, message):
    with pytest.raises(ParameterError, match=message):
        Simulated(**options)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Delay(-0.1), r"Delay.floor must be >= 0 and at most 1e\+15, not -0.1"),
        (lambda: Delay(kind="gauss"), "must be 'exponential' or .* not 'gauss'"),
        (lambda: Stalls(every=0), "Stalls.every must be > 0"),
        (lambda: Stalls(length=-1), "Stalls.length"),
        (lambda: Drops(every=-1), "Drops.every must be > 0"),
        (lambda: Drops(least=3, most=2), "least=3, most=2"),
        (lambda: Drops(unit="seconds"), "'blocks' or 'samples', not 'seconds'"),
    ],
)
def test_parts_that_cannot_work(make, message):
    with pytest.raises(ParameterError, match=message):
        make()


@pytest.mark.parametrize(
    "signal", [lambda k: k[:-1], lambda k: np.zeros((len(k), 2)), lambda k: k.astype(complex)]
)
def test_a_function_that_returns_something_else(signal):
    sim = Simulated(signal=signal)
    with pytest.raises(ParameterError, match=r"signal returned .*; it must be \(1,\) float32"):
        sim.open(print, print)


def test_negative_length_of_readings():
    with pytest.raises(ParameterError, match="seconds"):
        ramp().readings(-1)
