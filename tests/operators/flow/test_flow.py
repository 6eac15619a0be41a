"""meter and timestamp_correct, on a simulated device in virtual time that knows the truth."""

from itertools import pairwise

import numpy as np
import pytest
import reactivex as rx

from rxstream import Chunk, DeviceCounter, Gap, StreamInfo, concat
from rxstream import operators as ops
from rxstream.data.flow import Flow
from rxstream.devices.simulated import Delay, Drops, Simulated
from rxstream.errors import ChunkError
from rxstream.testing import run_operator


def arrivals(device: Simulated, seconds: float) -> list[Chunk]:
    """Return chunks as somebody makes them who reads and then asks the clock."""
    out, index = [], 0
    for reading in device.readings(seconds, start=10**18):
        n = len(reading.data)
        start = (reading.arrival or 0) - round(n * 1e9 / device.rate)
        out.append(Chunk.regular(reading.data, device.info, start=start, index=index))
        index += n
    return out


def concat_data(chunks: list[Chunk]) -> np.ndarray:
    return np.concatenate([chunk.data for chunk in chunks])


DEVICE = Simulated(
    rate=1000.0, signal="ramp", dtype=np.int64, blocksize=10, ppm=80.0, delay=Delay(0.0, 0.002)
)


def test_timestamp_correct_finds_the_true_times() -> None:
    raw = arrivals(DEVICE, 60)
    out = run_operator(ops.timestamp_correct(), raw)
    assert sum(map(len, out)) == sum(map(len, raw))
    assert [gap for chunk in out for gap in chunk.gaps] == []
    settled = out[1000:]
    index = np.concatenate([chunk.data for chunk in settled])
    times = np.concatenate([chunk.time for chunk in settled])
    error = times - DEVICE.truth.time(index)
    naive = np.concatenate([chunk.time for chunk in raw[1000:]]) - DEVICE.truth.time(index)
    assert np.percentile(np.abs(error), 95) < 100_000
    assert np.percentile(np.abs(naive), 95) > 20 * np.percentile(np.abs(error), 95)
    assert (np.diff(np.concatenate([chunk.time for chunk in out])) > 0).all()


def test_timestamp_correct_finds_losses() -> None:
    device = Simulated(
        rate=1000.0, signal="ramp", dtype=np.int64, blocksize=10, delay=Delay(0.0, 0.001),
        drops=Drops(every=5.0, least=5, most=9),
    )  # fmt: skip
    raw = arrivals(device, 60)
    out = run_operator(ops.timestamp_correct(quantum=10), raw)
    lost = sum(gap.lost or 0 for chunk in out for gap in chunk.gaps if gap.reason == "dropped")
    # what is lost in the first second may look like a later start
    late = sum(x.samples for x in device.truth.lost if x.first > 1000)
    assert lost in (late, sum(x.samples for x in device.truth.lost))
    index = np.concatenate([chunk.data for chunk in out[2000:]])
    times = np.concatenate([chunk.time for chunk in out[2000:]])
    assert np.percentile(np.abs(times - device.truth.time(index)), 95) < 500_000


def test_hold_waits_for_the_decision_and_puts_the_gap_where_it_was() -> None:
    device = Simulated(
        rate=48_000.0, signal="ramp", dtype=np.int64, delay=Delay(0.0, 0.0005),
        drops=Drops(every=3.0, least=1, most=6),
    )  # fmt: skip
    raw = arrivals(device, 60)
    worst = []
    for hold in (0.0, 0.5):
        out = run_operator(ops.timestamp_correct(quantum=480, hold=hold), raw)
        joined = concat(out)
        assert np.array_equal(joined.data, concat_data(raw))
        assert (np.diff(joined.time) > 0).all()
        assert all(a.end == b.covered_from for a, b in pairwise(out))
        late = out[300:]
        index = np.array([int(c.data[-1]) for c in late])
        times = np.array([c.axis.at(len(c) - 1) for c in late])
        worst.append(np.percentile(np.abs(times - device.truth.time(index)), 99.8))
        if hold:
            # a gap lies right before the first sample that came after the loss
            true = {x.first + x.samples for x in device.truth.lost if x.first > 48_000}
            marked = {int(c.data[0]) for c in out if c.gap}
            assert len(true & marked) >= 0.9 * len(true), (sorted(true), sorted(marked))
            assert len({c.index - int(c.data[0]) for c in late}) == 1
        found = sum(x.samples for x in device.truth.lost if x.first > 48_000)
        assert joined.lost in (found, sum(x.samples for x in device.truth.lost))
    assert worst[1] < worst[0] / 10


