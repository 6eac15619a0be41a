"""A device that is lost: what brings it back, what ends it, and how it says why."""

import asyncio
import logging
import threading
import time
from typing import Any

import numpy as np
import pytest
from fakes import Manual, eventually

import rxstream
from rxstream import Backoff, Device
from rxstream.acquisition.failures import forget_failures, note_failure
from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.errors import (
    ChunkError,
    DeviceError,
    DeviceLostError,
    DeviceNotFoundError,
    EndOfStream,
    FormatError,
    MissingExtraError,
    ParameterError,
)

pytestmark = pytest.mark.real

QUICK = Backoff(first=0.001, most=0.002)


@pytest.fixture(autouse=True)
def no_failures() -> None:
    forget_failures()


@pytest.mark.parametrize(
    "error",
    [DeviceLostError("gone"), OSError(19, "No such device"), ValueError("garbled"), MemoryError(),
     RuntimeError("libusb: -4"), TimeoutError("no answer"), FormatError("garbled message")],
    ids=repr,
)  # fmt: skip
def test_any_error_of_a_driver_is_a_loss(error: Exception) -> None:
    source = Manual()
    with Device(source, reconnect=QUICK) as device:
        source.fail(error)
        assert eventually(lambda: (source.opened, device.state) == (2, "open"))
        assert device.error is None
        loss = device.faults[0]
        assert loss is error or (isinstance(loss, DeviceLostError) and loss.__cause__ is error)
    assert rxstream.failed() == ()


class UnprintableError(Exception):
    """A driver's own error, with a bug in it."""

    def __str__(self) -> str:
        msg = "no text"
        raise RuntimeError(msg)

    __repr__ = __str__


class UnprintableDeviceError(UnprintableError, DeviceError):
    """The same of a driver that uses ours."""


@pytest.mark.parametrize("kind", [UnprintableError, UnprintableDeviceError])
@pytest.mark.parametrize("reconnect", [None, QUICK])
def test_an_error_that_cannot_be_printed_is_a_loss(
    kind: type[Exception], reconnect: Backoff | None, caplog: pytest.LogCaptureFixture
) -> None:
    """It went on as "open" for ever, without a thread."""
    source, ends = Manual(), list[Exception]()
    device = Device(source, reconnect=reconnect)
    device.subscribe(lambda _: None, ends.append)
    device.open()
    source.fail(kind())
    if reconnect is None:
        assert device.state == "failed"
        assert "no text: RuntimeError" in rxstream.failed()[0]
        assert eventually(lambda: ends)
        assert "no text" in f"{device!r}{device.stats()}"
    else:
        assert eventually(lambda: (source.opened, device.state) == (2, "open"))
    device.close()
    assert "no text: RuntimeError" in caplog.text
    assert len(device.faults) == 1
    assert repr(device.faults)


@pytest.mark.parametrize("where", ["open", "again", "close"])
def test_what_cannot_be_printed_is_told_wherever_a_driver_raises_it(where: str) -> None:
    class Bad(Manual):
        def open(self, emit: Emit, fail: Fail) -> Close:
            if where == "open" or (where == "again" and self.opened == 1):
                self.opened += 1
                raise UnprintableDeviceError
            super().open(emit, fail)

            def close() -> None:
                if where == "close":
                    raise UnprintableError

            return close

    source = Bad()
    device = Device(source, reconnect=QUICK)
    if where == "open":
        with pytest.raises(UnprintableDeviceError):
            device.open()
        return
    device.open()
    if where == "again":
        source.fail(OSError("gone"))
        assert eventually(lambda: (source.opened, device.state) == (3, "open"))
        device.close()
    else:
        with pytest.raises(DeviceError, match="UnprintableError: <no text: RuntimeError>"):
            device.close()


@pytest.mark.parametrize(
    "error",
    [ChunkError("shapes"), ParameterError("rate"), MissingExtraError("no driver")],
    ids=repr,
)
def test_errors_of_who_wrote_it_end_the_stream(error: Exception) -> None:
    source = Manual()
    with Device(source, reconnect=QUICK) as device:
        source.fail(error)
        assert device.state == "failed"
        assert device.error is error
    assert source.opened == 1


