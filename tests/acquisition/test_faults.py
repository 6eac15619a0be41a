"""Faults of a device: kept, shown, and reported in threads of their own."""

import gc
import logging
import threading
import time
import weakref

import numpy as np
import pytest
from fakes import Manual, eventually

from rxstream import Device
from rxstream.acquisition.faults import Faults
from rxstream.errors import DeviceError, OverrunError, SubscriberError


def reported(*texts: str) -> Faults:
    faults = Faults("mic")
    for text in texts:
        faults.report(OverrunError(text))
    return faults


def test_the_last_hundred_are_kept_and_can_be_looked_at() -> None:
    faults = reported(*map(str, range(150)))
    assert [str(fault) for fault in faults] == [str(k) for k in range(50, 150)]
    assert len(faults) == 100
    assert str(faults[0]), str(faults[-1]) == ("50", "149")
    assert [str(fault) for fault in faults[-2:]] == ["148", "149"]


@pytest.mark.parametrize(
    ("texts", "shown"),
    [
        ((), "<Faults of mic: 0>"),
        (("a",), "<Faults of mic: 1: OverrunError('a')>"),
        (
            "abcde",
            "<Faults of mic: 5, the last: OverrunError('c'), OverrunError('d'), OverrunError('e')>",
        ),
    ],
)
def test_the_repr_shows_the_last(texts: tuple[str, ...], shown: str) -> None:
    assert repr(reported(*texts)) == shown


def test_each_subscriber_has_a_thread_of_its_own() -> None:
    faults, go_on = Faults("mic"), threading.Event()
    slow: list[str] = []
    quick: list[str] = []
    where: set[threading.Thread] = set()

    def take_slowly(fault: object) -> None:
        go_on.wait(10)
        slow.append(str(fault))

    def take(fault: object) -> None:
        quick.append(str(fault))
        where.add(threading.current_thread())

    faults.subscribe(take_slowly)
    faults.subscribe(take)
    for k in range(5):
        faults.report(OverrunError(str(k)))
    assert eventually(lambda: len(quick) == 5)
    assert threading.current_thread() not in where
    assert slow == []
    go_on.set()
    assert faults.drain(10)
    assert slow == quick == ["0", "1", "2", "3", "4"]


def test_what_waits_is_bounded_and_what_is_left_out_is_logged(
    caplog: pytest.LogCaptureFixture,
) -> None:
    faults, begun, go_on = Faults("mic"), threading.Event(), threading.Event()
    got: list[str] = []

    def take(fault: object) -> None:
        begun.set()
        go_on.wait(10)
        got.append(str(fault))

    faults.subscribe(take)
    faults.report(OverrunError("first"))
    assert begun.wait(10)
    for k in range(130):
        faults.report(OverrunError(str(k)))
    with caplog.at_level(logging.WARNING):
        go_on.set()
        assert faults.drain(10)
    assert got == ["first", *map(str, range(30, 130))]
    assert "mic: a subscriber of faults is slow: 30 left out" in caplog.text


def test_a_subscriber_that_raises_gets_the_next_one_too(caplog: pytest.LogCaptureFixture) -> None:
    faults = Faults("mic")
    got: list[str] = []

    def take(fault: object) -> None:
        got.append(str(fault))
        raise SystemExit(3)

    faults.subscribe(take)
    with caplog.at_level(logging.ERROR):
        for text in "ab":
            faults.report(OverrunError(text))
        assert faults.drain(10)
    assert got == ["a", "b"]
    assert caplog.text.count("a subscriber of faults raised") == 2


def test_one_that_is_disposed_of_gets_no_more() -> None:
    faults = Faults("mic")
    got: list[object] = []
    faults.subscribe(got.append).dispose()
    faults.report(OverrunError("a"))
    assert faults.drain(10)
    assert got == []


def test_closing_waits_for_the_subscribers_of_faults() -> None:
    source = Manual()
    got: list[object] = []
    with Device(source) as device:
        device.faults.subscribe(lambda fault: (time.sleep(0.05), got.append(fault)))
        for k in range(3):
            source.fail(OverrunError(str(k)))
    assert len(got) == 3


def test_a_fault_holds_nothing_of_what_a_subscriber_worked_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    class Samples:
        pass

    refs: list[weakref.ref[Samples]] = []

    def fail(_chunk: object) -> None:
        samples = Samples()
        refs.append(weakref.ref(samples))
        raise ValueError("broken")

    source = Manual()
    with Device(source) as device:
        device.subscribe(fail)
        source.emit(np.arange(10))
    caplog.clear()
    assert isinstance(device.faults[0], SubscriberError)
    cause = device.faults[0].__cause__
    assert isinstance(cause, ValueError)
    assert cause.__traceback__ is not None  # where it was is still known
    assert eventually(lambda: (gc.collect(), refs[0]())[1] is None)


def test_faults_stay_after_close_and_the_next_opening() -> None:
    source = Manual()
    device = Device(source)
    with device:
        source.fail(OverrunError("first"))
    with device:
        source.fail(OverrunError("second"))
    assert [str(fault) for fault in device.faults] == ["first", "second"]
    assert isinstance(device.faults[0], DeviceError)


@pytest.mark.parametrize(
    ("cause", "shown"),
    [
        (KeyError("a mistake"), True), (ConnectionError("cut"), False),
        (type("BusError", (Exception,), {"__module__": "driver.errors"})("off"), False),
    ],
)  # fmt: skip
def test_only_a_mistake_is_logged_with_its_lines(
    cause: Exception, shown: bool, caplog: pytest.LogCaptureFixture
) -> None:
    source = Manual()
    with Device(source) as device:
        source.fail(cause)
        assert eventually(lambda: device.state == "failed" and bool(caplog.records))
    (record,) = [r for r in caplog.records if str(cause.args[0]) in r.getMessage()][:1]
    assert bool(record.exc_info) == shown
