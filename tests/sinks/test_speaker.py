"""speaker: what is played into a private PulseAudio is what its monitor records."""

import pickle
import re
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import eventually
from pulse import RATE, PrivatePulse, noise

from rxstream import Chunk, Device, Gap, StreamInfo
from rxstream.devices import Audio, Simulated
from rxstream.errors import (
    ChunkError,
    DeviceNotFoundError,
    MissingExtraError,
    ParameterError,
    SinkError,
)
from rxstream.portaudio import _open_streams
from rxstream.sinks import speaker
from rxstream.sinks.play_queue import PlayQueue

pytestmark = pytest.mark.real

PAGE = Path(__file__).parents[2] / "docs" / "devices" / "speaker.md"

BLOCK = 480

# A busy machine serves the driver too late at times, which the sink counts: then once more.
TRIES = 5


@pytest.fixture(scope="module")
def pulse() -> Iterator[PrivatePulse]:
    with PrivatePulse() as daemon:
        yield daemon


@pytest.fixture
def monitor(pulse: PrivatePulse) -> Iterator[Device]:
    with Device(Audio(device="pulse", dtype="int16"), history=60) as device:
        assert eventually(lambda: len(device.last(60)))
        yield device


def sound(seconds: float, seed: int = 1, dtype: str = "int16", shape: Any = ()) -> Chunk[Any]:
    """Return noise without silence in it."""
    values = noise(seconds, seed)
    values[values == 0] = 1
    info = StreamInfo("sound", float(RATE), shape, np.dtype(dtype))
    data = values if dtype == "int16" else values / 32768.0
    if dtype == "int32":
        data = values.astype("i4") << 16
    return Chunk.regular(data.astype(dtype).reshape(-1, *shape), info, start=0)


def play(sink: speaker, chunk: Chunk[Any]) -> None:
    for k in range(0, len(chunk), BLOCK):
        sink.on_next(chunk[k : k + BLOCK])


def place(monitor: Device, chunk: Chunk[Any]) -> int:
    """Return where an int16 sound begins in what was recorded; -1 where it is not, bit for bit."""
    recorded, part = monitor.last(8).data[:, 0], chunk.data.reshape(-1)
    for start in np.flatnonzero(recorded == part[0]):
        if np.array_equal(recorded[start : start + len(part)], part):
            return int(start)
    return -1


def to_pulse(**options: Any) -> speaker:
    return speaker("pulse", **{"latency": 0.3} | options)


@pytest.mark.parametrize(
    ("dtype", "shape"),
    [("int16", ()), ("int32", (1,)), ("float32", (1,)), ("float64", ())],
)
def test_every_sample_is_played_as_it_came(monitor: Device, dtype: str, shape: Any) -> None:
    sent = sound(0.6, seed=2, dtype=dtype, shape=shape)

    def is_played() -> bool:
        with to_pulse() as sink:
            play(sink, sent)
        assert (sink.samples, sink.silence) == (len(sent), 0.0)
        return sink.underruns == 0

    assert any(is_played() for _ in range(TRIES))
    assert eventually(lambda: place(monitor, sound(0.6, seed=2)) >= 0)
    assert not any(thread.name == "speaker-close" for thread in threading.enumerate())


@pytest.mark.parametrize(("gaps", "silence"), [("silence", 2400), ("skip", 0)])
def test_a_gap_is_silence_of_its_length_or_nothing(
    monitor: Device, gaps: Any, silence: int
) -> None:
    for seed in range(30, 30 + TRIES):
        whole = sound(0.5, seed)
        first, last = whole[:9600], whole[12_000:]
        with to_pulse(gaps=gaps) as sink:
            play(sink, first)
            sink.on_next(last.with_gap(Gap(first.end, last.start, 2400, "dropped")))
        if not sink.underruns:
            break
    assert sink.lost == 2400
    assert sink.silence == silence / RATE
    assert eventually(lambda: place(monitor, last) >= 0)
    begin = place(monitor, first)
    assert begin >= 0
    assert place(monitor, last) == begin + len(first) + silence
    recorded = monitor.last(8).data[:, 0]
    assert not recorded[begin + len(first) : begin + len(first) + silence].any()


def test_a_stream_that_comes_too_late_is_an_underrun(
    monitor: Device, caplog: pytest.LogCaptureFixture
) -> None:
    for seed in range(40, 40 + TRIES):
        first, last = sound(0.3, seed), sound(0.3, seed + 20)
        with to_pulse(buffer=0.1, latency=0.2) as sink:
            play(sink, first)
            assert eventually(lambda: sink.underruns)
            play(sink, last)
        if sink.underruns == 1 and sink.silence:
            break
    assert eventually(lambda: place(monitor, last) >= 0)
    between = place(monitor, last) - place(monitor, first) - len(first)
    assert place(monitor, first) >= 0
    assert between == round(sink.silence * RATE)
    assert "an underrun: the stream came too late" in caplog.text
    assert "1 underruns; 0" in caplog.text