def test_a_garbled_file_is_not_read_again() -> None:
    source = Manual(live=False)
    with Device(source, reconnect=QUICK) as device:
        source.fail(FormatError("row 7"))
        assert device.state == "failed"
    assert source.opened == 1


def test_a_reading_of_the_wrong_shape_ends_it_though_it_reconnects() -> None:
    source = Manual()
    with Device(source, reconnect=QUICK) as device:
        source.emit(np.zeros((3, 2), np.int64))
        assert device.state == "failed"
        assert isinstance(device.error, ChunkError)


def test_the_end_of_a_file_is_no_loss() -> None:
    source = Manual()
    with Device(source, reconnect=QUICK) as device:
        source.fail(EndOfStream())
        assert (device.state, device.error) == ("ended", None)
    assert (source.opened, rxstream.failed(), len(device.faults)) == (1, (), 0)


class Unplugged(Manual):
    """Refuses to open again, with these errors one after the other."""

    refusals: tuple[BaseException, ...] = ()

    def open(self, emit: Emit, fail: Fail) -> Close:
        if self.opened and self.refusals:
            refusal, self.refusals = self.refusals[0], self.refusals[1:]
            raise refusal
        return super().open(emit, fail)


@pytest.mark.parametrize(
    "refusal", [OSError("busy"), asyncio.CancelledError(), SystemExit(3), KeyboardInterrupt()]
)
def test_whatever_a_try_to_open_raises_there_is_another(refusal: BaseException) -> None:
    source = Unplugged()
    source.refusals = (refusal, refusal)
    with Device(source, reconnect=QUICK) as device:
        source.fail(DeviceLostError("gone"))
        assert eventually(lambda: (source.opened, device.state) == (2, "open"))


def test_a_lost_device_says_why_everywhere(caplog: pytest.LogCaptureFixture) -> None:
    source = Manual()
    device = Device(source, reconnect=Backoff(first=10, most=10))
    with device:
        source.fail(OSError(19, "No such device"))
        assert device.state == "lost"
        why = "ramp: OSError: [Errno 19] No such device"
        for text in (str(device.error), str(device.stats()), repr(device), repr(device.faults)):
            assert why in text
        assert eventually(lambda: f"ramp: lost: {why}" in caplog.text)
        record = next(r for r in caplog.records if "lost" in r.message)
        assert record.levelno == logging.ERROR
    assert device.state == "closed"
    assert why in str(device.stats())
    assert str(device.error) == why
    assert rxstream.failed() == ("ramp: DeviceLostError: OSError: [Errno 19] No such device",)


def test_a_failed_device_says_why_everywhere(caplog: pytest.LogCaptureFixture) -> None:
    source, errors = Manual(), list[Exception]()
    device = Device(source)
    device.subscribe(lambda _: None, errors.append)
    with device:
        source.fail(ValueError("garbled"))
        assert device.state == "failed"
        assert eventually(lambda: "ramp: failed: ramp: ValueError: garbled" in caplog.text)
    assert errors == [device.error] == list(device.faults)
    assert "DeviceLostError: ramp: ValueError: garbled" in str(device.stats())
    assert rxstream.failed() == ("ramp: DeviceLostError: ValueError: garbled",)


