"""Random lives of a device whose driver raises and hangs wherever it can."""

import logging
import random
import threading
from asyncio import CancelledError
from contextlib import suppress
from typing import Any

import pytest
from campaign import seeds
from fakes import Manual, eventually
from hostile_driver import FOR_EVER, Hostile, SessionBook
from reactivex.scheduler import ImmediateScheduler

from rxstream import Backoff, Device, failed
from rxstream.acquisition import connection as connection_module
from rxstream.acquisition import device as device_module
from rxstream.acquisition.failures import forget_failures
from rxstream.errors import DeviceBusyError

pytestmark = [pytest.mark.real, pytest.mark.timeout(1200)]

PATIENCE = 0.05  # bound of a driver's calls here [s]; by default 30 s, and 5 s in `close`


@pytest.fixture(autouse=True)
def short_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give hanging drivers up after a short time, as there are hundreds."""
    monkeypatch.setattr(connection_module, "_LAST_TRY", PATIENCE)
    monkeypatch.setattr(device_module, "DRIVER_TIMEOUT", 2 * PATIENCE)
    monkeypatch.setattr(device_module, "_TURN_TIMEOUT", 4 * PATIENCE)


class Life:
    """One device, its driver, and what a program does to it."""

    def __init__(self, seed: int) -> None:
        self.dice = random.Random(seed)
        dice = self.dice
        self.tries = tries = dice.choice([None, None, None, 3])
        rate = dice.choice([5000.0, None])
        self.driver = Hostile(seed, rate, dice.randrange(12), PATIENCE)
        backoff = Backoff(first=0.001, most=0.004, tries=tries, timeout=PATIENCE)
        self.device = Device(
            self.driver,
            reconnect=backoff,
            history=60,
            timestamps=dice.choice(["arrival", "corrected"]),
        )
        self.book = SessionBook()
        self.wrong: list[str] = []

    def subscribe(self) -> None:
        self.book = book = SessionBook()
        scheduler = self.dice.choice([None, ImmediateScheduler()])
        self.device.subscribe(book.take, book.fail, book.complete, scheduler=scheduler)

    def open(self) -> None:
        """Open it, at times in several threads at once."""
        self.subscribe()
        others = [threading.Thread(target=self._open) for _ in range(self.dice.choice([0, 0, 2]))]
        for thread in others:
            thread.start()
        self._open()
        for thread in others:
            thread.join(20)
            if thread.is_alive():
                self.wrong.append("open hangs")

    def _open(self) -> None:
        """Open it, however often the driver refuses."""
        busy = 0
        while True:
            try:
                self.device.open()
            except DeviceBusyError as error:
                # it waits no longer for what hangs in another thread
                if "its driver is still" in str(error) or "of its driver has hung" in str(error):
                    hangs = any("ing" in one.state for one in self.driver.openings)
                    busy += not hangs and not self.driver.release.is_set()
                    if busy == 5:  # a call takes long on a busy machine, too
                        self.wrong.append("busy, but nothing hangs")
                    if hangs or busy == 5:
                        self.driver.release.set()
            except (Exception, SystemExit, GeneratorExit, CancelledError):  # the driver's
                continue
            else:
                return

    def close(self) -> None:
        """Close it in one of the ways that programs have."""
        way = self.dice.choice(["here", "twice", "elsewhere", "subscriber"])
        if way == "subscriber":
            done = threading.Event()

            def stop(_item: Any) -> None:
                with suppress(Exception):
                    self.device.close(0)
                done.set()

            with self.device.faults.subscribe(stop), self.device.subscribe(stop):
                done.wait(PATIENCE)
        others = [threading.Thread(target=self._close) for _ in range(way != "here")]
        for thread in others:
            thread.start()
        if way == "twice":
            self._close()
        for thread in others:
            thread.join(20)
            if thread.is_alive():
                self.wrong.append("close hangs")
        self._close()
        if self.device.state != "closed":
            self.wrong.append(f"{self.device.state} after close")
        if not self.book.ended.wait(10):
            self.wrong.append("no end after close")

    def _close(self) -> None:
        with suppress(Exception):  # what the driver raises
            self.device.close(1)

    def settle(self) -> str:
        """Wait until it is open for good or has failed, and check that it says why."""
        device, driver = self.device, self.driver
        eventually(lambda: self._settled() or "calls of its driver hang" in str(device.error))
        if not self._settled():
            driver.release.set()
            eventually(self._settled)
        state = device.state
        if state == "open":
            before = self.book.samples
            if device.error is not None:
                self.wrong.append(f"open, but {device.error}")
            if not eventually(lambda: self.book.samples > before, 10):
                self.wrong.append("open, but nothing comes")
        elif state == "failed":
            if self.tries is None:
                self.wrong.append(f"failed, though it may try for ever: {device.error}")
            if device.error is None or str(device.error) not in str(device.stats()):
                self.wrong.append(f"failed, and does not say why: {device.stats()}")
            if not any(device.error is fault for fault in device.faults):
                self.wrong.append(f"failed, and no fault says so: {device.error}")
            text = str(device.error).removeprefix(f"{device.name}: ")
            if not any(text in line for line in failed()):
                self.wrong.append(f"failed, and rxstream.failed() does not say so: {failed()}")
            if not self.book.ended.wait(10) or self.book.error is not device.error:
                self.wrong.append(f"failed, and told {self.book.error}, not {device.error}")
        else:
            self.wrong.append(f"stays {state}: {device.error}, {device.faults}")
        return state

    def _settled(self) -> bool:
        lasts = self.driver.openings[-1].count == FOR_EVER
        return self.device.state == "failed" or (self.device.state == "open" and lasts)


class GivenUp(logging.Handler):
    """Counts the calls of drivers that are given up, among them those of a busy machine."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.count = 0

    def emit(self, record: logging.LogRecord) -> None:
        text = record.getMessage()
        self.count += "is given up" in text or "hangs in open" in text


