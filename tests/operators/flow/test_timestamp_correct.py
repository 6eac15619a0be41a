"""timestamp_correct on streams that were cut, fell silent, or end in a gap."""

from typing import Any

import numpy as np
import pytest
import reactivex as rx
from fakes import MS
from hypothesis import strategies as st

from rxstream import Chunk, DeviceCounter, Gap, Reading, StreamInfo, concat
from rxstream import operators as ops
from rxstream.acquisition.stamper import Stamper, Timestamps
from rxstream.errors import ChunkError
from rxstream.testing import check_operator, run_operator

START = 10**18


@st.composite
def readings(draw: st.DrawFn) -> list[Chunk]:
    """Return chunks as a device gives them, each with its evidence."""
    counter = draw(st.sampled_from([None, DeviceCounter(16)]))
    info = StreamInfo("x", 1000.0, (), np.dtype(np.int64), counter=counter, quantum=10)
    mode: Timestamps = draw(st.sampled_from(["arrival", "corrected"]))
    stamper, count, late, out = Stamper(info, mode), 0, 0, []
    for n in draw(st.lists(st.sampled_from([1, 7, 20, 40]), min_size=1, max_size=8)):
        lost = draw(st.sampled_from([None, None, 10]))
        if draw(st.integers(0, 5)) == 0:
            stamper.restart(draw(st.sampled_from(["disconnect", "restart"])))
            late += 100 * MS
        data = np.arange(count, count + n) + (lost or 0)
        data.flags.writeable = False
        count += n + (lost or 0)
        late += draw(st.integers(0, 3 * MS))
        reading = Reading(data, counter=None if counter is None else count, lost=lost)
        chunk = stamper.stamp(reading, data, START + count * MS + late)
        assert chunk is not None
        out.append(chunk)
    return out


@pytest.mark.parametrize("hold", [0.0, 0.05])
def test_laws(hold: float) -> None:
    check_operator(
        lambda: ops.timestamp_correct(hold=hold),
        source=readings(), regroups=False, conserves=False,
    )  # fmt: skip


@pytest.mark.parametrize("mode", ["arrival", "corrected"])
@pytest.mark.parametrize("size", [100, 1000])
def test_readings_that_were_cut_are_made_whole_again(mode: Any, size: int) -> None:
    info = StreamInfo("x", 48_000.0, (), np.dtype(np.int64), quantum=480)
    stamper, rng, chunks = Stamper(info, mode), np.random.default_rng(0), list[Chunk]()
    for k in range(1500):
        count = 480 * (k + 1 + 2 * (k >= 700))
        data = np.arange(count - 480, count)
        arrival = count / 48_000 * (1 + 80e-6) + rng.exponential(5e-4)
        chunk = stamper.stamp(Reading(data), data, START + round(arrival * 1e9))
        assert chunk is not None
        chunks.append(chunk)
    whole = run_operator(ops.timestamp_correct(), chunks)
    cut = run_operator(rx.compose(ops.rechunk(size), ops.timestamp_correct()), chunks)
    assert concat(cut) == concat(whole)
    assert [gap.lost for chunk in whole for gap in chunk.gaps] == [960]
    assert len(cut) == len(whole)


def test_parts_of_readings_keep_their_times() -> None:
    """A subscriber that fell behind goes on in the middle of a reading."""
    info = StreamInfo("x", 1000.0, (), np.dtype(np.int64), counter=DeviceCounter(16))
    stamper, chunks = Stamper(info), list[Chunk]()
    for k in range(100):
        data = np.arange(10 * k, 10 * k + 10)
        chunk = stamper.stamp(Reading(data, counter=10 * k + 10), data, START + k * 10 * MS)
        assert chunk is not None
        chunks.append(chunk)
    whole = concat(chunks)
    head, tail = whole[:503], whole[537:]
    lag = Gap(head.end, tail.start, 34, "lag")
    out = concat(run_operator(ops.timestamp_correct(), [head, tail.with_gap(lag)]))
    assert out.gaps == (lag,)
    np.testing.assert_array_equal(out.time, np.concatenate((head.time, tail.time)))


