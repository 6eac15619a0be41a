"""What waits for a device that nobody opens is named, once."""

import logging
import threading
import time
from typing import Any

import pytest
from fakes import INFO, Manual, eventually

from rxstream import Device
from rxstream import operators as ops

pytestmark = pytest.mark.real


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Tell of what waits after 0.1 s instead of 3 s."""
    monkeypatch.setattr("rxstream.acquisition.waiting._PATIENCE", 0.1)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("kind", ["for", "subscribe", "join", "capture", "wait"])
def test_what_waits_for_a_device_that_nobody_opens_is_named(
    kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    device, other, items = Device(Manual()), Device(Manual(), name="other"), list[Any]()
    streams = {
        "subscribe": device,
        "join": other.pipe(ops.align(device)),
        "capture": other.pipe(ops.capture(device, before=1, after=1)),
    }
    with other, caplog.at_level(logging.WARNING):
        if kind in streams:
            streams[kind].subscribe(items.append)
        else:
            run = device.wait if kind == "wait" else lambda: items.extend(device)
            threading.Thread(target=run, daemon=True).start()
        assert eventually(lambda: "waits for open()" in caplog.text)
        assert caplog.text.count("waits for open()") == 1
        assert "ramp: " in caplog.text
    with device:
        pass


@pytest.mark.usefixtures("impatient")
def test_what_is_opened_soon_is_not_named(caplog: pytest.LogCaptureFixture) -> None:
    device = Device(Manual(INFO))
    device.subscribe(lambda _: None)
    with device:
        time.sleep(0.3)
    subscription = device.subscribe(lambda _: None)
    subscription.dispose()
    time.sleep(0.3)
    assert "waits for open()" not in caplog.text
