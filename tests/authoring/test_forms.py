"""The four forms of an authored device: they open, give, lose and close."""

import asyncio
import itertools
import threading
import time
import traceback
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from authored import Asked, Awaiting, Blocking, Cable, Calling, Opened
from fakes import eventually

from rxstream import Device, Reading, StreamInfo
from rxstream.authoring import EmitValue, source, source_from_functions
from rxstream.errors import (
    ChunkError,
    DeviceBusyError,
    DeviceError,
    DeviceLostError,
    DeviceNotFoundError,
    EndOfStream,
    MissingExtraError,
    ParameterError,
)

pytestmark = pytest.mark.real

VALUES: dict[Any, Any] = {
    Blocking: 1.5,
    Calling: ("a", 1.5),
    Awaiting: {"topic": "a", "value": 1.5},
    Asked: (3, 4),
}
SENDING = [Blocking, Calling, Awaiting]


@pytest.mark.parametrize("form", VALUES)
def test_values_come_and_closing_closes_the_driver(form: Any) -> None:
    cable = Cable()
    cable.said.put(VALUES[form])
    with Opened(form(cable)) as opened:
        first = opened.next()
        assert len(first.data) == 1
        cable.said.put(VALUES[form])
        opened.next()
    assert cable.opened == cable.closed > 0
    opened.close()
    count = len(opened.readings)
    cable.said.put(VALUES[form])
    assert len(opened.readings) == count
    assert not opened.errors


@pytest.mark.parametrize("form", SENDING)
def test_while_nothing_comes_there_are_heartbeats(form: Any) -> None:
    with Opened(form(Cable())) as opened:
        assert opened.beat.wait(10)
    assert not opened.readings


def test_a_stream_with_a_rate_needs_none() -> None:
    silent = threading.Semaphore(0)

    @source(rate=10.0)
    def Steady() -> Any:
        yield
        while True:
            silent.release()
            yield

    with Opened(Steady()) as opened:
        for _ in range(3):
            assert silent.acquire(timeout=10)
    assert opened.beats == 0


def test_a_driver_that_never_waits_does_not_fill_the_window_with_heartbeats() -> None:
    took = list[float]()

    @source()
    def Busy() -> Any:
        yield
        before = time.monotonic()
        for _ in range(10_000):
            yield
        took.append(time.monotonic() - before)

    with Opened(Busy()) as opened:
        assert isinstance(opened.error(), EndOfStream)
    assert 0 < opened.beats <= took[0] / 0.005 + 1


def test_what_is_asked_has_exact_bounds_and_is_there_as_it_opens() -> None:
    cable = Cable()
    with Opened(Asked(cable, every=0.01)) as opened:
        # asked once as it opened, and perhaps again by now
        assert cable.opened >= 1
        readings = [opened.next() for _ in range(3)]
    for reading in readings:
        assert reading.bounds is not None
        assert 0 < reading.bounds[1] - reading.bounds[0] < 10e9
    # the first answer, asked for at the opening, is the first sample
    assert opened.readings[0].data.tolist() == [[1, 1]]
    assert opened.readings[0].bounds[1] < opened.readings[1].bounds[0]  # type: ignore[index]


def test_a_generator_is_asked_with_its_driver_open() -> None:
    cable = Cable()

    @source(every=0.01)
    def Meter(cable: Cable) -> Any:
        with cable:
            yield
            while True:
                yield cable.opened, None if cable.closed else 7

    @source(every=0.01)
    def Voltmeter(cable: Cable) -> Any:
        with cable:
            yield
            while True:
                yield float(cable.opened)

    with Opened(Voltmeter(cable)) as opened:
        readings = [opened.next() for _ in range(2)]
    assert cable.opened == cable.closed == 1
    assert all(reading.bounds for reading in readings)
    with Opened(Meter(Cable())) as opened:
        assert opened.next().bounds is None  # it has a stamp


@pytest.mark.parametrize("form", VALUES)
@pytest.mark.parametrize(
    ("raised", "kind", "text"),
    [
        (FileNotFoundError(2, "No such file"), DeviceNotFoundError, "No such file"),
        (ValueError("odd port"), DeviceNotFoundError, "ValueError: odd port"),
        (PermissionError(13, "Permission denied"), DeviceBusyError, "give your user access"),
        (OSError(16, "Device or resource busy"), DeviceBusyError, "close what else uses it"),
        (ImportError("No module", name="serial.x"), MissingExtraError, "package that has serial"),
        (ParameterError("mine"), ParameterError, "mine"),
    ],
)
def test_what_a_driver_raises_as_it_is_opened(
    form: Any, raised: Exception, kind: type[Exception], text: str
) -> None:
    with pytest.raises(kind, match=text) as caught:
        Opened(form(Cable(refuse=raised))).__enter__()
    assert type(caught.value) is kind
    assert raised in (caught.value, caught.value.__cause__)


