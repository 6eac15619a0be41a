"""A device that comes back with samples of another kind: it says so, and nobody gets them mixed."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import Manual, eventually

from rxstream import Device, StreamInfo, sinks
from rxstream import operators as ops
from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.errors import ChunkError, DeviceError, DeviceLostError

pytestmark = pytest.mark.real
BEFORE = StreamInfo("camera", rate=100.0, shape=(24, 32, 3), dtype=np.uint8)
AFTER = StreamInfo("camera", rate=100.0, shape=(12, 16, 3), dtype=np.uint8)


class Changing(Manual):
    """A source that says at each opening what it gives."""

    def open(self, emit: Emit, fail: Fail) -> tuple[Close, StreamInfo]:  # type: ignore[override]
        close = super().open(emit, fail)
        return close, BEFORE if self.opened == 1 else AFTER


class Lost:
    """A device that has come back with smaller pictures; subscribe before `change`."""

    def __init__(self) -> None:
        self.source = Changing(BEFORE)
        self.device = Device(self.source, reconnect=0.001)

    def change(self) -> None:
        self.source.emit(np.ones((5, *BEFORE.shape), np.uint8))
        self.source.fail(DeviceLostError("unplugged"))
        assert eventually(lambda: self.device.state == "open" and self.source.opened == 2)
        self.source.emit(np.ones((7, *AFTER.shape), np.uint8))


@pytest.fixture
def lost() -> Iterator[Lost]:
    made = Lost()
    with made.device:
        yield made


def names_both(error: BaseException | None) -> bool:
    return "(24, 32, 3)" in str(error) and "(12, 16, 3)" in str(error)


def test_it_is_a_fault_and_each_chunk_says_what_it_has(lost: Lost) -> None:
    chunks: list[Any] = []
    lost.device.subscribe(chunks.append)
    lost.change()
    errors = [e for e in lost.device.faults if type(e) is DeviceError]
    assert len(errors) == 1
    assert names_both(errors[0])
    assert eventually(lambda: sum(map(len, chunks)) == 12)
    assert [chunk.info.shape for chunk in chunks] == [BEFORE.shape, AFTER.shape]
    assert all(chunk.data.shape[1:] == chunk.info.shape for chunk in chunks)
    assert chunks[1].gaps[0].reason == "disconnect"


def test_coming_back_the_same_is_no_change(lost: Lost) -> None:
    lost.source.open = lambda emit, fail: (Manual.open(lost.source, emit, fail), BEFORE)  # type: ignore[assignment,method-assign,return-value]
    lost.source.emit(np.ones((5, *BEFORE.shape), np.uint8))
    lost.source.fail(DeviceLostError("unplugged"))
    assert eventually(lambda: lost.device.state == "open" and lost.source.opened == 2)
    assert [type(e) for e in lost.device.faults] == [DeviceLostError]


def test_who_joins_them_is_told_what_to_do(lost: Lost) -> None:
    errors: list[Any] = []
    lost.device.pipe(ops.rechunk(4)).subscribe(lambda _: None, errors.append)
    lost.change()
    assert eventually(lambda: errors)
    with pytest.raises(ChunkError, match="map_data") as raised:
        lost.device.last(30)
    for error in (errors[0], raised.value):
        assert isinstance(error, ChunkError)
        assert names_both(error)
    changed = next(c.start for c in lost.device.past(30) if c.info.shape == AFTER.shape)
    assert str(changed) in str(raised.value)
    assert len(lost.device.between(changed, changed + 10**10)) == 7


@pytest.mark.parametrize("suffix", ["mkv", "csv"])
def test_a_sink_refuses_the_others(suffix: str, lost: Lost, tmp_path: Path) -> None:
    if suffix == "mkv":
        pytest.importorskip("av")
    sink = {"mkv": sinks.video, "csv": sinks.csv}[suffix](tmp_path / f"a.{suffix}")
    stream = lost.device
    if suffix == "csv":
        stream = stream.pipe(ops.map_data(lambda x: x.reshape(len(x), -1)[:, :: len(x[0])]))
    stream.subscribe(sink)
    lost.change()
    assert sink.wait(10)
    assert isinstance(sink.error, ChunkError)
    assert "map_data" in str(sink.error)
    assert sink.samples == 5


# -- another rate -----------------------------------------------------------------------------


class OtherRate(Manual):
    """A source that says another rate each time it is opened; the last one stays."""

    def __init__(self, *rates: float | None) -> None:
        super().__init__(StreamInfo("mic", rate=rates[0], dtype=np.int64))
        self.rates = rates

    def open(self, emit: Emit, fail: Fail) -> tuple[Close, StreamInfo]:  # type: ignore[override]
        close = super().open(emit, fail)
        rate = self.rates[min(self.opened, len(self.rates)) - 1]
        return close, StreamInfo("mic", rate=rate, dtype=np.int64)


@pytest.mark.parametrize(
    ("before", "after", "words"),
    [
        (48_000.0, 44_100.0, "44100 Hz, which was 48000 Hz"),
        (48_000.0, 96_000.0, "96000 Hz, which was 48000 Hz"),
        (48_000.0, None, "none, which was 48000 Hz"),
        (None, 48_000.0, "48000 Hz, which was none"),
    ],
)
def test_another_rate_ends_the_stream(
    before: float | None, after: float | None, words: str
) -> None:
    source = OtherRate(before, after)
    device = Device(source, reconnect=0.001)
    chunks: list[Any] = []
    errors: list[Exception] = []
    device.subscribe(chunks.append, errors.append)
    with device:
        source.emit(np.arange(5))
        source.fail(DeviceLostError("unplugged"))
        assert device.wait(10)
        assert device.state == "failed"
        source.emit(np.arange(5))
        assert eventually(lambda: source.closed == 2)
    (error,) = errors
    assert isinstance(error, ChunkError)
    assert f"mic: it came back with a rate of {words}" in str(error)
    assert [type(fault) for fault in device.faults] == [DeviceLostError, ChunkError]
    assert sum(map(len, chunks)) == 5
    # a new stream has the new rate
    with device:
        assert device.info.rate == after
        source.emit(np.arange(5))
        assert [chunk.rate for chunk in device.past(30)] == [after]


def test_a_rate_that_the_clock_follows_is_reported_and_stays() -> None:
    source = OtherRate(30.0, 29.97)
    chunks: list[Any] = []
    with Device(source, reconnect=0.001) as device:
        device.subscribe(chunks.append)
        source.emit(np.arange(5))
        source.fail(DeviceLostError("unplugged"))
        assert eventually(lambda: device.state == "open" and source.opened == 2)
        source.emit(np.arange(5))
        assert device.info.rate == 30.0
        _, fault = device.faults
    assert "it came back with a rate of 29.97 Hz, which was 30 Hz" in str(fault)
    assert [chunk.rate for chunk in chunks] == [30.0, 30.0]


def test_a_rate_that_changes_before_any_sample_is_no_change() -> None:
    source = OtherRate(48_000.0, 44_100.0)
    with Device(source, reconnect=0.001) as device:
        source.fail(DeviceLostError("unplugged"))
        assert eventually(lambda: device.state == "open" and source.opened == 2)
        assert device.info.rate == 44_100.0
        assert [type(fault) for fault in device.faults] == [DeviceLostError]
