"""Device: life, faults, reconnect, sessions."""

import itertools
import threading
import time
from typing import Any

import numpy as np
import pytest
from fakes import INFO, MS, HandClock, Manual, collect, eventually, feed
from reactivex.scheduler import ImmediateScheduler

from rxstream import Backoff, Chunk, Device, concat
from rxstream.data.clock import now_ns
from rxstream.errors import (
    DeviceBusyError,
    DeviceLostError,
    DeviceNotFoundError,
    EndOfStream,
    OverrunError,
    ParameterError,
    SubscriberError,
)

pytestmark = pytest.mark.real

here = ImmediateScheduler()


def test_open_subscribe_close() -> None:
    source = Manual()
    device = Device(source)
    got = collect(device)  # before open: it waits
    assert device.state == "closed"
    with device:
        assert device.state == "open"
        t0 = now_ns()
        for k in range(10):
            feed(source, 10 * k, 10, t0 + (k + 1) * 10 * MS)
    assert source.closed == 1
    assert device.state == "closed"
    assert np.array_equal(concat(got).data, np.arange(100))
    assert [c.index for c in got] == list(range(0, 100, 10))
    assert all(a.end == b.start for a, b in itertools.pairwise(got))
    device.close()  # twice does no harm
    assert source.closed == 1


def test_a_source_error_reaches_every_subscriber() -> None:
    source = Manual()
    with Device(source) as device:
        errors: list[Exception] = []
        for _ in range(2):
            device.subscribe(lambda _: None, errors.append)
        feed(source, 0, 10, 10**18)
        source.fail(OSError("unplugged"))
        assert device.wait(10)
        assert device.state == "failed"
    assert len(errors) == 2
    assert isinstance(errors[0], DeviceLostError)
    assert "ramp" in str(errors[0])
    assert "unplugged" in str(errors[0])
    assert source.closed == 1


def test_the_end_of_a_file_completes() -> None:
    source = Manual(live=False)
    with Device(source) as device:
        done = threading.Event()
        device.subscribe(lambda _: None, on_completed=done.set)
        feed(source, 0, 10, 10**18)
        source.fail(EndOfStream())
        assert device.wait(10)
        assert done.is_set()
        assert device.state == "ended"
        assert len(device.last(1)) == 10


def test_reconnect_goes_on_with_a_gap_of_the_right_length() -> None:
    source, clock = Manual(), HandClock()
    device = Device(source, reconnect=0.01, clock=clock)
    faults: list[Exception] = []
    device.faults.subscribe(faults.append)
    with device:
        got = collect(device)
        t = clock.now()
        for k in range(5):
            feed(source, 10 * k, 10, t + (k + 1) * 10 * MS)
        source.opening.clear()
        source.refuse = DeviceNotFoundError("not there yet")
        old_emit = source.emit
        source.fail(DeviceLostError("pulled out"))
        assert eventually(lambda: source.closed == 1)
        old_emit(np.zeros(10, np.int64))  # a careless driver goes on: not heard
        source.refuse = None
        assert source.opening.wait(10)
        assert eventually(lambda: device.state == "open")
        feed(source, 900, 10, t + 560 * MS)
    assert len(got) == 6
    gap = got[5].gap
    assert gap is not None
    assert gap.reason == "disconnect"
    assert gap.duration == pytest.approx(0.5, abs=0.002)
    assert gap.lost == pytest.approx(500, abs=2)
    assert got[5].index == 50 + gap.lost
    assert gap.start == got[4].end
    assert source.opened == 2
    assert any(isinstance(f, DeviceLostError) for f in faults)


def test_reconnect_gives_up_after_its_tries() -> None:
    source = Manual()
    with Device(source, reconnect=Backoff(first=0.001, most=0.002, tries=3)) as device:
        errors: list[Exception] = []
        device.subscribe(lambda _: None, errors.append, scheduler=here)
        source.refuse = DeviceBusyError("held by another program")
        source.fail(DeviceLostError("gone"))
        assert device.wait(10)
    assert isinstance(errors[0], DeviceBusyError)


def test_closing_while_lost_ends_the_tries() -> None:
    source = Manual()
    device = Device(source, reconnect=30.0).open()
    source.fail(DeviceLostError("gone"))
    assert device.state == "lost"
    device.close()
    assert source.opened == 1


def test_a_reopened_device_is_a_new_session() -> None:
    source = Manual()
    device = Device(source)
    with device:
        feed(source, 0, 10, 10**18)
    assert len(device.last(10)) == 10  # still there to look at
    late = collect(device)  # waits for the next opening
    with device:
        assert len(device.last(10)) == 0
        rewound: list[Chunk[Any]] = []
        device.rewind(10).subscribe(rewound.append, scheduler=here)
        feed(source, 500, 10, 10**18 + 500 * MS)
    for got in (late, rewound):
        assert [c.index for c in got] == [0]
        assert got[0].data[0] == 500
        assert got[0].gap is None


def test_open_errors_are_raised_where_open_is_called() -> None:
    source = Manual(refuse=DeviceBusyError("mic: held by another program"))
    device = Device(source)
    with pytest.raises(DeviceBusyError, match="another program"):
        device.open()
    assert device.state == "closed"
    source.refuse = None
    with device:
        assert device.state == "open"


