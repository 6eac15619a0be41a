"""Campaign: every parameter of the public API takes every bad value, or refuses it in words."""

import inspect
import queue
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reactivex as rx
from bad_values import Make, cases_of, defect_of, methods_of
from campaign import first_seed, trials

import rxstream
from rxstream import (
    Backoff,
    Chunk,
    Clip,
    Device,
    DeviceCounter,
    Gap,
    Reading,
    StreamInfo,
    TimeWindowSubject,
    devices,
    sinks,
    timing,
)
from rxstream import operators as ops
from rxstream.devices.can import CAN_DTYPE
from rxstream.devices.simulated import Delay, Drops, Simulated, Stalls
from rxstream.timing import ClockModel, ClockSettings

INFO = StreamInfo("x", 1000.0, dtype=np.dtype(float))
IRREGULAR = StreamInfo("y", dtype=np.dtype(float))


def chunks(count: int = 3, start: int = 0) -> list[Chunk]:
    return [
        Chunk.regular(np.arange(50.0) + k, INFO, start=start + k * 50_000_000, index=k * 50)
        for k in range(count)
    ]


def events() -> list[Chunk]:
    return [Chunk.stamped(np.ones(2), [k * 10**8, k * 10**8 + 10**7], IRREGULAR) for k in range(3)]


def messages() -> Chunk:
    return Chunk.stamped(np.zeros(2, CAN_DTYPE), [1, 2], StreamInfo("can", dtype=CAN_DTYPE))


class Plain:
    """The least source: samples when it is opened, and the end."""

    info = INFO

    def open(self, emit: Callable[[Any], None], fail: Callable[[Exception], None]) -> Any:
        return lambda: None


CHUNK = chunks(1)[0]
GAP = Gap(5, 9, 3, "dropped")


async def wait(chunk: Any) -> Any:
    return chunk


GOOD: dict[str, Any] = {
    "source": Make(Plain), "info": INFO, "data": np.arange(5.0), "start": 0, "end": 10**9,
    "time": [1, 2, 3, 4, 5], "t": 25_000_000, "t0": 0, "t1": 10, "by": 5, "gap": GAP, "other": GAP,
    "lost": 3, "reason": "dropped", "stamp": 5, "chunks": CHUNK, "bits": 8, "name": "x",
    "seconds": 0.01, "policy": "gap", "duration": 0.02, "pause": 0.02, "function": lambda x: x,
    "state": 0, "threshold": 0.5, "on": 0.5, "how": "linear", "low": 10.0, "high": 100.0, "q": 2,
    "sos": [[1.0, 0.0, 0.0, 1.0, 0.0, 0.0]], "keys": (0,), "others": Make(lambda: [rx.empty()]),
    "streams": Make(lambda: ()), "named": Make(dict), "changes": Make(dict), "rate": 1000.0,
    "database": {}, "events": (1,), "times": (1,), "window": 0.01, "operators": (ops.rechunk(5),),
    "options": Make(dict), "index": np.arange(5), "spec": "simulated", "value": 0.1, "b": [3, 4],
    "chunk": CHUNK, "a": [1, 2], "n": [10, 10], "arrival": [10**9, 2 * 10**9],
    "settings": Make(dict),
    "ports": 1, "lateness": 1, "port": 0, "position": 1, "make": lambda: None, "on_next": None,
    "read": lambda: None, "emit": print, "fail": print, "error": ValueError("x"), "size": 5,
    "parent": 1, "channel": "virtual", "drain": 0.0,
    "map_async.function": wait, "scan_data.function": lambda state, x: (x, state),
    "gate.on": 0.5, "TimeWindowSubject.on_next.value": CHUNK, "onset_times.holdoff": 0.0,
    "ClockSettings.rate": 1000.0, "ClockSettings.window": (10.0, 300.0), "rechunk.size": 5,
    "Clip.events": (1,), "Clip.start": 0, "Clip.end": 10, "resample.rate": 100.0,
    "rewind.seconds": 0.01, "Chunk.empty.start": 0, "correct_arrays.rate": 1000.0,
    "Watermarks.lateness": 1, "filter_band.low": 10.0, "filter_band.high": 100.0,
    "ClockModel.settings": Make(lambda: ClockSettings(1000.0)),
    "rms.duration": 0.01, "spectrogram.duration": 0.01, "Delay.floor": 0.001,
    "Drops.every": 1.0, "Stalls.every": 1.0, "Stalls.length": 0.1, "Can.channel": "x",
    "Camera.source": 0, "poll.read": None, "poll.name": "x",
    "Http.url": "http://127.0.0.1:1/", "WebSocket.url": "ws://127.0.0.1:1/", "Mqtt.topics": "t",
    "wav.path": "a.wav", "csv.path": "a.csv", "can_log.path": "a.log", "video.path": "a.avi",
    "callback.function": lambda chunk: None, "callback.name": "x", "Sink.on_next.value": CHUNK,
    "OpcUa.url": "opc.tcp://127.0.0.1:1", "OpcUa.items": "ns=2;s=a", "S7.host": "127.0.0.1",
    "S7.items": "DB1.DBD0:REAL", "Modbus.address": "127.0.0.1", "Modbus.items": "coil:2",
    "Scpi.resource": "TCPIP::127.0.0.1::1::SOCKET", "Scpi.query": "MEAS?", "Iterable.values": (1,),
    "at.t": 25_000_000, "Device.wait.timeout": 0.0, "Sink.wait.timeout": 0.0,
    "Device.close.drain": 0.0,
}  # fmt: skip