@pytest.mark.parametrize("lost", [300, None])
@pytest.mark.parametrize("hold", [0.0, 0.05])
def test_silence_and_a_loss_at_the_end_are_reported(lost: int | None, hold: float) -> None:
    info = StreamInfo("x", 1000.0, (), np.dtype(np.int64))
    first = Chunk.regular(np.arange(100), info, start=0)
    rest = Chunk.regular(np.arange(0), info, start=200 * MS, index=100)
    gap = Gap(200 * MS, 500 * MS, lost, "dropped")
    end = Chunk.regular(np.arange(0), info, start=500 * MS, index=100 + (lost or 0), gap=gap)
    out = run_operator(ops.timestamp_correct(hold=hold), [first, rest, end])
    *_, silent, last = out if not hold else [first, *out]
    assert len(last) == 0
    assert silent.end == first.end + 1  # the last sample has just arrived when it ends
    assert [(g.start, g.duration, g.lost) for g in last.gaps] == [(silent.end, 0.3, lost)]
    assert last.index == 100 + (lost or 0)


@pytest.mark.parametrize("stamps", [START, START + np.arange(10) * MS])
@pytest.mark.parametrize(
    "settings", [{"quantum": 10}, {"hold": 0.1}, {"counter": DeviceCounter(8)}, {"on_step": "gap"}]
)
def test_settings_that_cannot_act_on_stamps_are_refused(stamps: Any, settings: Any) -> None:
    info = StreamInfo("audio", 1000.0, (), np.dtype(np.int64), device_clock="host")
    data = np.arange(10)
    chunk = Stamper(info).stamp(Reading(data, device_time=stamps), data, START + 20 * MS)
    assert chunk is not None
    with pytest.raises(ChunkError, match=f"audio .* {next(iter(settings))} cannot act: leave out"):
        run_operator(ops.timestamp_correct(**settings), [chunk])
    (out,) = run_operator(ops.timestamp_correct(path_delay=0.005), [chunk])
    assert out.start == chunk.start - 5 * MS


@pytest.mark.parametrize("overrun", [False, True])
@pytest.mark.parametrize("reported", [None, 5])
def test_held_chunks_of_a_device_have_the_gap_where_the_loss_was(
    overrun: bool, reported: int | None
) -> None:
    """The device has marked it where it found it, some chunks late."""
    stamper, rng = (
        Stamper(StreamInfo("x", 1000.0, (), np.dtype(np.int64))),
        np.random.default_rng(0),
    )
    chunks = list[Chunk]()
    for k in range(600):
        first = 10 * k + 30 * (k >= 300) + (reported or 0) * (k >= 400)
        data, late = np.arange(first, first + 10), round(rng.exponential(3e5))
        if k == 300 and overrun:
            stamper.overrun()
        reading = Reading(data, lost=reported if k == 400 else None)
        chunk = stamper.stamp(reading, data, START + (first + 10) * MS + late)
        assert chunk is not None
        chunks.append(chunk)
    reason = "overrun" if overrun else "dropped"
    expected = [(3030, 30, reason)] + ([(4030 + reported, reported, "dropped")] if reported else [])

    def gaps(out: list[Chunk]) -> list[tuple[int, int | None, str]]:
        return [(c.index, gap.lost, gap.reason) for c in out for gap in c.gaps]

    assert gaps(chunks)[0][0] > 3030
    again = run_operator(ops.timestamp_correct(), chunks)
    assert gaps(again) == gaps(chunks)
    held = run_operator(ops.timestamp_correct(hold=0.5), chunks)
    assert gaps(held) == expected
    assert [c.index for c in held] == [c.data[0] for c in held]
    errors = [c.start - START - c.index * MS for c in held[100:]]
    assert max(map(abs, errors)) < 2 * MS