def test_close_is_quick_and_leaves_no_thread() -> None:
    """Under 0.2 s with subscribers on threads; the best of five, as the machine may be busy."""
    took = []
    for _ in range(5):
        source = Manual()
        device = Device(source).open()
        for _ in range(3):
            device.subscribe(lambda _: None)
        for k in range(10):
            feed(source, 10 * k, 10, 10**18 + 10 * k * MS)
        begin = time.perf_counter()
        device.close()
        took.append(time.perf_counter() - begin)
        assert [t for t in threading.enumerate() if t.name.startswith("rxstream-")] == []
    assert min(took) < 0.2


def test_close_waits_for_who_has_not_had_everything() -> None:
    source = Manual()
    got: list[int] = []
    pause = threading.Event()
    with Device(source) as device:
        device.subscribe(lambda c: (pause.wait(0.005), got.append(c.index)))
        for k in range(40):
            feed(source, 10 * k, 10, 10**18 + 10 * k * MS)
    assert len(got) == 40


def test_close_names_who_is_later_than_it_waits(caplog: pytest.LogCaptureFixture) -> None:
    source = Manual()
    device = Device(source).open()
    release = threading.Event()
    device.on_lag("gap", name="store").subscribe(lambda _: release.wait(10))
    feed(source, 0, 10, 10**18)
    feed(source, 10, 10, 10**18 + 10 * MS)
    device.close(drain=0.01)
    assert "store" in caplog.text
    release.set()


def test_a_subscriber_may_close_the_device() -> None:
    source = Manual()
    device = Device(source).open()
    closed = threading.Event()
    device.subscribe(lambda _: (device.close(), closed.set()))
    feed(source, 0, 10, 10**18)
    assert closed.wait(10)


def test_a_raising_subscriber_is_on_faults(caplog: pytest.LogCaptureFixture) -> None:
    source = Manual()
    faults: list[Exception] = []
    with Device(source) as device:
        device.faults.subscribe(faults.append)
        other = collect(device)
        device.subscribe(lambda _: 1 / 0)
        feed(source, 0, 10, 10**18)
        feed(source, 10, 10, 10**18 + 10 * MS)
        assert eventually(lambda: faults)
    assert isinstance(faults[0], SubscriberError)
    assert len(other) == 2
    assert "ZeroDivisionError" in caplog.text


def test_who_listens_to_faults_must_not_become_one(caplog: pytest.LogCaptureFixture) -> None:
    source = Manual()
    with Device(source) as device:
        got = collect(device)
        device.faults.subscribe(lambda _: 1 / 0)
        source.fail(OverrunError("lost some"))
        feed(source, 0, 10, 10**18)
        device.subscribe(lambda _: 1 / 0)
        feed(source, 10, 10, 10**18 + 10 * MS)
        assert eventually(lambda: caplog.text.count("a subscriber of faults raised") == 2)
        feed(source, 20, 10, 10**18 + 20 * MS)
        assert device.state == "open"
    assert len(got) == 3


def test_closing_frees_a_source_that_is_held_by_a_blocking_subscriber() -> None:
    source = Manual(live=False)
    release, at_first = threading.Event(), threading.Event()
    device = Device(source, history=0.02).open()
    got: list[int] = []
    device.subscribe(lambda c: (at_first.set(), release.wait(10), got.append(c.index)))
    held = threading.Event()

    def produce() -> None:
        for k in range(20):
            feed(source, 10 * k, 10, 10**18 + 10 * k * MS)
        held.set()

    thread = threading.Thread(target=produce)
    thread.start()
    assert at_first.wait(10)
    assert not held.wait(0.05)
    device.close(drain=0)
    assert held.wait(10)
    thread.join()
    release.set()
    assert eventually(lambda: got and got == list(range(0, 10 * len(got), 10)))


def test_a_file_waits_for_its_slowest_reader() -> None:
    source = Manual(live=False)
    with Device(source, history=0.1) as device:
        got: list[int] = []
        pause = threading.Event()
        device.subscribe(lambda c: (pause.wait(0.001), got.append(c.index)))
        for k in range(100):
            feed(source, 10 * k, 10, 10**18 + 10 * k * MS)
        source.fail(EndOfStream())
        assert device.wait(10)
    assert got == list(range(0, 1000, 10))


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: Device(Manual(), history=-5), "history must be > 0 .* -5"),
        (lambda: Device(Manual(), history="long"), "seconds or a timedelta"),  # type: ignore[arg-type]
        (lambda: Device(object()), "no source"),  # type: ignore[arg-type]
        (lambda: Device(Device(Manual())), "no source; it is a stream already"),  # type: ignore[arg-type]
        (lambda: Device(Manual(), timestamps="true"), "'corrected' or 'arrival'"),  # type: ignore[arg-type]
        (lambda: Device(Manual(), max_bytes=0), "max_bytes"),
        (lambda: Device(Manual(), reconnect=-1), "reconnect"),
        (lambda: Backoff(factor=0.5), "factor"),
        (lambda: Device(Manual(), history=5).rewind(6), "history of ramp is 5 s"),
        (lambda: Device(Manual()).last(-1), "last must be >= 0"),
        (lambda: Device(Manual()).reader(policy="drop"), "policy"),  # type: ignore[arg-type]
    ],
)
def test_bad_arguments_are_named(make: Any, words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        make()


def test_info_is_that_of_the_source() -> None:
    assert Device(Manual()).info is INFO
