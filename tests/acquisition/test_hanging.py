"""Drivers that hang: none holds a device, or who closes and opens it, for long."""

import threading
import time

import pytest
from fakes import Hanging, Manual, eventually

from rxstream import Backoff, Device, poll
from rxstream.acquisition import connection as connection_module
from rxstream.acquisition import device as device_module
from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.errors import DeviceBusyError, DeviceClosedError, DeviceError, DeviceLostError

pytestmark = pytest.mark.real


@pytest.fixture
def short_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give a driver up after 0.1 s instead of 5 s, and another thread's call after 1 s."""
    monkeypatch.setattr(device_module, "DRIVER_TIMEOUT", 0.1)
    monkeypatch.setattr(device_module, "_TURN_TIMEOUT", 1.0)
    monkeypatch.setattr(device_module, "_GIVEN_UP_TIMEOUT", 0.1)
    monkeypatch.setattr(connection_module, "_LAST_TRY", 0.4)


@pytest.mark.usefixtures("short_bounds")
def test_a_driver_that_hangs_in_close_is_given_up(caplog: pytest.LogCaptureFixture) -> None:
    source, ended = Hanging("close"), threading.Event()
    device = Device(source).open()
    device.subscribe(lambda _: None, on_completed=ended.set)
    with pytest.raises(DeviceError, match=r"ramp: its driver has not returned within 0\.1 s"):
        device.close()
    assert ended.is_set()
    assert device.state == "closed"
    assert "its driver has not returned" in str(device.stats())
    assert "its driver has not returned" in caplog.text
    with pytest.raises(
        DeviceBusyError, match=r"ramp: close of its driver has hung for .* s; unplug"
    ):
        device.open()
    source.release.set()
    assert eventually(lambda: source.closed == 1)
    with device:
        assert (source.opened, device.error) == (2, None)


@pytest.mark.parametrize("where", ["open again", "close"])
@pytest.mark.usefixtures("short_bounds")
def test_what_hung_in_a_loss_that_is_over_keeps_it_from_no_opening(where: str) -> None:
    source = Hanging(where)
    device = Device(source, reconnect=Backoff(first=0.001, timeout=0.1)).open()
    source.fail(DeviceLostError("gone"))
    assert source.hangs.wait(10)
    source.where = "nowhere"
    assert eventually(lambda: device.state == "open")
    device.close()
    with device:
        assert device.state == "open"
    source.release.set()
    assert eventually(lambda: source.opened == source.closed)


@pytest.mark.usefixtures("short_bounds")
def test_a_try_to_open_that_hangs_at_the_end_is_named() -> None:
    source = Hanging("open again")
    device = Device(source, reconnect=0.001).open()
    source.fail(DeviceLostError("gone"))
    assert source.hangs.wait(10)
    with pytest.raises(DeviceError, match="has not returned"):
        device.close()
    begin = time.monotonic()
    with pytest.raises(DeviceBusyError, match="open of its driver has hung for"):
        device.open()
    assert time.monotonic() - begin < 5
    source.release.set()
    assert eventually(lambda: source.closed == 2)


@pytest.mark.usefixtures("short_bounds")
def test_an_opening_that_hangs_elsewhere_is_closed_when_it_comes() -> None:
    source, errors = Hanging("open"), list[Exception]()
    device = Device(source)

    def open_it() -> None:
        try:
            device.open()
        except DeviceError as error:
            errors.append(error)

    opener = threading.Thread(target=open_it)
    opener.start()
    assert source.hangs.wait(10)
    begin = time.monotonic()
    device.close()
    assert time.monotonic() - begin < 5
    with pytest.raises(DeviceBusyError):
        device.open()
    source.release.set()
    opener.join(10)
    assert [type(error) for error in errors] == [DeviceClosedError]
    assert (source.opened, source.closed, device.state) == (1, 1, "closed")
    with device:
        assert device.state == "open"


@pytest.mark.usefixtures("short_bounds")
def test_closing_does_not_wait_for_a_try_to_open_that_hangs() -> None:
    source = Hanging("open again")
    device = Device(source, reconnect=0.001).open()
    source.fail(DeviceLostError("gone"))
    assert source.hangs.wait(10)
    begin = time.monotonic()
    with pytest.raises(DeviceError, match="has not returned"):
        device.close()
    assert time.monotonic() - begin < 5
    assert str(device.error) == "gone"
    source.release.set()
    assert eventually(lambda: source.closed == 2)  # the late one, too


@pytest.mark.parametrize("where", ["open again", "close"])
def test_a_call_that_hangs_keeps_a_lost_device_from_nothing(
    where: str, caplog: pytest.LogCaptureFixture
) -> None:
    source = Hanging(where)
    device = Device(source, reconnect=Backoff(first=0.001, timeout=0.1)).open()
    source.fail(DeviceLostError("gone"))
    assert source.hangs.wait(10)
    source.where = "nowhere"
    assert eventually(lambda: device.state == "open")
    assert "hangs in open" in caplog.text or "has not returned" in caplog.text
    source.release.set()
    assert eventually(lambda: source.opened - source.closed == 1)  # those given up are closed
    device.close()


def test_four_calls_that_hang_are_enough() -> None:
    source = Hanging("open again")
    device = Device(source, reconnect=Backoff(first=0.001, most=0.01, timeout=0.01)).open()
    source.fail(DeviceLostError("gone"))
    assert eventually(lambda: "4 calls of its driver hang" in str(device.error))
    assert "4 calls of its driver hang" in str(device.stats())
    assert sum("-driver" in thread.name for thread in threading.enumerate()) == 4
    source.where = "nowhere"
    source.release.set()
    assert eventually(lambda: device.state == "open")
    device.close()


def test_a_read_that_does_not_return_is_named() -> None:
    release = threading.Event()

    class Blocking(Manual):
        def open(self, emit: Emit, fail: Fail) -> Close:
            return poll(lambda: release.wait(20) and None, emit, fail, name="ramp")

    device = Device(Blocking()).open()
    with pytest.raises(
        DeviceError, match=r"read has not returned within 2 s; it is to return None"
    ):
        device.close()
    release.set()