# What the library makes and users read; they check nothing.
RESULTS = {
    "Calibration", "Chunk", "ClockEvent", "CorrectedTimes", "DeviceInfo", "Fault", "FileSink",
    "FileWriter", "Flow", "JoinedWindow", "Missing", "MultiStep", "Sample", "Sink", "Source",
    "Stamp", "Step", "Stream", "Unmatched", "Watermarks", "close_on_signals", "failed", "lift",
    "lift_multi", "poll",
}  # fmt: skip
# Good values of that kind, or of no meaning: a function of the user may raise what it will.
FUNCTIONS = [
    "function", "state", "signal", "finish", "options", "on", "off", "report", "unmatched",
    "time", "loop", "executor", "clock", "make",
]  # fmt: skip
CALLABLES = ["class", "function", "method", "None"]
SKIP = frozenset(
    [f"{name} {bad}" for name in FUNCTIONS for bad in CALLABLES]
    # without limit
    + ["timeout None"]
    + [f"operators {bad}" for bad in CALLABLES]
    # a state is copied for each subscription
    + ["state module"]
)  # fmt: skip
# Parts of the library that call each other.
INTERNAL = {
    "attach", "attach_reader", "call_on_wake", "check_start", "copy", "discover", "dispose",
    "drain", "finish", "forget_parent", "leave_parent", "on_completed", "on_dispose", "on_error",
    "on_subscribe", "open", "over", "plot", "replug", "report_fault", "stats", "subscribe",
    "to_pandas", "to_xarray", "trim", "unplug", "with_heartbeats", "write",
}  # fmt: skip

# They are called for each piece of a stream, and check nothing.
UNCHECKED = {
    "Chunk.empty", "Gap.between", "Gap.join", "Gap.shifted", "TimeWindowSubject.wait",
}  # fmt: skip


def public(module: Any) -> dict[str, Any]:
    found = {name: getattr(module, name) for name in module.__all__ if name not in RESULTS}
    return {name: thing for name, thing in found.items() if callable(thing)}


def use_operator(operator: Any) -> None:
    """Let it work on samples and on events; raise what comes out at its end."""
    for items in (chunks(), events()):
        errors: list[Exception] = []
        stream = rx.from_iterable(items)
        seen: list[Any] = []
        stream.pipe(operator).subscribe(seen.append, errors.append)
        for item in seen:
            repr(item)
        if errors:
            raise errors[0]


def use_info(info: StreamInfo) -> None:
    repr(info)
    data = np.zeros((3, *info.shape), info.dtype) if info.sample_bytes < 10**6 else None
    if data is None:
        return
    if info.rate is None:
        chunk: Any = Chunk.stamped(data, [1, 2, 3], info)
    else:
        chunk = Chunk.regular(data, info, start=0)
    assert len(chunk.time) == 3
    repr(chunk)
    _ = chunk.end, chunk.duration, info.period


def use_chunk(chunk: Any) -> None:
    repr(chunk)
    _ = chunk.time, chunk.end, chunk.duration, chunk.lost, chunk.coverage, chunk[1:2].time


def use_source(source: Any) -> None:
    use_info(source.info)
    if isinstance(source, Simulated) and source.info.sample_bytes < 10**6:
        for number, reading in enumerate(source.readings(0.001)):
            assert reading is not None
            if number > 3:
                break


def use_reading(reading: Reading) -> None:
    """Emit it; a device says in words what is wrong with it."""
    ends: queue.SimpleQueue[Any] = queue.SimpleQueue()

    class One(Plain):
        info = StreamInfo(
            "x", 1000.0, dtype=np.dtype(float), counter=DeviceCounter(8), device_clock="own"
        )

        def open(self, emit: Callable[[Any], None], fail: Callable[[Exception], None]) -> Any:
            emit(reading)
            fail(rxstream.errors.EndOfStream())
            return lambda: None

    device = Device(One())
    device.subscribe(use_chunk, ends.put, lambda: ends.put(None))
    with device:
        error = ends.get(timeout=20)
    if error is not None:
        raise error.__cause__ or error


