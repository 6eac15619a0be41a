"""`stalled_after`: a device that is there, and gives nothing any more, is taken for lost."""

import socket
import threading
import time
from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import pytest
from fakes import Hanging, Manual, eventually
from hypothesis import given
from hypothesis import strategies as st
from reactivex.scheduler import ImmediateScheduler

import rxstream
from rxstream import Backoff, Device
from rxstream.acquisition.source import Close, Emit, Fail
from rxstream.acquisition.watchdog import StallTimer
from rxstream.authoring import Reading, StreamInfo, source
from rxstream.errors import DeviceLostError, ParameterError

pytestmark = pytest.mark.real

QUICK = Backoff(first=0.01, most=0.05)


# -- in virtual time ------------------------------------------------------------------------------


def stalls(timer: StallTimer, looks: list[int], samples: list[int]) -> int | None:
    """Return the first look [ns] that finds it stalled; None if none does."""
    for now in looks:
        if timer.look(now, sum(sample <= now for sample in samples)):
            return now
    return None


@given(st.integers(1_000, 10**11), st.lists(st.integers(0, 10**12), max_size=20))
def test_it_stalls_after_the_time_allowed_and_soon_after_it(span: int, samples: list[int]) -> None:
    samples = [0, *sorted(samples)]
    timer = StallTimer(span)
    looks = range(0, samples[-1] + 2 * span + 4 * timer.every, timer.every)
    if len(looks) > 20_000:
        samples = [0]
        looks = range(0, 2 * span + 4 * timer.every, timer.every)
    found = stalls(timer, list(looks), samples)
    assert found is not None
    silent = found - max(sample for sample in samples if sample <= found)
    assert span <= silent <= span + 2 * timer.every


def test_samples_that_come_in_time_are_no_stall_whatever_the_looks() -> None:
    timer = StallTimer(1_000_000_000)
    samples = list(range(0, 100_000_000_000, 900_000_000))
    assert stalls(timer, list(range(0, 99_000_000_000, timer.every)), samples) is None


def test_a_sleep_of_the_computer_is_no_stall() -> None:
    timer = StallTimer(1_000_000_000)
    every = timer.every
    looks = [0, every, 2 * every, 3_600_000_000_000, 3_600_000_000_000 + every]
    assert stalls(timer, looks, [0]) is None


def test_nothing_is_missed_while_nothing_is_expected() -> None:
    timer = StallTimer(1_000_000_000)
    assert not any(timer.look(k * timer.every, None) for k in range(100))
    found = [timer.look((100 + k) * timer.every, "open again") for k in range(20)]
    assert found.index(True) == 8


# -- sources that the test drives -----------------------------------------------------------------


def test_heartbeats_are_no_samples() -> None:
    stream = StreamInfo("scale", None, (), np.dtype(float))
    scale, over = Manual(stream), threading.Event()
    errors = list[Exception]()
    device = Device(scale, stalled_after=0.2)
    device.subscribe(lambda _: None, errors.append)
    with device:
        while not over.wait(0.01) and device.state == "open":
            scale.emit(Reading(np.empty(0)))
        assert eventually(lambda: errors)
    (error,) = errors
    assert isinstance(error, DeviceLostError)
    assert str(error) == "scale: no sample has come for 0.2 s (stalled_after=0.2)"
    assert (device.error, device.faults[-1], scale.closed) == (error, error, 1)
    assert rxstream.failed() == (
        "scale: DeviceLostError: no sample has come for 0.2 s (stalled_after=0.2)",
    )


def test_samples_keep_it_open() -> None:
    ramp = Manual()
    with Device(ramp, stalled_after=0.5) as device:
        for k in range(100):
            ramp.emit(np.arange(k, k + 1))
            time.sleep(0.01)
        assert (device.state, list(device.faults)) == ("open", [])


@pytest.mark.parametrize("live", [True, False])
def test_who_takes_long_for_a_reading_is_no_stall(live: bool) -> None:
    ramp = Manual(live=live)
    done = threading.Event()

    def slow(_: object) -> None:
        time.sleep(0.6)
        done.set()

    with Device(ramp, stalled_after=0.2) as device:
        device.subscribe(slow, scheduler=ImmediateScheduler())
        ramp.emit(np.arange(5))
        assert done.is_set()
        assert (device.state, list(device.faults)) == ("open", [])


