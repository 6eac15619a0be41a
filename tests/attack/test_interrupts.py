"""Ctrl-C, and a signal handler that closes the device, at each line of what a program calls."""

import subprocess
import sys
from pathlib import Path
from typing import Any

import interrupted
import pytest
from campaign import at_length
from interrupted import ACTIONS, Counted

from rxstream import Device
from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.errors import DeviceLostError

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.mark.parametrize("way", ["ctrl-c", "handler"])
@pytest.mark.parametrize("action", ACTIONS)
def test_the_hardware_is_closed_wherever_an_interrupt_comes(action: str, way: str) -> None:
    # In a process of its own: a thread that Ctrl-C meets in `Thread.start` is known to nobody.
    program, step, limit = Path(interrupted.__file__), 1 if at_length() else 7, 500
    result = subprocess.run(
        [sys.executable, str(program), action, way, str(step), str(limit)],
        capture_output=True, text=True, timeout=limit + 50, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr[-20_000:]


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
