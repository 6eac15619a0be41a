"""meter and timestamp_correct, on a simulated device in virtual time that knows the truth."""

import numpy as np
import pytest
import reactivex as rx

from rxstream import Chunk, Counter, Gap, StreamInfo
from rxstream import operators as ops
from rxstream.devices.twin import Delay, Drops, Twin
from rxstream.errors import ChunkError
from rxstream.metering import Flow
from rxstream.testing import run


def arrivals(twin: Twin, seconds: float) -> list[Chunk]:
    """Return chunks as somebody makes them who reads and then asks the clock."""
    out, index = [], 0
    for reading in twin.readings(seconds, start=10**18):
        n = len(reading.data)
        start = (reading.arrival or 0) - round(n * 1e9 / twin.rate)
        out.append(Chunk.regular(reading.data, twin.info, start=start, index=index))
        index += n
    return out


TWIN = Twin(
    rate=1000.0, signal="ramp", dtype=np.int64, blocksize=10, ppm=80.0, delay=Delay(0.0, 0.002)
)


def test_timestamp_correct_finds_the_true_times() -> None:
    raw = arrivals(TWIN, 60)
    out = run(ops.timestamp_correct(), raw)
    assert sum(map(len, out)) == sum(map(len, raw))
    assert [gap for chunk in out for gap in chunk.gaps] == []
    settled = out[1000:]
    index = np.concatenate([chunk.data for chunk in settled])
    times = np.concatenate([chunk.time for chunk in settled])
    error = times - TWIN.truth.time(index)
    naive = np.concatenate([chunk.time for chunk in raw[1000:]]) - TWIN.truth.time(index)
    assert np.percentile(np.abs(error), 95) < 100_000
    assert np.percentile(np.abs(naive), 95) > 20 * np.percentile(np.abs(error), 95)
    assert (np.diff(np.concatenate([chunk.time for chunk in out])) > 0).all()


def test_timestamp_correct_finds_losses() -> None:
    twin = Twin(
        rate=1000.0, signal="ramp", dtype=np.int64, blocksize=10, delay=Delay(0.0, 0.001),
        drops=Drops(every=5.0, least=5, most=9),
    )  # fmt: skip
    raw = arrivals(twin, 60)
    out = run(ops.timestamp_correct(quantum=10), raw)
    told = sum(gap.lost or 0 for chunk in out for gap in chunk.gaps if gap.why == "dropped")
    # what is lost before the model has seen anything cannot be told from a later start
    assert told == sum(lost.samples for lost in twin.truth.lost if lost.first > 1000)
    index = np.concatenate([chunk.data for chunk in out[2000:]])
    times = np.concatenate([chunk.time for chunk in out[2000:]])
    assert np.percentile(np.abs(times - twin.truth.time(index)), 95) < 500_000


def test_timestamp_correct_needs_a_rate() -> None:
    info = StreamInfo("events", None, (), np.dtype(np.int64))
    with pytest.raises(ChunkError, match="events has no rate"):
        run(ops.timestamp_correct(), [Chunk.stamped(np.zeros(1, np.int64), [5], info)])


def test_meter_counts_and_measures() -> None:
    info = StreamInfo("x", 100.0, (), np.dtype(np.int64), counter=Counter(16))
    period = 1e7 * (1 - 100e-6)  # 100 ppm fast
    whole = Chunk.regular(np.arange(1000), info, start=0, period=period)
    flows = run(ops.meter(every=2.0), [whole[k : k + 10] for k in range(0, 1000, 10)])
    assert all(isinstance(flow, Flow) for flow in flows)
    assert len(flows) == 5
    last = flows[-1]
    assert last.samples == 1000
    assert last.chunks == 100
    assert last.ppm == pytest.approx(100, abs=0.1)
    assert last.lost == 0


def test_meter_tells_losses_and_restarts_with_each_subscription() -> None:
    info = StreamInfo("x", 100.0, (), np.dtype(np.int64))
    a = Chunk.regular(np.arange(100), info, start=0)
    b = a.with_data(a.data)[50:]
    gap = a[:50].end
    lossy = [a[:30], b.with_gap(Gap(a[:30].end, gap, 20, "dropped"))]
    operator = ops.meter(every=100)
    for _ in range(2):
        (flow,) = run(operator, lossy)
        assert (flow.samples, flow.lost, flow.gaps) == (80, 20, 1)
        assert flow.rate == pytest.approx(100.0)


def test_meter_of_nothing() -> None:
    assert run(ops.meter(), []) == []
    rx.empty().pipe(ops.meter()).subscribe(lambda _: pytest.fail("nothing came"))