def use_sink(sink: Any) -> None:
    try:
        sink.on_next(CHUNK)
        repr(sink)
        if sink.error is not None:
            raise sink.error
    finally:
        sink.on_completed()


def use_device(device: Device) -> None:
    repr(device)
    str(device.stats())
    with device:
        repr(device)


USES: dict[str, Callable[[Any], Any]] = {
    "StreamInfo": use_info, "Reading": use_reading, "Device": use_device,
    "TimeWindowSubject": lambda subject: (subject.on_next(CHUNK), subject.last(0.1), repr(subject)),
    "concat": use_chunk, "Clip": lambda clip: (repr(clip), clip._repr_html_(), clip.plot()),
    "open": lambda device: device.close(0.0),
    "DeviceCounter": lambda counter: StreamInfo("x", counter=counter),
    "Gap": lambda gap: (repr(gap), str(gap), gap.duration, gap.shifted(1)),
    "Backoff": repr, "ClockModel": repr, "ClockSettings": lambda settings: ClockModel(settings),
}  # fmt: skip


def check(name: str, function: Any, use: Callable[[Any], Any] | None) -> None:
    if not inspect.signature(function).parameters:
        return
    cases = cases_of(name, function, GOOD, SKIP)
    first = next(cases)
    use_or_not = use or repr
    assert defect_of(first, use_or_not) is None
    several = list(cases)
    chosen = random.Random(first_seed()).sample(several, trials(len(several)))
    found = [defect for case in chosen if (defect := defect_of(case, use_or_not))]
    assert not found, "\n".join(["", *found])


@pytest.fixture(autouse=True)
def _in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


OPERATORS = public(ops)


@pytest.mark.parametrize("name", OPERATORS)
def test_operators(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    # windows of a nanosecond: the error is the same after a thousand as after a million
    monkeypatch.setattr("rxstream.operators.joins.join_windows._MAX_WINDOWS_PER_CHUNK", 1000)
    check(name, OPERATORS[name], use_operator)


SOURCES = (
    public(devices)
    | {"Delay": Delay, "Drops": Drops, "Stalls": Stalls}
    | {
        f"Simulated.{name}": getattr(Simulated, name)
        for name in ("microphone", "camera", "can", "keyboard")
    }
)


@pytest.mark.parametrize("name", SOURCES)
def test_devices(name: str) -> None:
    check(name, SOURCES[name], repr if name in ("Delay", "Drops", "Stalls") else use_source)


SINKS = public(sinks)


@pytest.mark.parametrize("name", SINKS)
def test_sinks(name: str) -> None:
    check(name, SINKS[name], use_sink)


OTHERS = public(rxstream) | {"open": rxstream.open} | public(timing)


@pytest.mark.real
@pytest.mark.parametrize("name", OTHERS)
def test_the_rest(name: str) -> None:
    check(name, OTHERS[name], USES.get(name))


def objects() -> Iterator[tuple[str, Callable[[], Any]]]:
    def subject() -> TimeWindowSubject:
        made = TimeWindowSubject(10.0)
        made.on_next(CHUNK)
        return made

    yield "Chunk", lambda: CHUNK
    yield "Gap", lambda: GAP
    yield "StreamInfo", lambda: INFO
    yield "Backoff", Backoff
    yield "Device", lambda: Device(Plain())
    yield "TimeWindowSubject", subject
    yield "Simulated", lambda: Simulated(rate=1000.0)
    yield "Clip", lambda: Clip((1,), (1,), 0, 10, {"x": CHUNK})
    yield "Sink", lambda: sinks.callback(print)
    yield "Reader", lambda: subject().reader()


METHODS = [
    pytest.param(kind, name, make, id=f"{kind}.{name}")
    for kind, make in objects()
    for name in methods_of(type(make()))
    if name not in INTERNAL and f"{kind}.{name}" not in UNCHECKED
]


@pytest.mark.parametrize(("kind", "name", "make"), METHODS)
def test_methods(kind: str, name: str, make: Callable[[], Any]) -> None:
    def call(*args: Any, **kwargs: Any) -> Any:
        return getattr(make(), name)(*args, **kwargs)

    method = getattr(make(), name)
    call.__signature__ = inspect.signature(method)  # type: ignore[attr-defined]
    use = use_chunk if kind == "Chunk" else None
    check(f"{kind}.{name}", call, use)
