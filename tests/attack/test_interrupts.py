"""Ctrl-C, and a signal handler that closes the device, at each line of what a program calls."""

from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context
from typing import Any

import pytest
from campaign import trials
from interrupted import ACTIONS, Counted, interrupt_all

from rxstream import Device
from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.errors import DeviceLostError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize("way", ["ctrl-c", "handler"])
@pytest.mark.parametrize("action", ACTIONS)
def test_the_hardware_is_closed_wherever_an_interrupt_comes(action: str, way: str) -> None:
    # In a process of its own: a lock that Ctrl-C meets at the end of its `with` stays locked, and
    # a thread that it meets in `Thread.start` is known to nobody.
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as process:
        lines = process.submit(interrupt_all, action, way, 1 if trials(100) == 100 else 7)
        assert lines.result()


@pytest.mark.parametrize("given", ["cable out", KeyboardInterrupt(), OSError, 5, None])
def test_fail_takes_whatever_a_driver_gives(given: Any) -> None:
    fails: list[Fail] = []

    class Failing(Counted):
        def open(self, emit: Emit, fail: Fail) -> Close:
            fails.append(fail)
            return super().open(emit, fail)

    source = Failing()
    device, errors = Device(source), list[Exception]()
    device.subscribe(lambda _: None, errors.append)
    device.open()
    fails[0](given)
    device.wait(10)
    assert errors == [device.error]
    text = given if isinstance(given, str) else getattr(given, "__name__", type(given).__name__)
    if given in (5, None):
        text = f"not {given}"
    else:
        assert isinstance(device.error, DeviceLostError)
    assert text in str(device.error)
    device.close()
