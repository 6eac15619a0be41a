"""Outlets of the Lab Streaming Layer in other processes, killed and started again; and ours."""

import math
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import eventually
from lsl_outlet import Outlet, private_network

from rxstream import Backoff, Chunk, Device, StreamInfo, concat
from rxstream.data.clock import now_ns
from rxstream.devices import Lsl, Simulated
from rxstream.errors import (
    ChunkError,
    DeviceLostError,
    DeviceNotFoundError,
    MissingExtraError,
    ParameterError,
    StampError,
)
from rxstream.sinks import lsl
from rxstream.testing import check_source

pytestmark = pytest.mark.real

PAGE = Path(__file__).parents[2] / "docs" / "devices" / "lsl.md"


@pytest.fixture(scope="module", autouse=True)
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    with private_network(tmp_path_factory.mktemp("lsl")):
        yield


@pytest.fixture(scope="module")
def outlets(network: None) -> Iterator[dict[str, Outlet]]:
    with Outlet() as numbers, Outlet(0.0, "marks", "marks-1") as texts:
        yield {"numbers": numbers, "texts": texts}


@pytest.fixture
def outlet(outlets: dict[str, Outlet]) -> Outlet:
    outlets["numbers"].be_found()
    return outlets["numbers"]


@pytest.fixture
def marks(outlets: dict[str, Outlet]) -> Outlet:
    outlets["texts"].be_found()
    return outlets["texts"]


def test_a_stream_keeps_the_rules(outlet: Outlet) -> None:
    check_source(
        lambda: Lsl("rx"), unplug=outlet.unplug, plug=outlet.plug,
        absent=lambda: Lsl("nobody", timeout=0.1),
    )  # fmt: skip


def test_texts_keep_the_rules(marks: Outlet) -> None:
    check_source(lambda: Lsl("marks"), feed=lambda: marks.say("go"))


def test_what_the_outlet_says_of_itself(outlet: Outlet) -> None:
    with Device(Lsl(type="EEG", source_id="rx-1")) as device, device.reader() as reader:
        chunk = reader.read(20, timeout=10)
        info = device.info
    assert (info.rate, info.shape, info.dtype) == (200.0, (2,), np.dtype("f4"))
    assert (info.extra["name"], info.extra["source_id"]) == ("rx", "rx-1")
    assert info.channels == ("C0", "C1")
    assert info.unit == "µV"
    assert chunk.data[:, 0].tolist() == chunk.data[:, 1].tolist()
    assert (np.diff(chunk.data[:, 0]) == 1).all()


def test_times_are_those_of_the_sender(outlet: Outlet) -> None:
    with Device(Lsl("rx")) as device, device.reader() as reader:
        chunk = reader.read(100, timeout=10)
    # sample by sample at its stamp: the outlet's are 5 ms apart, whatever the pace of its loop
    steps = np.diff(chunk.time) / 1e6
    assert np.quantile(np.abs(steps - 5.0), 0.9) < 0.2
    assert 0 < chunk.uncertainty < 50e6
    assert all(item.arrival >= chunk.time[0] for item in chunk.evidence)


def test_a_sender_that_is_killed_and_started_again(outlet: Outlet) -> None:
    before = threading.active_count()
    device = Device(Lsl("rx"), reconnect=Backoff(first=0.02, most=0.1))
    chunks: list[Chunk[Any]] = []
    with device:
        device.subscribe(chunks.append)
        assert eventually(lambda: sum(map(len, chunks)) >= 50)
        outlet.unplug()
        assert eventually(lambda: device.state == "lost")
        count = sum(map(len, chunks))
        outlet.plug()
        assert eventually(lambda: sum(map(len, chunks)) >= count + 50)
    joined = concat(chunks)
    numbers = joined.data[:, 0]
    gaps = [at for at in joined.gap_positions if at.gap.reason == "disconnect"]
    assert len(gaps) == len(joined.gap_positions) == 1
    # all samples that were sent while it was connected: counted up before and after
    first, second = numbers[: gaps[0].position], numbers[gaps[0].position :]
    assert (np.diff(first) == 1).all()
    assert (np.diff(second) == 1).all()
    gap = gaps[0].gap
    assert gap.lost == pytest.approx(gap.duration * 200.0, abs=2)
    assert threading.active_count() == before


def test_a_sender_that_ends_is_a_lost_device(outlet: Outlet) -> None:
    device = Device(Lsl("rx"))
    errors: list[Exception] = []
    with device:
        device.subscribe(lambda _: None, errors.append)
        outlet.unplug()
        assert device.wait(10)
    outlet.plug()
    assert isinstance(errors[0], DeviceLostError)
    assert "the sender has ended" in str(errors[0])


def test_texts_come_with_their_stamps(marks: Outlet) -> None:
    device = Device(Lsl("marks", longest=5))
    with device, device.reader() as reader:
        before = now_ns()
        for text in ("start", "too long", "ende"):
            marks.say(text)
        chunk = reader.read(2, timeout=10)
        after = now_ns()
    assert chunk.data.tolist() == ["start", "ende"]
    assert [(at.position, at.gap.lost) for at in chunk.gap_positions] == [(1, 1)]
    # within the error of the distance of the clocks
    assert before - chunk.uncertainty <= chunk.time[0] < chunk.time[1] <= after + chunk.uncertainty