def live(seed: int) -> tuple[list[str], Life]:
    """Let a device live, and return what was wrong."""
    forget_failures()
    life, given_up = Life(seed), GivenUp()
    logger = logging.getLogger(connection_module.__name__)
    logger.addHandler(given_up)
    books = []
    for _ in range(life.dice.randrange(3)):
        life.open()
        threading.Event().wait(life.dice.random() * 0.02)
        life.close()
        books.append(life.book)
    life.open()
    state = life.settle()
    error = life.device.error
    life.driver.end()
    life.close()
    books.append(life.book)
    if state == "failed" and life.device.error is not error:
        life.wrong.append(f"closed, it says {life.device.error} and not {error}")
    eventually(lambda: all(one.state == "closed" for one in life.driver.openings))
    wrong = [
        *life.driver.wrong,
        *life.wrong,
        *(line for book in books for line in book.wrong(life.driver)),
    ]
    wrong += [
        f"closed {one.closes} times: {one.how}"
        for one in life.driver.openings
        if (one.closes != 1 and one.state != "closed") or one.closes > 1
    ]
    logger.removeHandler(given_up)
    if not given_up.count:
        wrong += life.driver.beside
    if not eventually(lambda: not _threads()):
        wrong.append(f"threads left: {_threads()}")
    return wrong, life


def _threads() -> list[str]:
    return [t.name for t in threading.enumerate() if t.name.startswith("rxstream-hostile")]


@pytest.mark.parametrize("share", range(4))
def test_a_lost_device_comes_back_or_says_why(share: int) -> None:
    openings = 0
    for seed in list(seeds(320))[share::4]:
        wrong, life = live(seed)
        assert not wrong, f"seed {seed}: {wrong}"
        openings += len(life.driver.openings)
    assert openings


def test_a_lost_device_says_why_its_last_try_failed() -> None:
    source = Manual()
    device = Device(source, reconnect=Backoff(first=0.001, most=0.004))
    device.open()
    source.refuse = OSError("first reason")
    source.fail(OSError("pulled out"))
    for reason in ("first reason", "second reason"):
        source.refuse = OSError(reason)
        assert eventually(lambda text=reason: text in str(device.error))
        assert device.state == "lost"
        assert reason in str(device.stats())
    source.refuse = None
    assert eventually(lambda: device.state == "open")
    assert device.error is None
    device.close()


def test_a_failed_device_is_noted_and_reported_once() -> None:
    forget_failures()
    source = Manual()
    device = Device(source, reconnect=Backoff(first=0.001, most=0.002, tries=2))
    device.open()
    source.refuse = OSError("not there")
    source.fail(OSError("pulled out"))
    assert eventually(lambda: device.state == "failed")
    assert eventually(lambda: len(failed()) == 1)
    (noted,) = failed()
    assert "not there" in noted
    assert ["not there" in str(fault) for fault in device.faults] == [False, True]
    assert list(device.faults)[-1] is device.error
    device.close()
    assert len(failed()) == 1
