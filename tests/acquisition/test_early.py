"""What a source emits before its `open` has returned, and more of it than there is room for."""

import threading
from typing import Any

import numpy as np
import pytest
from fakes import INFO, eventually

from rxstream import Device
from rxstream.acquisition import opening
from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.errors import OverrunError

READINGS, SAMPLES = 300, 1000
ROOM = 100_000  # [bytes]: 11 readings


@pytest.fixture(autouse=True)
def little_is_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `max_bytes` alone bound them, that the tests may be small."""
    monkeypatch.setattr(opening, "_EARLY_BYTES", 0)


class Eager:
    """A source that emits all it has before its `open` returns, or from a thread begun there."""

    def __init__(self, *, live: bool, in_thread: bool) -> None:
        self.info, self.live, self._in_thread = INFO, live, in_thread
        self.most = 0  # readings emitted when `open` has returned
        self.emitted = 0
        self.done = threading.Event()

    def open(self, emit: Emit, _fail: Fail) -> Close:
        def run() -> None:
            for k in range(READINGS):
                emit(np.arange(k * SAMPLES, (k + 1) * SAMPLES))
                self.emitted += 1
            self.done.set()

        if self._in_thread:
            threading.Thread(target=run, daemon=True).start()
            # a live one goes on; a file waits
            self.done.wait(10 if self.live else 0.3)
        else:
            run()
        self.most = self.emitted
        return lambda: None


def played(source: Eager) -> tuple[Device, Any]:
    device, chunks = Device(source, max_bytes=ROOM), list[Any]()
    device.on_lag("block").subscribe(chunks.append)
    with device:
        assert source.done.wait(10)
        last = READINGS * SAMPLES - 1
        assert eventually(lambda: chunks and chunks[-1].data[-1] == last)
    return device, np.concatenate([chunk.data for chunk in chunks])


@pytest.mark.parametrize("in_thread", [True, False])
def test_the_oldest_of_too_much_are_dropped_and_said_once(in_thread: bool) -> None:
    device, values = played(Eager(live=True, in_thread=in_thread))
    assert 0 < values.nbytes <= ROOM
    np.testing.assert_array_equal(values, np.arange(values[0], READINGS * SAMPLES))
    (fault,) = [fault for fault in device.faults if isinstance(fault, OverrunError)]
    assert f"the first {values[0] // SAMPLES} readings, {values[0]} samples, are" in str(fault)


def test_a_file_waits() -> None:
    source = Eager(live=False, in_thread=True)
    device, values = played(source)
    assert source.most < 20
    np.testing.assert_array_equal(values, np.arange(READINGS * SAMPLES))
    assert not [fault for fault in device.faults if isinstance(fault, OverrunError)]
