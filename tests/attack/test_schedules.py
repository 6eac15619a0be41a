"""Random schedules of several threads: nothing is lost untold, doubled, blocked or left behind."""

import faulthandler
import gc
import logging
import sys
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from campaign import seeds
from fakes import eventually
from schedules import OPERATIONS, Schedule

pytestmark = [pytest.mark.real, pytest.mark.timeout(1800)]

OPERATIONS_EACH = 30
PATIENCE = 60.0  # [s]; a schedule takes less than one


@pytest.fixture(autouse=True)
def switch_often() -> Iterator[None]:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(interval)


@pytest.fixture
def strays(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the exceptions that ended a thread, or that came where nobody could catch them."""
    found: list[str] = []

    def note(args: Any) -> None:
        found.append(repr(args.exc_value))

    monkeypatch.setattr(threading, "excepthook", note)
    monkeypatch.setattr(sys, "unraisablehook", note)
    return found


def run(seed: int) -> tuple[Schedule, list[str]]:
    """Run a schedule; return what was wrong."""
    schedule = Schedule(seed)
    dice = schedule.dice
    threads = [
        threading.Thread(
            target=schedule.run_thread, args=(dice.random(), OPERATIONS_EACH), daemon=True
        )
        for _ in range(dice.randrange(2, 7))
    ]
    schedule.device.open()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        if thread.is_alive():
            faulthandler.dump_traceback(all_threads=True)
            pytest.fail(f"seed {seed}: a thread is stuck")
    return schedule, schedule.finish()


def ours() -> list[threading.Thread]:
    """Return our threads that run."""
    return [thread for thread in threading.enumerate() if thread.name.startswith("rxstream-")]


def test_nothing_is_wrong_in_any_order(
    strays: list[str], caplog: pytest.LogCaptureFixture, record_property: Any
) -> None:
    caplog.set_level(logging.CRITICAL)
    wrong: dict[int, list[str]] = {}
    count = samples = lost = 0
    for seed in seeds(500):
        schedule, found = run(seed)
        count += len(schedule.books)
        samples += sum(book.samples for book in schedule.books)
        lost += sum(book.lost for book in schedule.books)
        del schedule
        if not eventually(lambda: not ours()):
            gc.collect()
            if not eventually(lambda: not ours()):
                found.append(f"threads left: {ours()}")
        if found or strays:
            wrong[seed] = found[:3] + strays[:3]
            strays.clear()
    record_property("subscriptions", count)
    print(f"\n{count} subscriptions, {samples} samples checked by value, {lost} told lost")
    assert not wrong
    assert samples
    assert count


def test_every_operation_is_drawn() -> None:
    own = {name for name, value in vars(Schedule).items() if callable(value) and name[0] != "_"}
    helpers = {"book", "scheduler", "subscribe", "join", "run_thread", "finish"}
    assert {operation.__name__ for operation in OPERATIONS} == own - helpers