def test_the_lines_of_a_bug_are_logged_and_those_of_an_unplugged_cable_are_not(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def raised(error: Exception) -> Exception:
        try:
            raise error
        except Exception as caught:
            return caught

    source = Manual()
    with Device(source, reconnect=QUICK) as device:
        for error in (OSError("cable"), KeyError("bug")):
            caplog.clear()
            source.fail(raised(error))
            assert eventually(lambda: device.state == "open" and "open again" in caplog.text)
            assert ("Traceback" in caplog.text) == isinstance(error, KeyError)


def test_after_its_tries_it_has_failed(caplog: pytest.LogCaptureFixture) -> None:
    source, errors = Unplugged(), list[Exception]()
    source.refusals = (OSError("busy"),) * 2 + (DeviceNotFoundError("no such card"),)
    device = Device(source, reconnect=Backoff(first=0.001, tries=3))
    device.subscribe(lambda _: None, errors.append)
    with device:
        source.fail(DeviceLostError("gone"))
        assert device.wait(10)
        assert device.state == "failed"
    assert [str(error) for error in errors] == ["no such card"]
    assert errors == [device.error]
    # each reason once
    assert caplog.text.count("it cannot be opened again yet: ramp: OSError: busy") == 1


def test_a_failed_device_can_be_opened_again() -> None:
    source = Manual()
    device = Device(source).open()
    source.fail(DeviceLostError("gone"))
    assert device.state == "failed"
    got: list[Any] = []
    with device:
        assert (device.state, device.error) == ("open", None)
        device.subscribe(got.append)
        source.emit(np.arange(10))
    assert [len(chunk) for chunk in got] == [10]


def test_one_that_is_lost_as_soon_as_it_is_open_waits_longer_each_time() -> None:
    times: list[float] = []

    class Loose(Manual):
        def open(self, emit: Emit, fail: Fail) -> Close:
            times.append(time.monotonic())
            if len(times) < 4:
                fail(DeviceLostError("loose"))
            return super().open(emit, fail)

    with Device(Loose(), reconnect=Backoff(first=0.05, most=10)):
        assert eventually(lambda: len(times) == 4)
    waits = np.diff(times)
    assert (waits >= 0.05 * 2.0 ** np.arange(3) * 0.9).all(), waits


def test_without_a_thread_to_open_it_again_a_loss_is_the_end(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    start = threading.Thread.start

    def refuse(thread: threading.Thread) -> None:
        if "supervisor" in thread.name:
            raise RuntimeError("can't start new thread")
        start(thread)

    source, errors = Manual(), list[Exception]()
    device = Device(source, reconnect=QUICK)
    device.subscribe(lambda _: None, errors.append)
    with device:
        monkeypatch.setattr(threading.Thread, "start", refuse)
        source.fail(DeviceLostError("gone"))
        assert device.state == "failed"
    assert [str(error) for error in errors] == ["gone"]
    assert (source.opened, source.closed) == (1, 1)
    assert "can't start new thread" in caplog.text


def test_failures_are_told_once_and_counted_to_a_hundred() -> None:
    for k in range(150):
        note_failure(f"sink {k}", OSError("disk full") if k else OSError())
    assert len(rxstream.failed()) == 100
    assert rxstream.failed()[:2] == ("sink 0: OSError", "sink 1: OSError: disk full")


def test_threads_that_report_the_same_loss_at_once_make_one_of_it() -> None:
    source = Manual()
    with Device(source, reconnect=QUICK) as device:
        fail, barrier = source.fail, threading.Barrier(5)

        def report() -> None:
            barrier.wait()
            fail(DeviceLostError("gone"))

        threads = [threading.Thread(target=report) for _ in range(5)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert eventually(lambda: (source.opened, device.state) == (2, "open"))
        assert [str(fault) for fault in device.faults] == ["gone"]
        assert isinstance(device.faults[0], DeviceError)


@pytest.mark.parametrize(
    ("samples", "words"),
    [
        (np.zeros(5), r"ramp: samples are float64 of shape \(5,\), but its StreamInfo says int64"),
        (np.zeros(5), r"int64 of shape \(n,\): give dtype='float64' there, or convert them"),
        (np.zeros((5, 2), np.int64), r"shape \(5, 2\), but .* \(n,\): give shape=\(2,\) there"),
        (np.zeros((5, 2)), r": give dtype='float64' and shape=\(2,\) there"),
        (np.int64(5), r"shape \(\), but .* \(n,\): give an array also for one sample"),
    ],
)
def test_samples_that_do_not_fit_are_told_with_the_remedy(samples: Any, words: str) -> None:
    source = Manual()
    with Device(source) as device:
        source.emit(samples)
        assert isinstance(device.error, ChunkError)
        with pytest.raises(ChunkError, match=words):
            raise device.error