def test_an_async_driver_that_cancels_itself_as_it_is_opened_is_not_open() -> None:
    @source()
    async def Cancelled() -> Any:
        raise asyncio.CancelledError
        yield

    with pytest.raises(DeviceNotFoundError, match="cancelled: CancelledError"):
        Device(Cancelled()).open()


@pytest.mark.parametrize("raised", [SystemExit(3), KeyboardInterrupt()])
def test_an_async_driver_that_ends_the_program_is_lost_at_once(raised: BaseException) -> None:
    @source()
    async def Leaving() -> Any:
        yield
        raise raised

    with Opened(Leaving()) as opened:
        lost = opened.error()
    assert isinstance(lost, DeviceLostError)
    assert lost.__cause__ is raised


def test_the_missing_driver_names_what_installs_it() -> None:
    @source(requires="pyserial-of-somebody")
    def Scale() -> Any:
        import a_driver_that_nobody_has  # type: ignore[import-not-found]  # noqa: F401

        yield

    with pytest.raises(MissingExtraError, match="pip install 'pyserial-of-somebody'"):
        Device(Scale()).open()


@pytest.mark.parametrize("form", [Blocking, Awaiting, Asked])
def test_what_a_driver_raises_later_is_a_loss(form: Any) -> None:
    cable, error = Cable(), OSError(5, "Input/output error")
    with Opened(form(cable)) as opened:
        cable.said.put(VALUES[form])
        opened.next()
        cable.said.put(error)
        lost = opened.error()
        assert cable.left.wait(10)
    assert isinstance(lost, DeviceLostError)
    assert lost.__cause__ is error
    assert "Input/output error" in str(lost)


@pytest.mark.parametrize("form", [Blocking, Awaiting])
def test_the_end_of_the_function_is_the_end_of_the_stream(form: Any) -> None:
    cable = Cable()
    with Opened(form(cable)) as opened:
        cable.said.put("end")
        assert isinstance(opened.error(), EndOfStream)
    assert cable.closed == 1


def test_the_end_of_one_that_calls_back() -> None:
    cable = Cable()
    with Opened(Calling(cable)) as opened:
        cable.left.set()
        assert isinstance(opened.error(), EndOfStream)


def test_nothing_comes_after_close_from_a_driver_that_calls_back() -> None:
    cable = Cable()
    with Opened(Calling(cable)) as opened:
        cable.said.put(("a", 1.0))
        opened.next()
    # its `finally` emits once more
    assert [str(reading.data["topic"][0]) for reading in opened.readings] == ["a"]


def test_what_comes_while_it_is_opened_is_kept() -> None:
    @source()
    def Early(emit: EmitValue) -> Any:
        emit(1.5)
        yield
        yield 2.5
        while True:
            yield

    with Device(Early()) as device:
        assert eventually(lambda: len(device.last(60)) == 2)
        assert device.last(60).data.tolist() == [1.5, 2.5]


@pytest.mark.parametrize("form", SENDING)
def test_a_value_that_does_not_fit_ends_it_with_the_line(form: Any) -> None:
    cable = Cable()
    with Opened(form(cable)) as opened:
        cable.said.put("text" if form is Blocking else ("a", "text"))
        error = opened.error()
        if form is not Calling:
            assert cable.left.wait(10)
    assert isinstance(error, ChunkError)
    assert "'text' does not fit float64; make it a number" in str(error)
    lines = [frame.line for frame in traceback.extract_tb(error.__traceback__)]
    assert any("yield value" in str(line) or "emit(value)" in str(line) for line in lines)


def test_what_is_learnt_as_it_opens_describes_the_stream() -> None:
    @source(dtype="u1")
    def Eye() -> Any:
        yield StreamInfo("eye", None, (2,), np.dtype("u1"), extra={"serial": 5})
        while True:
            yield [1, 2]

    device = Device(Eye())
    with device, device.reader() as reader:
        assert reader.read(1, timeout=10).data.tolist() == [[1, 2]]
        assert device.info.extra["serial"] == 5
    assert device.info.shape == (2,)
    assert device.info.extra["serial"] == 5


@pytest.mark.parametrize("wrong", ["never", "value"])
@pytest.mark.parametrize("asynchronous", [False, True])
def test_a_wrong_first_yield_is_said(wrong: str, asynchronous: bool) -> None:
    closed = threading.Event()

    @source()
    def Wrong() -> Any:
        if wrong == "value":
            try:
                yield 1.5
            finally:
                closed.set()

    @source(name="wrong")
    async def AsyncWrong() -> Any:
        if wrong == "value":
            try:
                yield 1.5
            finally:
                closed.set()

    text = "without a yield" if wrong == "never" else "first yield gives a value"
    with pytest.raises(ParameterError, match=f"wrong: .*{text}"):
        Device(AsyncWrong() if asynchronous else Wrong()).open()
    assert closed.is_set() == (wrong == "value")


