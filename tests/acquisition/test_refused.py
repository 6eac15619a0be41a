"""Tries to open a lost device again that fail: each reason is a fault once, and few of them."""

import pytest
from fakes import Manual, eventually

from rxstream import Backoff, Device
from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.errors import DeviceBusyError, DeviceLostError


class Refusing(Manual):
    """Refuses to open again, with these errors one after the other."""

    refusals: tuple[Exception, ...] = ()

    def open(self, emit: Emit, fail: Fail) -> Close:
        if self.opened and self.refusals:
            refusal, *rest = self.refusals
            self.refusals = tuple(rest)
            raise refusal
        return super().open(emit, fail)


QUICK = Backoff(first=0.0005, most=0.0005)


def test_each_reason_is_a_fault_once(caplog: pytest.LogCaptureFixture) -> None:
    source = Refusing()
    busy = [DeviceBusyError("held by another program") for _ in range(50)]
    absent = [OSError(19, "No such device") for _ in range(50)]
    source.refusals = (*absent, *busy, *absent)
    seen: list[str] = []
    with Device(source, reconnect=QUICK) as device:
        device.faults.subscribe(lambda fault: seen.append(str(fault)))
        source.fail(DeviceLostError("unplugged"))
        assert eventually(lambda: "open again, at try 151" in caplog.text)
        lost, *refused = device.faults
    assert str(lost) == "unplugged"
    assert [type(fault) for fault in refused] == [DeviceLostError, DeviceBusyError]
    assert [str(fault) for fault in refused] == [
        "ramp: OSError: [Errno 19] No such device", "held by another program",
    ]  # fmt: skip
    assert seen == [str(fault) for fault in (lost, *refused)]
    assert caplog.text.count("it cannot be opened again yet") == 2


def test_after_another_loss_it_is_a_fault_again() -> None:
    source = Refusing()
    with Device(source, reconnect=QUICK) as device:
        for opened in (2, 3):
            source.refusals = (OSError("busy"), OSError("busy"))
            source.fail(DeviceLostError("unplugged"))
            assert eventually(lambda n=opened: (source.opened, device.state) == (n, "open"))
        assert [str(fault) for fault in device.faults] == ["unplugged", "ramp: OSError: busy"] * 2


def test_reasons_that_all_differ_leave_room_for_other_faults() -> None:
    source = Refusing()
    source.refusals = tuple(OSError(f"port {k} is not there") for k in range(200))
    with Device(source, reconnect=QUICK) as device:
        source.fail(DeviceLostError("unplugged"))
        assert eventually(lambda: (source.opened, device.state) == (2, "open"))
        faults = [str(fault) for fault in device.faults]
    assert faults == ["unplugged", *(f"ramp: OSError: port {k} is not there" for k in range(10))]


def test_the_last_reason_ends_the_stream_and_is_a_fault_once() -> None:
    source, errors = Refusing(), list[Exception]()
    source.refusals = tuple(OSError("busy") for _ in range(3))
    device = Device(source, reconnect=Backoff(first=0.0005, most=0.0005, tries=3))
    device.subscribe(lambda _: None, errors.append)
    with device:
        source.fail(DeviceLostError("unplugged"))
        assert device.wait(10)
        assert [str(fault) for fault in device.faults] == ["unplugged", "ramp: OSError: busy"]
    assert errors == [device.error] == [device.faults[-1]]
