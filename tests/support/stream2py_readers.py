"""Readers of stream2py for the tests, and whether the seed's plugins are there."""

import sys
import threading
import time
import types
from typing import Any

import pytest
from stream2py import SourceReader

from rxstream import Chunk, Device

__all__ = [
    "OUT", "Blocking", "Broken", "Counter", "Numbers", "SameKeys", "all_of", "microphone_reader",
    "none_ends", "plugin", "wav_reader",
]  # fmt: skip

OUT = threading.Event()
"""Set while the device of `Numbers` is unplugged."""


def plugin(name: str) -> Any:
    """Return a plugin of stream2py; skip the test where it cannot be installed."""
    return pytest.importorskip(name, reason=f"{name} cannot be imported", exc_type=ImportError)


def wav_reader() -> Any:
    """Return audiostream2py's ``WavFileSourceReader``.

    Its package imports PyAudio, which is compiled, for five constants: where that is not there, a
    module with these alone stands in.
    """
    try:
        import pyaudio
    except ImportError:
        names = (
            "paNoError",
            "paInputUnderflow",
            "paInputOverflow",
            "paOutputUnderflow",
            "paOutputOverflow",
            "paPrimingOutput",
            "paContinue",
            "paComplete",
            "paAbort",
        )
        values = (0, 1, 2, 4, 8, 16, 0, 1, 2)
        pyaudio = types.ModuleType("pyaudio")
        vars(pyaudio).update(zip(names, values, strict=True), PyAudio=None)
        sys.modules["pyaudio"] = pyaudio
        try:
            return plugin("audiostream2py.file").WavFileSourceReader
        finally:
            del sys.modules["pyaudio"]
    return plugin("audiostream2py.file").WavFileSourceReader


def microphone_reader() -> Any:
    """Return audiostream2py's ``PyAudioSourceReader``; skip the test where PyAudio is not there."""
    reason = "PyAudio is compiled: apt install portaudio19-dev gcc, then pip install pyaudio"
    pytest.importorskip("pyaudio", reason=reason, exc_type=ImportError)
    return plugin("audiostream2py").PyAudioSourceReader


class Numbers(SourceReader):  # type: ignore[misc]  # it has no types
    """A number every 10 ms, keyed by the wall clock in µs, until it is unplugged."""

    sleep_time_on_read_none_s = 0.002

    def open(self) -> None:
        if OUT.is_set():
            raise OSError("no such device")
        self._next, self._due = 0, time.monotonic()

    def close(self) -> None:
        pass

    @property
    def info(self) -> dict[str, Any]:
        return {"port": "none"}

    def read(self) -> tuple[int, int] | None:
        if OUT.is_set():
            raise OSError("unplugged")
        if time.monotonic() < self._due:
            return None
        self._due += 0.01
        self._next += 1
        return self.get_timestamp(), self._next

    def key(self, data: tuple[int, int]) -> int:
        return data[0]


class Counter(SourceReader):  # type: ignore[misc]
    """Numbers from 0 to ``stop``, at once, then None for ever; each is its own key."""

    sleep_time_on_read_none_s = 0.0005

    def __init__(self, stop: int) -> None:
        self._stop = stop

    def open(self) -> None:
        self._next = 0

    def close(self) -> None:
        pass

    @property
    def info(self) -> dict[str, Any]:
        return {"stop": self._stop}

    def read(self) -> int | None:
        if self._next == self._stop:
            return None
        self._next += 1
        return self._next - 1

    def key(self, data: int) -> int:
        return data


class Broken(Counter):
    """A `Counter` that is unplugged after its last number."""

    def read(self) -> int | None:
        found = super().read()
        if found is None:
            raise OSError("unplugged")
        return found


class SameKeys(Counter):
    """A `Counter` whose keys are milliseconds of the wall clock, in µs: many are equal."""

    def key(self, data: int) -> int:
        return int(time.time() * 1e3) * 1000


class Blocking(Counter):
    """A `Counter` that blocks after its last number, until it is closed."""

    def open(self) -> None:
        super().open()
        self._closed_event = threading.Event()

    def close(self) -> None:
        self._closed_event.set()

    def read(self) -> int | None:
        found = super().read()
        if found is None:
            self._closed_event.wait(60)
        return found


def none_ends(item: Any, reader: Any) -> bool:
    """Whether an item is None, as at the end of a file."""
    return item is None


def all_of(source: Any) -> list[Chunk[Any]]:
    """Return the chunks of a source that ends."""
    device = Device(source)
    reader = device.reader()
    with device:
        chunks = list(reader)
    return [chunk for chunk in chunks if len(chunk)]
