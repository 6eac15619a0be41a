"""check_source: every mutant is named by the rule it breaks, and no sound source by any."""

import itertools
import os
from collections.abc import Iterator
from typing import Any

import can
import pytest
from authored import Load
from mutants import (
    LEAKED,
    OUT,
    PROCESSES,
    SAID,
    TESTED,
    Changeable,
    ChangingInfo,
    CountsDown,
    CountsReadings,
    EndsAtUnplug,
    FailsTwice,
    FloatTime,
    LateEmit,
    LeakedFile,
    LeakedProcess,
    LyingClock,
    MilliTime,
    NoHeartbeat,
    ObjectDtype,
    RaisesAnything,
    SecondThread,
    SilentAtUnplug,
    SlowClose,
    StartingInfo,
    StuckCounter,
    Ticker,
    Undocumented,
    Unpicklable,
    WaitsForItself,
    WideCounter,
    WrongArrival,
    WrongDtype,
    WrongRate,
)
from ptys import pty_line

from rxstream.authoring import source
from rxstream.devices import Can, Keyboard, Simulated
from rxstream.errors import ParameterError
from rxstream.testing import check_source

pytestmark = pytest.mark.real

MUTANTS: list[tuple[Any, str, str]] = [
    (SecondThread, "one thread", "2 threads call emit"),
    (LateEmit, "closing", "emit was called after close had returned"),
    (FloatTime, "evidence", "give int nanoseconds"),
    (WrongDtype, "layout", "samples are float64 of shape (1,), and info says int64"),
    (LeakedFile, "closing", "3 files or sockets are left by 3 openings"),
    (SlowClose, "closing", "takes more than 1 s"),
    (SilentAtUnplug, "unplugging", "nothing was reported within 0.5 s"),
    (ObjectDtype, "info", "which cannot be recorded or sent"),
    (Unpicklable, "options", "cannot pickle '_thread.lock' object"),
    (WideCounter, "evidence", "does not fit 16 bits"),
    (LyingClock, "evidence", "a stamp of the host clock lies"),
    (NoHeartbeat, "heartbeat", "nothing came for 1 s from an idle stream"),
    # beyond the twelve
    (Changeable, "options", "is no frozen dataclass"),
    (Undocumented, "options", "Undocumented has no docstring"),
    (ChangingInfo, "info", "return the same StreamInfo each time"),
    (StartingInfo, "info", "it starts a thread"),
    (EndsAtUnplug, "unplugging", "a device that is gone has not ended"),
    (FailsTwice, "unplugging", "it was reported 2 times"),
    (StuckCounter, "evidence", "the counter stays at 7"),
    (WrongRate, "evidence", "info says 200 Hz"),
    (WaitsForItself, "closing", "from emit, it takes more than 1 s"),
    (MilliTime, "evidence", "give nanoseconds, e.g. round(milliseconds * 1e6)"),
    (WrongArrival, "evidence", "give the host time at which it came"),
    (CountsDown, "evidence", "the counter goes back, from 65535 to 65534"),
    (CountsReadings, "evidence", "the counter grows by 1 while 4 samples come"),
    (LeakedProcess, "closing", "3 processes are left by 3 openings"),
]