def test_stamps_that_cannot_be_lose_nothing(marks: Outlet) -> None:
    chunks: list[Chunk[Any]] = []
    faults: list[Exception] = []
    stamps = [None, math.nan, None, 1e300, None, -math.inf, None, 5.0, None]
    with Device(Lsl("marks")) as device:
        device.faults.subscribe(faults.append)
        device.with_heartbeats().subscribe(chunks.append)
        for number, stamp in enumerate(stamps):
            marks.say(str(number), stamp)
            assert eventually(lambda count=number + 1: sum(map(len, chunks)) == count)
        # one that seems to be old does not hold back joins and windows
        assert eventually(lambda: chunks[-1].end > now_ns() - 2_000_000_000)
    joined = concat([chunk for chunk in chunks if len(chunk)])
    assert joined.data.tolist() == [str(number) for number in range(len(stamps))]
    assert not joined.gap_positions
    assert [type(fault) for fault in faults] == [StampError]


def test_one_of_several_must_be_named(outlet: Outlet) -> None:
    with Outlet(source_id="rx-2"):
        with Device(Lsl("rx", source_id="rx-2")) as device, device.reader() as reader:
            reader.read(1, timeout=10)
        assert device.info.extra["source_id"] == "rx-2"
        several = r"several streams have name='rx': 'rx' 'rx-1', 'rx' 'rx-2'; give source_id="
        with pytest.raises(ParameterError, match=several):
            Device(Lsl("rx")).open()


def test_what_is_sent_is_what_comes() -> None:
    """Through our outlet and back: samples, times, names and units."""
    info = StreamInfo(
        "ramp", 100.0, (3,), np.dtype("i4"), "V", ("a", "b", "c"), device_clock="host"
    )  # fmt: skip
    data = np.arange(3 * 400, dtype="i4").reshape(400, 3)
    sent = Chunk.regular(data, info, start=now_ns() - 5_000_000_000)
    with lsl(type="Test", source_id="ramp-1") as sink:
        sink.on_next(sent[:0])
        device = Device(Lsl("ramp"), history=60)
        with device:
            assert eventually(lambda: sink.has_readers)
            for k in range(0, 400, 40):
                sink.on_next(sent[k : k + 40])
            assert eventually(lambda: len(device.last(60)) == 400)
            got = device.last(60)
    assert np.array_equal(got.data, data)
    assert (got.info.unit, got.info.channels, got.info.rate) == ("V", ("a", "b", "c"), 100.0)
    assert got.info.extra["type"] == "Test"
    error = np.abs(got.time - sent.time)
    assert error.max() <= got.uncertainty


def test_the_last_samples_leave_before_the_outlet_goes() -> None:
    source = Simulated(rate=1000.0, duration=0.5)
    device = Device(source)
    sink = lsl("sine")
    first = Chunk.regular(np.zeros(0, source.info.dtype), source.info, start=now_ns())
    inlet = Device(Lsl("sine"), history=60)
    sink.on_next(first)
    got: list[Chunk[Any]] = []
    with inlet:
        inlet.subscribe(got.append, lambda _: None)
        assert eventually(lambda: sink.has_readers)
        device.subscribe(sink)
        with device:
            assert sink.wait(10)
        assert eventually(lambda: sum(map(len, got)) == 500)


def test_texts_are_sent() -> None:
    info = StreamInfo("marks out", None, (), np.dtype("U8"), device_clock="host")
    sent = Chunk.stamped(np.array(["a", "µ", ""], "U8"), np.arange(3) + now_ns(), info)
    with lsl() as sink:
        sink.on_next(sent[:0])
        device = Device(Lsl("marks out"))
        with device, device.reader() as reader:
            assert eventually(lambda: sink.has_readers)
            sink.on_next(sent)
            assert reader.read(3, timeout=10).data.tolist() == ["a", "µ", ""]


def test_what_lsl_cannot_send_is_refused() -> None:
    for dtype, shape in (("c8", ()), ("f4", (2, 3)), ([("x", "f4")], ())):
        info = StreamInfo("x", 10.0, shape, np.dtype(dtype))
        chunk = Chunk.regular(np.zeros((1, *shape), dtype), info, start=0)
        sink = lsl()
        with pytest.raises(ChunkError, match="LSL takes samples"):
            sink.on_next(chunk)
    with pytest.raises(ParameterError, match="name must be text, not 5"):
        lsl(5)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({}, "give name=, type= or source_id="),
        ({"name": "'\""}, "both kinds of quotes"),
        ({"name": "x", "longest": 0}, "longest must be >= 1"),
        ({"name": "x", "timeout": 0}, "timeout must be > 0"),
        ({"name": 5}, "name must be str"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        Lsl(**options)


def test_what_is_in_the_way_is_said(outlet: Outlet, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(DeviceNotFoundError, match=r"no stream with name='no'.*are: .*'rx'"):
        Device(Lsl("no", timeout=0.1)).open()
    monkeypatch.setitem(sys.modules, "pylsl", None)
    with pytest.raises(MissingExtraError, match=r"rxstream\[lsl\]"):
        Device(Lsl("rx")).open()
    with pytest.raises(MissingExtraError, match=r"rxstream\[lsl\]"):
        lsl()


def test_the_page_runs(outlet: Outlet, capsys: pytest.CaptureFixture[str]) -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    for block in blocks:
        exec(block.replace("ActiSense", "rx"), {})
    assert "(100, 2) 200.0" in capsys.readouterr().out
