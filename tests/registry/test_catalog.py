"""What can be opened on this machine."""

import logging
import sys
import threading

import pytest

from rxstream.devices.simulated import Simulated
from rxstream.registry.catalog import list_devices
from rxstream.registry.entry_points import device_names


def test_every_registered_device_is_listed() -> None:
    listings = {item.name: item for item in list_devices()}
    assert set(listings) == set(device_names())
    assert listings["simulated"].sought is False
    assert listings["audio"].sought is True
    assert (listings["simulated"].needs, listings["http"].needs) == ((), ("url",))
    assert all(item.about for item in listings.values())


def test_a_missing_driver_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    audio = next(item for item in list_devices() if item.name == "audio")
    assert "pip install 'rxstream[audio]'" in audio.problem


def test_a_broken_device_of_somebody_else_is_listed(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(name: str) -> type[Simulated]:
        if name == "can":
            msg = "no such module"
            raise ImportError(msg)
        if name == "camera":

            class Camera(Simulated):
                @staticmethod
                def discover() -> list[object]:
                    msg = "the driver is confused"
                    raise RuntimeError(msg)

            return Camera
        return Simulated

    monkeypatch.setattr("rxstream.registry.catalog.source_class", broken)
    listings = {item.name: item for item in list_devices()}
    assert "no such module" in listings["can"].problem
    assert "RuntimeError: the driver is confused" in listings["camera"].problem


def test_what_drivers_log_stays_off_a_terminal_without_logging(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Chatty(Simulated):
        @staticmethod
        def discover() -> list[object]:
            logger = logging.getLogger("driver")
            # pytest listens on the root logger; a plain program has no handler
            logger.propagate = False
            logger.warning("another package is not installed")
            return []

    monkeypatch.setattr("rxstream.registry.catalog.source_class", lambda _: Chatty)
    list_devices()
    assert capsys.readouterr().err == ""
    assert logging.lastResort is not None


def test_one_that_hangs_is_named_beside_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    release, asked = threading.Event(), threading.Barrier(2)

    class Hanging(Simulated):
        """One that does not answer."""

        @staticmethod
        def discover() -> list[object]:
            release.wait(50)
            return []

    class Together(Simulated):
        """Two that can only answer side by side."""

        @staticmethod
        def discover() -> list[object]:
            asked.wait(50)
            return []

    def load(name: str) -> type[Simulated]:
        if name == "keyboard":
            release.wait(50)
        return {"can": Hanging, "audio": Together, "camera": Together}.get(name, Simulated)

    monkeypatch.setattr("rxstream.registry.catalog.source_class", load)
    try:
        listings = {item.name: item for item in list_devices(2.0)}
    finally:
        release.set()
    assert list(listings) == device_names()
    problem = listings["can"].problem
    assert "discover() of <class" in problem
    assert "Hanging'> has not returned within 2 s" in problem
    assert listings["can"].about
    assert listings["keyboard"].problem.startswith("loading it has not returned")
    assert {n for n, item in listings.items() if item.problem} == {"can", "keyboard"}
    assert listings["audio"].sought