@pytest.mark.parametrize(("mutant", "rule", "text"), MUTANTS, ids=[m[0].__name__ for m in MUTANTS])
def test_each_mutant_is_named_by_its_rule(
    mutant: Any, rule: str, text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    for wait, seconds in (("_LOSS", 0.5), ("_GONE", 0.3), ("_QUIET", 0.05)):
        monkeypatch.setattr(f"rxstream.testing.source_rules.{wait}", seconds)
    TESTED.clear()
    device, ticks = mutant(mutant.__name__), itertools.count(1)
    feed = (lambda: SAID.put(next(ticks))) if mutant is NoHeartbeat else None
    try:
        with pytest.raises(AssertionError) as broken:
            check_source(lambda: device, feed=feed, unplug=device.unplug, plug=device.plug)
    finally:
        TESTED.set()
        OUT.clear()
        while LEAKED:
            os.close(LEAKED.pop())
        while PROCESSES:
            with PROCESSES.pop() as process:
                process.kill()
    assert str(broken.value).startswith(f"{rule}: ")
    assert text in str(broken.value)
    assert "; " in str(broken.value)


def test_a_sound_one_is_named_by_none() -> None:
    device = Ticker("sound")
    OUT["absent"].set()
    check_source(
        lambda: device, unplug=device.unplug, plug=device.plug, absent=lambda: Ticker("absent")
    )


def test_what_is_no_source_is_refused() -> None:
    with pytest.raises(ParameterError, match="None is no source"):
        check_source(lambda: None)  # type: ignore[arg-type,return-value]
    with pytest.raises(ParameterError, match=r"no source; make one: Ticker\(\)"):
        check_source(lambda: Ticker)  # type: ignore[arg-type,return-value]


def test_what_absent_and_held_hardware_raises() -> None:
    with pytest.raises(AssertionError, match=r"^opening: absent hardware: open raised KeyError"):
        check_source(Ticker, absent=RaisesAnything)
    with pytest.raises(AssertionError, match=r"^opening: hardware that is held: open raised noth"):
        check_source(Ticker, busy=Ticker)
    with pytest.raises(AssertionError, match=r"^opening: open raised KeyError"):
        check_source(RaisesAnything)


def test_what_is_plugged_in_was_unplugged_before() -> None:
    device = Ticker("plugged")
    with pytest.raises(ParameterError, match="plug= brings back what unplug= takes away"):
        check_source(lambda: device, plug=device.plug)


def test_a_silent_device_needs_to_be_fed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rxstream.testing.source_rules._DATA", 0.1)
    with pytest.raises(AssertionError, match=r"^data: 0 samples came .* give feed="):
        check_source(lambda: NoHeartbeat("silent"))


@source(dtype="u1")
def Wide(first: int = 300) -> Iterator[Any]:
    """A number that does not fit."""
    yield
    yield first


@source()
def Hasty() -> Iterator[Any]:
    """Its first yield is a value."""
    yield 1.0


@source()
def Misspelt() -> Iterator[Any]:
    """It uses a name that is not there."""
    yield
    yield celsius  # type: ignore[name-defined]  # noqa: F821 - that is the point


@pytest.mark.parametrize(
    ("make", "text"),
    [
        (Misspelt, r"^data: after 0 samples it failed by .*'celsius'.*; correct the source$"),
        (Wide, r"^data: after 0 samples it failed by ChunkError.*; correct the source$"),
        (Hasty, r"^opening: open raised ParameterError.*; correct the source$"),
    ],
)
def test_what_the_author_got_wrong_is_not_blamed_on_the_hardware(make: Any, text: str) -> None:
    with pytest.raises(AssertionError, match=text):
        check_source(make)


def test_simulated_devices() -> None:
    device = Simulated(rate=1000.0, counter=None)
    check_source(lambda: device, unplug=device.unplug, plug=device.replug, busy=lambda: device)


def test_a_recording() -> None:
    check_source(lambda: Simulated.can(duration=0.3))


def test_can() -> None:
    with can.Bus("checked", interface="virtual") as bus:
        message = can.Message(arbitration_id=1, data=b"x")
        check_source(lambda: Can("checked", interface="virtual"), feed=lambda: bus.send(message))


def test_a_keyboard() -> None:
    with pty_line() as line:
        check_source(
            lambda: Keyboard(tty=line.path),
            feed=lambda: line.write(b"x"),
            absent=lambda: Keyboard(tty="/dev/nowhere"),
            busy=lambda: Keyboard(tty=line.path),
            unplug=line.unplug,
        )


def test_what_is_asked() -> None:
    check_source(lambda: Load(0.02))