def test_a_driver_that_hangs_in_reading_is_opened_again() -> None:
    opened, released = list[int](), threading.Event()

    @source()
    def Meter() -> Iterator[Any]:
        """Hangs after its first value, once."""
        opened.append(1)
        yield
        yield 1.0
        if len(opened) == 1:
            released.wait(20)
        while True:
            yield 2.0
            time.sleep(0.01)

    device = Device(Meter(), reconnect=QUICK, stalled_after=0.3)
    with device.reader() as reader, device:
        chunk = reader.read(3, timeout=20)
        released.set()
    assert chunk.data.tolist() == [1.0, 1.0, 2.0]
    assert [(at.position, at.gap.reason) for at in chunk.gap_positions] == [(1, "disconnect")]


@pytest.mark.parametrize(("readings", "suspected"), [(0, True), (1, True), (2, False)])
def test_a_time_that_is_shorter_than_the_pauses_is_reported_once(
    readings: int, suspected: bool
) -> None:
    class Rare(Manual):
        """Gives some samples as it is opened, and the next ones later than it may."""

        def open(self, emit: Emit, fail: Fail) -> Close:
            close = super().open(emit, fail)
            for k in range(readings):
                emit(np.arange(k, k + 1))
            return close

    rare = Rare()
    with Device(rare, reconnect=QUICK, stalled_after=0.05) as device:
        assert eventually(lambda: rare.opened >= 6)
        hints = [fault for fault in device.faults if "openings in turn" in str(fault)]
    assert len(hints) == suspected
    if hints:
        assert str(hints[0]).startswith("ramp: stalled_after=0.05 has ended 3 openings in turn")


def test_a_device_that_is_being_opened_again_does_not_stall() -> None:
    ramp = Hanging("open again")
    device = Device(ramp, reconnect=QUICK, stalled_after=0.2).open()
    assert ramp.hangs.wait(20)
    time.sleep(0.6)
    assert (device.state, len(device.faults)) == ("lost", 1)
    ramp.release.set()
    assert eventually(lambda: device.state == "open")
    device.close()


def test_a_subscriber_may_close_what_has_stalled() -> None:
    ramp, closed = Manual(), threading.Event()
    device = Device(ramp, stalled_after=0.1)

    def close(_: Exception) -> None:
        device.close()
        closed.set()

    device.subscribe(lambda _: None, close, scheduler=ImmediateScheduler())
    device.open()
    assert closed.wait(20)
    assert (device.state, ramp.closed) == ("closed", 1)


@pytest.mark.parametrize("value", [0, -1, "2 s", float("nan")])
def test_a_wrong_time_is_named(value: Any) -> None:
    with pytest.raises(ParameterError, match="stalled_after must be > 0"):
        Device(Manual(), stalled_after=value)


# -- a real server --------------------------------------------------------------------------------


class SilentServer:
    """Sends a hundred lines to each client, and then nothing more; the connection stays."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self.clients: list[socket.socket] = []
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._thread.join()
        self._listener.close()
        for client in self.clients:
            client.close()

    def _run(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            first = 100 * len(self.clients)
            self.clients.append(client)
            client.sendall(b"".join(b"%d\n" % (first + k) for k in range(100)))


@source(dtype="i8")
def Lines(port: int) -> Iterator[Any]:
    """Numbers, a line each, of a server of this computer."""
    with socket.create_connection(("127.0.0.1", port), timeout=5.0) as connection:
        connection.settimeout(0.05)
        yield
        rest = b""
        while True:
            try:
                rest += connection.recv(4096)
            except TimeoutError:
                yield
                continue
            *lines, rest = rest.split(b"\n")
            if lines:
                yield np.array(lines, "i8")


def test_a_server_that_goes_silent_without_closing_is_asked_again() -> None:
    with SilentServer() as server:
        device = Device(Lines(server.port), reconnect=QUICK, stalled_after=0.3)
        with device.reader() as reader, device:
            chunk = reader.read(300, timeout=20)
    assert chunk.data.tolist() == list(range(300))
    assert [(at.position, at.gap.reason) for at in chunk.gap_positions] == [
        (100, "disconnect"), (200, "disconnect"),
    ]  # fmt: skip
    assert "no sample has come for 0.3 s" in str(device.faults[0])


def test_without_it_such_a_server_is_only_silent() -> None:
    with SilentServer() as server:
        device = Device(Lines(server.port), reconnect=QUICK)
        with device.reader() as reader, device:
            reader.read(100, timeout=20)
            time.sleep(0.6)
            assert (device.state, len(server.clients)) == ("open", 1)


def test_a_device_that_is_opened_by_name_may_stall() -> None:
    with pytest.raises(ParameterError, match="stalled_after"):
        rxstream.open("simulated", stalled_after=0)
