"""Mistakes in the code of a device end its stream, as no opening can make them good."""

import logging
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from fakes import Manual, eventually

from rxstream import Backoff, Device
from rxstream.acquisition.mistakes import Mistakes
from rxstream.authoring import source
from rxstream.devices import Function
from rxstream.errors import DeviceError, DeviceLostError

pytestmark = pytest.mark.real

QUICK = Backoff(first=0.01, most=0.02)

opened: list[int] = []


def misspelt() -> Any:
    return temperatur  # type: ignore[name-defined]  # noqa: F821


@source()
def Misspelt() -> Iterator[Any]:
    """Gives one value, and then uses a name that there is not."""
    opened.append(1)
    yield
    yield 1.0
    yield misspelt()


def answer() -> Any:
    opened.append(1)
    if len(opened) == 1:
        return 1.0
    return np.no_such_function()  # type: ignore[attr-defined]


class Unimported(Manual):
    """Imports what there is not each time but the first one that it is opened."""

    def open(self, emit: Any, fail: Any) -> Any:
        opened.append(1)
        if self.opened:
            import rxstream_no_such_module  # type: ignore[import-not-found]  # noqa: F401
        close = super().open(emit, fail)
        fail(ConnectionError("cut"))
        return close


@pytest.mark.parametrize(
    ("make", "text", "openings"),
    [
        (Misspelt, "misspelt: NameError: name 'temperatur' is not defined", 3),
        (lambda: Function(answer, every=0.1), "has no attribute 'no_such_function'", 4),
        (Unimported, "ModuleNotFoundError: No module named 'rxstream_no_such_module'", 4),
    ],
)
def test_the_same_mistake_at_each_opening_ends_the_stream(
    make: Any, text: str, openings: int, caplog: pytest.LogCaptureFixture
) -> None:
    opened.clear()
    errors = list[Exception]()
    device = Device(make(), reconnect=QUICK)
    device.subscribe(lambda _: None, errors.append)
    with device:
        assert eventually(lambda: errors)
        assert (device.state, len(opened)) == ("failed", openings)
    (error,) = errors
    assert isinstance(error, DeviceError)
    assert text in str(error)
    assert "not opened again: each time the same mistake ends it" in caplog.text
    shown = [record for record in caplog.records if record.exc_info]
    assert shown, "its lines"
    assert shown[-1].levelno == logging.ERROR


@source()
def Garbled() -> Iterator[Any]:
    """Gives one value, and then what is no number."""
    opened.append(1)
    yield
    yield float("x" if len(opened) < 6 else "1")


def test_what_a_device_may_have_sent_is_no_mistake() -> None:
    opened.clear()
    with Device(Garbled(), reconnect=QUICK) as device:
        assert eventually(lambda: len(opened) >= 6 and device.stats().flow.samples)


def raised(code: str, module: str) -> Exception:
    """Return what code raises, as that of a module."""
    written = ModuleType(module)
    try:
        exec(compile(code, f"{module}.py", "exec"), written.__dict__)
    except Exception as error:
        return error
    raise AssertionError


def test_an_error_in_the_package_of_a_driver_is_no_mistake() -> None:
    lost = raised("None + 1", "serial.posix")
    mistakes = Mistakes(Manual())
    assert not any(mistakes.repeats(lost, 0.0) for _ in range(10))


def test_only_the_same_place_and_soon_counts() -> None:
    here, there = raised("None + 1", __name__), raised("\nNone + 1", __name__)
    mistakes = Mistakes(Misspelt())
    assert not any(mistakes.repeats(error, 0.0) for error in [here, there] * 5)
    assert not any(mistakes.repeats(here, 3600.0) for _ in range(5))
    wrapped = DeviceLostError("x")
    wrapped.__cause__ = here
    assert [mistakes.repeats(wrapped, 0.0) for _ in range(3)] == [False, True, True]
