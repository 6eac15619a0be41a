"""What all sinks share, and callback."""

import logging
import re
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reactivex as rx
from fakes import INFO, MS, Manual, eventually, ramp

from rxstream import Chunk, Device, Gap, StreamInfo, sinks
from rxstream.errors import (
    ChunkError,
    DeviceLostError,
    ParameterError,
    RxStreamError,
    SubscriberError,
)
from rxstream.sinks import Sink, callback
from rxstream.sinks.paths import path_to_write

pytestmark = pytest.mark.real


class Noting(Sink):
    """Notes what is called; raises on request."""

    def __init__(self, broken: str = "") -> None:
        super().__init__("noting")
        self.calls: list[str] = []
        self.broken = broken

    def _note(self, what: str) -> None:
        self.calls.append(what)
        if what == self.broken:
            raise OSError(f"{what}: disk full")

    def start(self, chunk: Chunk) -> None:
        self._note("start")

    def write(self, chunk: Chunk) -> None:
        self._note("write")

    def finish(self) -> None:
        self._note("finish")


def test_opened_by_the_first_chunk_and_closed_once() -> None:
    sink = Noting()
    assert not sink.closed
    assert sink.info is None
    rx.of(ramp(0, 3), ramp(3, 4)).subscribe(sink)
    assert sink.calls == ["start", "write", "write", "finish"]
    assert sink.closed
    assert sink.wait(0)
    assert sink.samples == 7
    assert sink.info is INFO
    assert sink.error is None
    sink.close()
    sink.on_completed()
    sink.on_error(ValueError())
    assert sink.calls == ["start", "write", "write", "finish"]
    assert sink.error is None


def test_a_stream_without_a_chunk_is_finished_all_the_same() -> None:
    sink = Noting()
    rx.empty().subscribe(sink)
    assert sink.calls == ["finish"]


def test_lost_samples_are_counted() -> None:
    sink = Noting()
    sink.on_next(ramp(0, 3))
    sink.on_next(ramp(10, 3, Gap(3 * MS, 10 * MS, 7, "dropped")))
    sink.on_next(ramp(20, 3, Gap(13 * MS, 20 * MS, None, "disconnect")))
    assert (sink.samples, sink.lost) == (9, 7)


def test_an_error_of_the_stream_is_kept(caplog: pytest.LogCaptureFixture) -> None:
    sink = Noting()
    error = DeviceLostError("unplugged")
    sink.on_next(ramp(0, 1))
    sink.on_error(error)
    assert sink.error is error
    assert sink.calls[-1] == "finish"
    assert "noting: the stream ended with an error: unplugged" in caplog.text
    with pytest.raises(RxStreamError, match=r"ended with DeviceLostError"):
        sink.on_next(ramp(1, 1))


@pytest.mark.parametrize("broken", ["start", "write"])
def test_a_sink_that_fails_is_closed(broken: str) -> None:
    sink = Noting(broken)
    with pytest.raises(OSError, match="disk full"):
        sink.on_next(ramp(0, 1))
    assert sink.calls[-1] == "finish"
    assert isinstance(sink.error, OSError)
    assert sink.closed
    assert sink.samples == 0


def test_closing_that_fails_says_so_and_is_closing() -> None:
    sink = Noting("finish")
    with pytest.raises(OSError, match="disk full"):
        sink.close()
    assert sink.closed
    assert isinstance(sink.error, OSError)
    sink.close()
    assert sink.calls == ["finish"]


def test_two_failures_raise_the_first(caplog: pytest.LogCaptureFixture) -> None:
    class Worse(Noting):
        def finish(self) -> None:
            raise RuntimeError("worse")

    sink = Worse("write")
    with pytest.raises(OSError, match="disk full"):
        sink.on_next(ramp(0, 1))
    assert isinstance(sink.error, OSError)
    assert "closing after an error failed too: RuntimeError('worse')" in caplog.text


def test_nothing_is_taken_after_the_end() -> None:
    with Noting() as sink:
        sink.on_next(ramp(0, 1))
    assert sink.calls == ["start", "write", "finish"]
    with pytest.raises(RxStreamError, match=r"noting is closed and takes .*: make a new sink"):
        sink.on_next(ramp(1, 1))
    with pytest.raises(RxStreamError, match="make a new sink"), sink:
        pass


def test_after_the_end_it_takes_no_subscription() -> None:
    sink = Noting()
    sink.close()
    with pytest.raises(RxStreamError, match="make a new sink"):
        Device(Manual()).subscribe(sink)


def test_closed_under_its_subscription_it_is_cut_off_with_a_reason() -> None:
    source, sink = Manual(), Noting()
    device = Device(source)
    faults: list[Exception] = []
    device.faults.subscribe(faults.append)
    device.subscribe(sink)
    sink.close()
    with device:
        source.emit(np.arange(5))
        assert eventually(lambda: faults)
    assert isinstance(faults[0], SubscriberError)
    assert "make a new sink" in str(faults[0].__cause__)


