"""poll: one thread, closed from anywhere, errors reported."""

import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from fakes import Manual, eventually
from reactivex.scheduler import ImmediateScheduler

import rxstream
from rxstream import Device
from rxstream.acquisition import polling
from rxstream.acquisition.polling import poll
from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.errors import DeviceError, EndOfStream, ParameterError

pytestmark = pytest.mark.real


def test_it_reads_until_closed_and_releases_once() -> None:
    got: list[Any] = []
    released: list[str] = []
    turn = threading.Semaphore(0)

    def read() -> Any:
        return np.zeros(1) if turn.acquire(timeout=0.02) else None

    close = poll(
        read, got.append, got.append, name="x",
        release=lambda: released.append(threading.current_thread().name),
    )  # fmt: skip
    for _ in range(3):
        turn.release()
    assert eventually(lambda: len(got) == 3)
    close()
    close()
    assert released == ["rxstream-x"]


@pytest.mark.parametrize("error", [OSError("cable"), EndOfStream()])
def test_errors_and_ends_are_told(error: Exception) -> None:
    failures: list[Exception] = []

    def read() -> Any:
        raise error

    close = poll(read, print, failures.append, name="x")
    assert eventually(lambda: failures)
    close()
    assert failures == [error]


def test_read_may_close_itself() -> None:
    closers: list[Any] = []
    ready, done = threading.Event(), threading.Event()

    def read() -> None:
        ready.wait(5)
        closers[0]()
        done.set()

    closers.append(poll(read, print, print, name="x"))
    ready.set()
    assert done.wait(5)
    closers[0]()


def test_a_name_is_needed() -> None:
    with pytest.raises(ParameterError, match="name"):
        poll(lambda: None, print, print, name="")


# -- release --------------------------------------------------------------------------------------


class Polled(Manual):
    """A device that is polled; its reads may raise, its release raises or hangs."""

    def __init__(
        self, release: Callable[[], object], read: Callable[[], Any] = lambda: None
    ) -> None:
        super().__init__()
        self._tick, self._release, self._read = threading.Event(), release, read

    def read(self) -> Any:
        self._tick.wait(0.005)
        return self._read()

    def open(self, emit: Emit, fail: Fail) -> Close:
        return poll(self.read, emit, fail, name="ramp", release=self._release)


def raising(error: BaseException) -> Callable[[], Any]:
    def call() -> None:
        raise error

    return call


@pytest.mark.parametrize("error", [OSError(5, "usb"), SystemExit(3)], ids=repr)
def test_what_release_raises_is_what_close_raises(error: BaseException) -> None:
    device = Device(Polled(raising(error))).open()
    with pytest.raises(DeviceError) as raised:
        device.close()
    assert raised.value.__cause__ is error
    assert device.error is raised.value
    assert raised.value in list(device.faults)


def test_what_release_raises_after_a_loss_is_reported() -> None:
    source = Polled(raising(OSError("busy")), raising(OSError("gone")))
    device = Device(source).open()
    assert eventually(lambda: len(device.faults) == 2)
    assert [str(fault) for fault in device.faults] == [
        "ramp: OSError: gone", "ramp: OSError: busy",
    ]  # fmt: skip
    device.close()


def test_what_release_raises_at_the_end_of_a_file_is_noted() -> None:
    source = Polled(raising(OSError("busy")), raising(EndOfStream()))
    device = Device(source).open()
    assert eventually(lambda: device.error)
    assert (device.state, str(device.error)) == ("ended", "ramp: OSError: busy")
    assert rxstream.failed() == ("ramp: DeviceError: OSError: busy",)
    device.close()


def test_what_release_raises_is_told_where_the_thread_closes_itself(
    caplog: pytest.LogCaptureFixture,
) -> None:
    source = Polled(raising(OSError("busy")), lambda: np.arange(1))
    device = Device(source).open()
    device.subscribe(lambda _: device.close(), scheduler=ImmediateScheduler())
    assert eventually(rxstream.failed)
    assert rxstream.failed() == ("ramp: OSError: busy",)
    assert "ramp: release raised: OSError: busy" in caplog.text


def test_what_hangs_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(polling, "_TIMEOUT", 0.1)
    go, inside = threading.Event(), threading.Event()

    def hang(_value: Any = None) -> Any:
        inside.set()
        go.wait(20)

    def quick() -> Any:
        threading.Event().wait(0.005)
        return np.arange(1)

    cases: list[tuple[str, Any, Any, Any]] = [
        ("read", hang, print, None),
        ("emit", quick, hang, None),
        ("release", lambda: None, print, hang),
    ]
    for what, read, emit, release in cases:
        inside.clear()
        close = poll(read, emit, print, name="mic", release=release)
        assert what == "release" or inside.wait(10)
        with pytest.raises(DeviceError, match=rf"^mic: {what} has not returned within 0\.1 s"):
            close()
    go.set()


def test_release_has_its_own_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """A read that takes long leaves as much for the release."""
    monkeypatch.setattr(polling, "_TIMEOUT", 0.5)
    inside, tick = threading.Event(), threading.Event()

    def read() -> None:
        inside.set()
        tick.wait(0.35)

    close = poll(read, print, print, name="mic", release=lambda: tick.wait(0.35))
    assert inside.wait(10)
    close()