def test_silence_while_nothing_came_counts_for_the_gap(monitor: Device) -> None:
    """As after a disconnect: what is heard is as long as what was lost."""
    for seed in range(60, 60 + TRIES):
        whole = sound(2.0, seed)
        first, last = whole[:9600], whole[86_400:]
        gap = Gap(first.end, last.start, 76_800, "disconnect")
        with to_pulse(buffer=0.2, latency=0.2) as sink:
            play(sink, first)
            assert eventually(lambda: sink.silence > 0.5)
            sink.on_next(last.with_gap(gap))
        if sink.underruns == 1:
            break
    assert eventually(lambda: place(monitor, last) >= 0)
    assert place(monitor, last) == place(monitor, first) + len(first) + 76_800


def test_a_live_stream_is_played_to_its_end(pulse: PrivatePulse) -> None:
    source = Simulated(rate=float(RATE), duration=0.5, signal="noise")
    device = Device(source)
    sink = to_pulse(buffer=1.0)
    device.subscribe(sink)
    with device:
        assert sink.wait(20)
    assert sink.error is None
    assert sink.samples == RATE // 2
    assert not _open_streams


def test_a_server_that_is_killed_ends_the_sink() -> None:
    with PrivatePulse() as daemon:
        sink = to_pulse()
        play(sink, sound(0.5))
        daemon.kill()
        with pytest.raises(SinkError, match=r"pulse.* has stopped or is gone"):
            play(sink, sound(10.0))
        assert sink.closed


def with_pulse(about: Mapping[str, Any]) -> bool:
    return "pulse" in about["name"]


def test_outputs_are_chosen_as_inputs_are(pulse: PrivatePulse) -> None:
    with speaker(with_pulse) as sink:
        play(sink, sound(0.05))
    with pytest.raises(DeviceNotFoundError, match=r"speaker: no output 'Røde'; there are .*pulse"):
        speaker("Røde").on_next(sound(0.05))
    with pytest.raises(ParameterError, match="channels=1000"):
        speaker("pulse").on_next(sound(0.5, shape=(1000,)))


def test_what_is_no_sound_is_refused() -> None:
    for rate, shape, dtype in ((None, (), "f4"), (8000.0, (2, 2), "f4"), (8000.0, (), "u1")):
        info = StreamInfo("x", rate, shape, np.dtype(dtype))
        chunk = Chunk.stamped(np.zeros((1, *shape), dtype), [0], info)
        with pytest.raises(ChunkError, match="regular samples"):
            speaker().on_next(chunk)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"gaps": "fill"}, "'silence' or 'skip'"),
        ({"buffer": 0}, "speaker: buffer must be > 0"),
        ({"latency": -1}, "speaker: latency must be > 0"),
        ({"device": []}, "speaker: device must be a number"),
        ({"device": lambda _: True}, "write it with def"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        speaker(**options)


def test_a_missing_driver_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)
    with pytest.raises(MissingExtraError, match=r"rxstream\[audio\]"):
        speaker()


def ones(n: int) -> np.ndarray[Any, Any]:
    return np.ones((n, 1), "i2")


def test_a_full_queue_waits_and_a_driver_that_hangs_is_an_error(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("rxstream.sinks.play_queue._STALLED", 0.05)
    queue = PlayQueue("speaker", 1, np.dtype("i2"), capacity=4)
    out = np.empty((3, 1), "i2")
    thread = threading.Thread(target=queue.put, args=(ones(6),))
    thread.start()
    assert eventually(lambda: queue.left == 4)
    assert not queue.take(out)
    thread.join(10)
    assert queue.left == 3
    with pytest.raises(SinkError, match="has taken nothing for"):
        queue.put(ones(6))


def test_the_end_is_no_underrun() -> None:
    queue = PlayQueue("speaker", 1, np.dtype("i2"), capacity=8)
    queue.put(ones(2))
    out = np.empty((3, 1), "i2")
    # neither half full, nor there for as long
    assert (queue.take(out), out.any(), queue.silent) == (False, False, 0)
    assert queue.end() == 2
    assert queue.take(out)
    assert out.ravel().tolist() == [1, 1, 0]
    assert queue.underruns == queue.silent == 0


def test_what_is_short_does_not_wait_for_more() -> None:
    queue = PlayQueue("speaker", 1, np.dtype("i2"), capacity=12)
    queue.put(ones(2))
    out = np.empty((3, 1), "i2")
    heard = [queue.take(out) or int(out.sum()) for _ in range(4)]
    assert heard == [0, 0, 2, 0]
    assert (queue.underruns, queue.silent) == (1, 4)


def test_the_page_runs(pulse: PrivatePulse) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    exec(block.replace("speaker()", 'speaker("pulse")').replace("5.0", "0.3"), {})
    assert pickle.loads(pickle.dumps(with_pulse)) is with_pulse