@pytest.mark.parametrize(
    "other",
    [
        Chunk.regular(np.zeros((2, 3)), StreamInfo("b", 1.0, (3,), np.dtype("f8")), start=0),
        Chunk.regular(np.zeros(2, "f4"), StreamInfo("b", 1.0), start=0),
    ],
)
def test_one_sink_takes_one_stream(other: Chunk) -> None:
    sink = Noting()
    sink.on_next(ramp(0, 3))
    with pytest.raises(
        ChunkError, match=r"got b with samples .* after ramp .* takes one kind of them"
    ):
        sink.on_next(other)
    assert sink.closed


def test_only_chunks_are_taken() -> None:
    sink: Any = Noting()
    with pytest.raises(ChunkError, match="a sink takes chunks, not 17"):
        sink.on_next(17)


def test_a_sink_beside_others_on_a_device() -> None:
    source = Manual()
    device = Device(source)
    good, bad = Noting(), Noting("write")
    faults: list[Exception] = []
    device.faults.subscribe(faults.append)
    device.subscribe(good)
    device.subscribe(bad)
    with device:
        for k in range(10):
            source.emit(np.arange(5) + 5 * k)
        assert bad.wait(10)
        assert not good.closed
    assert good.wait(10)
    assert good.samples == 50
    assert bad.samples == 0
    assert len(faults) == 1
    assert "disk full" in str(faults[0].__cause__)


def test_closing_waits_for_the_chunk_under_way() -> None:
    entered, leave = threading.Event(), threading.Event()
    done: list[str] = []

    def slow(_: Chunk) -> None:
        entered.set()
        leave.wait(10)
        done.append("chunk")

    sink = callback(slow, finish=lambda: done.append("finish"))
    worker = threading.Thread(target=sink.on_next, args=(ramp(0, 1),))
    worker.start()
    assert entered.wait(10)
    closer = threading.Thread(target=sink.close)
    closer.start()
    assert not sink.wait(0.05)
    leave.set()
    worker.join(10)
    closer.join(10)
    assert done == ["chunk", "finish"]


# -- callback ---------------------------------------------------------------------------------


def test_callback_gets_every_chunk_and_the_end() -> None:
    got: list[Any] = []
    source = Manual()
    device = Device(source)
    sink = callback(got.append, finish=lambda: got.append("end"))
    device.subscribe(sink)
    with device:
        source.emit(np.arange(5))
        source.emit(np.arange(5, 8))
        assert eventually(lambda: len(got) == 2)
    assert sink.wait(10)
    assert [list(chunk.data) for chunk in got[:2]] == [[0, 1, 2, 3, 4], [5, 6, 7]]
    assert got[2:] == ["end"]
    assert "append" in sink.name
    assert "closed, 8 samples" in repr(sink)


def test_callback_takes_chunks_of_any_shape() -> None:
    shapes: list[tuple[int, ...]] = []
    sink = callback(lambda chunk: shapes.append(chunk.data.shape))
    for k in range(1, 3):
        info = StreamInfo("a", 1.0, (k,))
        sink.on_next(Chunk.regular(np.zeros((2, k), "f4"), info, start=0))
    assert shapes == [(2, 1), (2, 2)]


def test_a_callback_that_raises_is_cut_off_alone(caplog: pytest.LogCaptureFixture) -> None:
    def bad(_: Chunk) -> None:
        raise ZeroDivisionError("oh")

    source, other = Manual(), Noting()
    device = Device(source)
    sink = callback(bad)
    device.subscribe(sink)
    device.subscribe(other)
    with device:
        source.emit(np.arange(5))
        source.emit(np.arange(5))
        assert sink.wait(10)
    assert other.wait(10)
    assert other.samples == 10
    assert isinstance(sink.error, ZeroDivisionError)
    assert [r.levelno for r in caplog.records] == [logging.ERROR]


def test_a_callback_may_close_its_sink() -> None:
    sink = callback(lambda _: sink.close())
    sink.on_next(ramp(0, 1))
    assert sink.closed


@pytest.mark.parametrize("arguments", [(None,), (5,), (print, 5)])
def test_callbacks_must_be_functions(arguments: Any) -> None:
    first, *rest = arguments
    with pytest.raises(ParameterError, match=r"must be something to call, not (None|5)"):
        callback(first, **({"finish": rest[0]} if rest else {}))


# -- paths, imports ---------------------------------------------------------------------------


def test_paths_to_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    assert path_to_write("~/a.WAV", ".wav") == tmp_path / "a.WAV"
    bad: Any
    for bad, words in [
        (tmp_path, rf"^'{re.escape(str(tmp_path))}' is a folder; give the path of a file"),
        (tmp_path / "none" / "a.wav", r"there is no folder '.*none' to write 'a.wav' to"),
        ("", "path must be that of a file, not ''"),
        (5, "path must be that of a file, not 5"),
    ]:
        with pytest.raises(ParameterError, match=words):
            path_to_write(bad)
    with pytest.raises(ParameterError, match=r"one of .flac, .wav, not '.mp3'"):
        path_to_write("a.mp3", ".flac", ".wav")


def test_importing_sinks_loads_no_driver() -> None:
    drivers = ["can", "cantools", "cv2", "sounddevice", "soundfile", "pandas"]
    code = f"import sys, rxstream.sinks; print([m for m in {drivers} if m in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
    assert sinks.__all__ == sorted(sinks.__all__)