@pytest.mark.parametrize("asynchronous", [False, True])
def test_one_that_yields_after_close_is_said(asynchronous: bool) -> None:
    @source()
    def Stubborn() -> Any:
        yield
        while True:
            try:
                yield
            except GeneratorExit:
                yield 1.0
                return

    @source(name="stubborn")
    async def AsyncStubborn() -> Any:
        yield
        while True:
            try:
                await asyncio.sleep(0.01)
                yield
            except asyncio.CancelledError:
                pass
            except GeneratorExit:
                yield 1.0

    opened = Opened(AsyncStubborn() if asynchronous else Stubborn()).__enter__()
    assert opened.beat.wait(10)
    with pytest.raises(DeviceError, match="stubborn: it yields after it was closed; close the"):
        opened.close()


@pytest.mark.parametrize(
    ("where", "text"),
    [
        ("read", "has not yielded within 2 s; yield, bare"),
        ("ask", "has not answered within 2 s; give its driver a shorter timeout"),
        ("close", "is slow in closing"),
    ],
)
def test_one_that_hangs_is_said(where: str, text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rxstream.acquisition.polling._TIMEOUT", 0.3)
    release, inside, calls = threading.Event(), threading.Event(), itertools.count()

    def hang() -> float:
        inside.set()
        release.wait(20)
        return 1.0

    @source(name="slow")
    def Slow() -> Any:
        try:
            yield
            while True:
                if where == "read":
                    hang()
                yield 1.0
        finally:
            hang()

    @source(name="slow", every=0.01)
    def SlowAnswer() -> float:
        return hang() if next(calls) else 1.0

    opened = Opened(SlowAnswer() if where == "ask" else Slow()).__enter__()
    assert opened.next() if where == "close" else inside.wait(10)
    try:
        with pytest.raises(DeviceError, match=f"slow: it {text}"):
            opened.close()
    finally:
        release.set()


def test_it_is_closed_in_the_midst_of_a_reading() -> None:
    """A subscriber closes the device, in the thread of the driver."""
    for form in SENDING:
        cable = Cable()
        opened = Opened(form(cable))
        emit, done = opened._emit, threading.Event()

        def take(
            reading: Any,
            opened: Opened = opened,
            emit: Callable[[Any], None] = emit,
            done: threading.Event = done,
        ) -> None:
            emit(reading)
            if len(reading.data) and not done.is_set():
                opened.close()
                done.set()

        opened._emit = take  # type: ignore[method-assign]
        with opened:
            cable.said.put(VALUES[form])
            cable.said.put(VALUES[form])
            assert done.wait(10)
            assert cable.left.wait(10)
        assert len(opened.readings) == 1
        assert not opened.errors


def test_a_driver_that_closes_is_not_interrupted() -> None:
    """It is closed from its own thread, and by who waits for it, at the same time."""
    steps: list[str] = []

    @source()
    async def Polite() -> Any:
        try:
            yield
            while True:
                await asyncio.sleep(0.01)
                yield 1.0
        finally:
            steps.append("begun")
            await asyncio.sleep(0.1)
            steps.append("done")

    opened = Opened(Polite())
    emit = opened._emit

    def take(reading: Any) -> None:
        opened.close()
        emit(reading)

    opened._emit = take  # type: ignore[method-assign]
    with opened:
        opened.next()
        assert eventually(lambda: steps)
    assert steps == ["begun", "done"]


def test_functions_of_a_driver_are_a_source() -> None:
    cable = Cable()
    info = StreamInfo("functions", None, (), np.dtype("f8"))
    made = source_from_functions(
        cable.__enter__, Cable.next, lambda handle: handle.__exit__(), info
    )
    with Opened(made) as opened:
        cable.said.put(Reading(np.array([2.5]), lost=4))
        assert opened.next().lost == 4
        assert opened.beat.wait(10)
        cable.said.put(OSError("gone"))
        assert isinstance(opened.error(), DeviceLostError)
    assert cable.closed == 1
    cable.refuse = OSError("absent")
    with pytest.raises(DeviceNotFoundError, match="functions: OSError: absent"):
        Device(made).open()
    with pytest.raises(ParameterError, match="read must be a function, not 5"):
        source_from_functions(cable.__enter__, 5, print, info)  # type: ignore[arg-type]


def test_a_lost_device_comes_back() -> None:
    cable = Cable()
    device = Device(Blocking(cable), reconnect=0.01)
    with device, device.reader() as reader:
        cable.said.put(1.0)
        assert len(reader.read(1, timeout=10)) == 1
        cable.said.put(OSError("cable out"))
        assert eventually(lambda: cable.opened == 2)
        cable.said.put(2.0)
        chunk = reader.read(1, timeout=10)
    assert chunk.data.tolist() == [2.0]
    assert chunk.gap is not None
    assert chunk.gap.reason == "disconnect"
