"""Name, delay and backoff of a device: checked where they are written, seen where they matter."""

import datetime as dt
from math import inf, nan
from typing import Any

import numpy as np
import pytest
from fakes import INFO, MS, Manual
from reactivex.scheduler import ImmediateScheduler

from rxstream import Backoff, Chunk, Device, Reading
from rxstream import operators as ops
from rxstream.acquisition.faults import Fault
from rxstream.acquisition.source import Close, Emit, Fail, discover, is_live
from rxstream.devices import Audio, Function, Health, Simulated
from rxstream.errors import OverrunError, ParameterError

here = ImmediateScheduler()
START = 10**18


def play(source: Manual, readings: int = 3) -> None:
    for k in range(readings):
        data = np.arange(10 * k, 10 * k + 10)
        source.emit(Reading(data, arrival=START + 10 * (k + 1) * MS))


def test_the_name_of_a_device_is_that_of_its_stream() -> None:
    source = Manual()
    device, got = Device(source, name="left"), list[Chunk[Any]]()
    device.subscribe(got.append, scheduler=here)
    assert device.info.name == "left"
    with device:
        assert device.info.name == "left"
        play(source)
        assert device.stats().name == "left"
        assert device.last(1).info is device.info
        with pytest.raises(ParameterError, match="history of left"):
            device.rewind(100)
    assert {chunk.info.name for chunk in got} == {"left"}


def test_streams_of_one_kind_differ_by_the_names_of_their_devices() -> None:
    left, right = Manual(), Manual()
    names: list[str] = []
    with Device(left, name="left") as one, Device(right, name="right") as two:
        one.pipe(ops.merge_by_time(two)).subscribe(
            lambda chunk: names.append(chunk.info.name), scheduler=here
        )
        play(left)
        play(right)
    assert set(names) == {"left", "right"}


def test_what_is_known_only_once_it_is_open_gets_the_name_too() -> None:
    class Late(Manual):
        def open(self, emit: Emit, fail: Fail) -> Any:
            return super().open(emit, fail), self.info.like(np.empty((0, 2), np.int64))

    source = Late()
    with Device(source, name="cam") as device:
        assert (device.info.name, device.info.shape) == ("cam", (2,))
        source.emit(np.zeros((4, 2), np.int64))
        assert device.last(1).info.name == "cam"


def test_a_source_that_has_the_name_keeps_its_info() -> None:
    assert Device(Manual(), name="ramp").info is INFO


@pytest.mark.parametrize("delay", [0.004, dt.timedelta(milliseconds=4), np.timedelta64(4, "ms")])
def test_the_path_delay_is_a_duration(delay: Any) -> None:
    source, got = Manual(), list[Chunk[Any]]()
    with Device(source, timestamps="arrival", path_delay=delay) as device:
        device.subscribe(got.append, scheduler=here)
        play(source)
    assert got[0].end == START + 6 * MS


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Device(Manual(), path_delay=-1), "path_delay must be >= 0 .* -1"),
        (lambda: Device(Manual(), path_delay="x"), "path_delay must be"),  # type: ignore[arg-type]
        (lambda: Device(Manual(), path_delay=nan), "path_delay must be"),
        (
            lambda: Device(Function(lambda: 1.0, every=2), stalled_after=2),
            r"stalled_after must be .* not 2 s: .* each 2 s \(every=2\); give e.g. stalled_after=6",
        ),
        (
            lambda: Device(Simulated(rate=100.0, blocksize=50), stalled_after=0.2),
            r"0.2 s: simulated .* each 0.5 s \(blocksize=50, rate=100\); .* stalled_after=1.5",
        ),
        (lambda: Device(Manual(), stalled_after=1e-4), r"each 0.001 s \(rate=1000\)"),
        (lambda: Backoff(factor=nan), "Backoff.factor must be a number >= 1, not nan"),
        (lambda: Backoff(factor=inf), "Backoff.factor"),
        (lambda: Backoff(first=5, most=1), "Backoff.most .* must be >= first=5, not 1; give most="),
        (lambda: Backoff(tries=-3), "Backoff.tries must be a whole number >= 1, or None, not -3"),
        (lambda: Backoff(tries=0), "Backoff.tries"),
        (lambda: Backoff(tries=1.5), "Backoff.tries"),  # type: ignore[arg-type]
        (lambda: Device(Simulated), r"make one: Simulated\(\)"),  # type: ignore[arg-type]
        (lambda: Device("audio"), r"rxstream.open\('audio'\)"),  # type: ignore[arg-type]
    ],
)
def test_bad_arguments_are_named_where_they_are_written(make: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        make()


def test_a_time_to_stall_that_can_be_is_taken() -> None:
    every = dt.timedelta(seconds=2)
    for source in (Function(lambda: 1.0, every=every), Simulated(rate=100.0), Health()):
        Device(source, stalled_after=2.1)

    class Other(Manual):
        every = "third"

    Device(Other(), stalled_after=0.1)


def test_a_reader_is_named_in_the_statistics() -> None:
    with (
        Device(Manual()) as device,
        device.reader(name="plot"),
        device.rewind(1).reader(name="file"),
        device.reader(),
    ):
        names = [subscriber.name for subscriber in device.stats().subscribers]
    assert names == ["plot", "file", "reader"]


def test_repr_says_what_a_device_is_and_holds() -> None:
    source = Manual()
    device = Device(source, name="mic", timestamps="arrival", history=60)
    assert repr(device) == "<Device mic: closed, 1000 Hz, 0 s of 60 s kept>"
    with device:
        play(source, 20)
        assert repr(device) == "<Device mic: open, 1000 Hz, 0.2 s of 60 s kept>"


def test_repr_of_a_stream_without_a_rate() -> None:
    assert "Hz" not in repr(Device(Manual(INFO.like(np.empty(0, int), rate=None))))


def test_faults_are_errors_and_events_of_the_clock() -> None:
    source, faults = Manual(), list[Fault]()
    with Device(source) as device:
        device.faults.subscribe(faults.append)
        source.fail(OverrunError("lost some"))
    assert [type(fault) for fault in faults] == [OverrunError]


class Bare:
    """The least that is a source."""

    info = INFO

    def open(self, _emit: Emit, _fail: Fail) -> Close:
        return lambda: None


def test_what_a_source_does_not_say_has_defaults() -> None:
    assert is_live(Bare())
    assert not is_live(Manual(live=False))
    assert discover(Bare) is None
    assert Device(Bare()).state == "closed"
    assert callable(Audio.discover)


def test_a_kind_that_looks_for_devices_and_finds_none() -> None:
    class Alone(Bare):
        @staticmethod
        def discover() -> list[Any]:
            return []

    assert discover(Alone) == ()
