"""No sample of a live device is stamped after it arrived, whatever evidence comes with it."""

from itertools import pairwise
from typing import Any

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from rxstream import Chunk, DeviceCounter, Reading, StreamInfo
from rxstream.acquisition.stamper import Stamper, clock_settings

START, US, MS = 10**18, 1_000, 1_000_000
SAMPLES, TICKS = DeviceCounter(16), DeviceCounter(32, 1e6, "ticks")

# Distances of arrivals [ns]: together, in bursts, as a clock or a loop gives them, after a silence.
STEPS = st.one_of(
    st.sampled_from([0, 1, 2, 10 * MS, 100 * MS, 1_500 * MS]),
    st.integers(0, 30 * MS),
    st.integers(9_900 * US, 10_100 * US),
)


@st.composite
def infos(draw: Any) -> StreamInfo:
    return StreamInfo(
        "x", draw(st.sampled_from([None, 1.0, 100.0, 300.0, 48_000.0])), (), np.dtype(np.int64),
        counter=draw(st.sampled_from([None, None, SAMPLES, TICKS])),
        quantum=draw(st.sampled_from([None, 1, 4])),
        device_clock=draw(st.sampled_from(["host", "own"])),
    )  # fmt: skip


@st.composite
def readings(draw: Any, info: StreamInfo, arrival: int, first: int) -> Reading:
    """Draw a reading, with right, wrong and missing evidence; perhaps a heartbeat."""
    n = draw(st.sampled_from([1, 1, 1, 2, 4, 4, 480] + ([] if info.rate else [0])))
    data = np.arange(first, first + n)
    data.flags.writeable = False
    zero = 0 if info.device_clock == "host" else START // 2
    stamp, bounds, counter, lost = None, None, None, None
    if draw(st.booleans()):
        stamp = arrival - zero - draw(st.integers(-20 * MS, 50 * MS))
    if stamp is not None and n and draw(st.booleans()):
        stamp = stamp + np.cumsum(draw(st.lists(st.integers(-MS, 10 * MS), min_size=n, max_size=n)))
    if draw(st.integers(0, 3)) == 0:
        low = arrival - draw(st.integers(-MS, 20 * MS))
        bounds = low, low + draw(st.integers(0, 30 * MS))
    if info.counter is not None and draw(st.booleans()):
        counter = draw(st.one_of(st.just(first + n), st.integers(0, (1 << 16) - 1)))
    if draw(st.integers(0, 9)) == 0:
        lost = draw(st.integers(0, 20))
    return Reading(
        data, counter=counter, device_time=stamp, bounds=bounds, lost=lost, arrival=arrival
    )


def stamped(stamper: Stamper, items: list[Reading], *, checked: bool = True) -> list[Chunk[Any]]:
    """Return the chunks of readings; check each against its arrival."""
    out: list[Chunk[Any]] = []
    # Samples that came at one time lie a nanosecond apart, later ones after that time.
    limit = 0
    for reading in items:
        arrival = reading.arrival or 0
        chunk = stamper.stamp(reading, reading.data, arrival)
        n = len(reading.data)
        if chunk is None:
            assert not n
            continue
        limit = max(arrival, limit + 1) + n - 1 if n else max(arrival, limit)
        if not checked:
            out.append(chunk)
            continue
        if n:
            assert chunk.time[-1] <= limit, (chunk.time[-1] - arrival, n)
        assert chunk.end <= limit + 1
        out.append(chunk)
    return out


@given(st.data())
def test_whatever_the_evidence(data: st.DataObject) -> None:
    info = data.draw(infos())
    mode: Any = data.draw(st.sampled_from(["corrected", "corrected", "arrival"]))
    settings = clock_settings(info, data.draw(st.sampled_from([0.0, 0.001])))
    arrival, first, items = START, 0, list[Reading]()
    for step in data.draw(st.lists(STEPS, min_size=1, max_size=40)):
        arrival += step
        items.append(data.draw(readings(info, arrival, first)))
        first += len(items[-1].data)
    # A sound driver's stamps of blocks are smoothed as they are: PortAudio on PulseAudio means
    # times some ms after the arrival.
    single = any(isinstance(reading.device_time, int) for reading in items)
    driver = mode == "corrected" and info.device_clock == "host" and info.rate and single
    chunks = stamped(Stamper(info, mode, settings, live=True), items, checked=not driver)
    for before, chunk in pairwise(chunks):
        assert chunk.covered_from == before.end
    times = np.concatenate([chunk.time for chunk in chunks] or [np.empty(0)])
    assert (np.diff(times) > 0).all()
    assert len(times) == first
    for chunk in chunks:
        if len(chunk):
            assert chunk.start <= chunk.time[0] <= chunk.time[-1] < chunk.end


@given(
    st.sampled_from([1.0, 10.0, 100.0, 1000.0]),
    st.sampled_from([1, 1, 10]),
    st.sampled_from(["exponential", "normal", "walk", "burst"]),
    st.integers(0, 10**6),
)
def test_of_long_streams(rate: float, n: int, law: str, seed: int) -> None:
    """With 300 chunks the model has been in each of its states."""
    rng, period = np.random.default_rng(seed), n / rate
    count = 300
    taken = period * np.arange(1, count + 1)
    if law == "walk":
        taken = np.cumsum(period * (1 + np.abs(rng.normal(0, 0.1, count))))
    delay = rng.exponential(0.3 * period, count) if law != "normal" else (
        np.abs(rng.normal(period, 0.2 * period, count)))  # fmt: skip
    arrival = np.maximum.accumulate(taken + delay)
    if law == "burst":
        arrival = arrival[np.minimum(np.arange(count) | 3, count - 1)]
    samples = np.zeros(n, np.int64)
    samples.flags.writeable = False
    stamper = Stamper(StreamInfo("x", rate, (), np.dtype(np.int64)), live=True)
    at = [START + round(t * 1e9) for t in arrival.tolist()]
    chunks = stamped(stamper, [Reading(samples, arrival=t) for t in at])
    assert sum(map(len, chunks)) == n * count