def test_timestamp_correct_needs_a_rate() -> None:
    info = StreamInfo("events", None, (), np.dtype(np.int64))
    with pytest.raises(ChunkError, match="events has no rate"):
        run_operator(ops.timestamp_correct(), [Chunk.stamped(np.zeros(1, np.int64), [5], info)])


def test_meter_counts_and_measures() -> None:
    info = StreamInfo("x", 100.0, (), np.dtype(np.int64), counter=DeviceCounter(16))
    period = 1e7 * (1 - 100e-6)  # 100 ppm fast
    whole = Chunk.regular(np.arange(1000), info, start=0, period=period)
    flows = run_operator(ops.meter(every=2.0), [whole[k : k + 10] for k in range(0, 1000, 10)])
    assert all(isinstance(flow, Flow) for flow in flows)
    assert len(flows) == 5
    last = flows[-1]
    assert last.samples == 1000
    assert last.chunks == 100
    assert last.ppm == pytest.approx(100, abs=0.1)
    assert last.lost == 0


def test_meter_reports_losses_and_restarts_with_each_subscription() -> None:
    info = StreamInfo("x", 100.0, (), np.dtype(np.int64))
    a = Chunk.regular(np.arange(100), info, start=0)
    b = a.with_data(a.data)[50:]
    gap = a[:50].end
    lossy = [a[:30], b.with_gap(Gap(a[:30].end, gap, 20, "dropped"))]
    operator = ops.meter(every=100)
    for _ in range(2):
        (flow,) = run_operator(operator, lossy)
        assert (flow.samples, flow.lost, flow.gaps) == (80, 20, 1)
        assert flow.rate == pytest.approx(100.0)


def test_meter_counts_a_gap_once_however_the_stream_was_cut() -> None:
    info = StreamInfo("x", 100.0, (), np.dtype(np.int64))
    ms = 1_000_000
    gap = Gap(100 * ms, 300 * ms, 20, "dropped")
    whole = concat([
        Chunk.regular(np.arange(10), info, start=0),
        Chunk.regular(np.arange(30, 90), info, start=300 * ms, index=30, gap=gap),
    ])  # fmt: skip
    cut = [whole.between(t * ms, (t + 70) * ms) for t in range(0, 900, 70)]
    for chunks in ([whole], cut):
        (flow,) = run_operator(ops.meter(every=100), chunks)
        assert (flow.samples, flow.lost, flow.gaps) == (70, 20, 1)
        assert flow.rate == pytest.approx(100.0)


def test_meter_of_nothing() -> None:
    assert run_operator(ops.meter(), []) == []
    rx.empty().pipe(ops.meter()).subscribe(lambda _: pytest.fail("nothing came"))


def test_timestamp_correct_passes_on_marked_losses() -> None:
    info = StreamInfo("x", 1000.0, (), np.dtype(np.int64))
    ms = 1_000_000

    def piece(t: int, index: int, n: int, gap: Gap | None = None) -> Chunk:
        return Chunk.regular(np.arange(index, index + n), info, start=t * ms, index=index, gap=gap)

    lossy = [
        piece(0, 0, 10),
        piece(15, 15, 10, Gap(10 * ms, 15 * ms, 5, "overrun")),
        piece(30, 30, 0, Gap(25 * ms, 30 * ms, 5, "dropped")),  # in a heartbeat
        piece(30, 30, 10),
        piece(40, 43, 10, Gap(40 * ms, 40 * ms, 3, "lag")),  # no time passed
        piece(9000, 53, 10, Gap(50 * ms, 9000 * ms, None, "disconnect")),
    ]
    for chunks in (lossy, [concat(lossy)]):
        out = run_operator(ops.timestamp_correct(), chunks)
        assert concat_data(out).tolist() == concat_data(lossy).tolist()
        gaps = [gap for chunk in out for gap in chunk.gaps]
        assert [gap.reason for gap in gaps] == ["overrun", "dropped", "lag", "disconnect"]
        assert [gap.lost for gap in gaps[:3]] == [5, 5, 3]
        assert gaps[3].duration == pytest.approx(8.95, abs=0.01)
