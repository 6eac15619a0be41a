"""What stream2py is for, and what its users asked: use cases and issues, each by its name.

Two come with recordings (a list over the buffer, else stored data) and views (keys of a notebook).
"""

import asyncio
import datetime as dt
import json
import math
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from counterparts import WebServer
from fakes import eventually
from played import LENGTH, RATE, SECOND, START, microphone, played, sound

from rxstream import Chunk, Clip, Device, StreamInfo, sinks
from rxstream import operators as ops
from rxstream.data.concat import concat
from rxstream.devices import (
    S7,
    Audio,
    Camera,
    Can,
    Health,
    Http,
    Keyboard,
    MediaSound,
    Mouse,
    Mqtt,
    Packets,
    Playback,
    Serial,
    Wifi,
)
from rxstream.devices.keyboard import KEY_DTYPE, typed
from rxstream.devices.messages import Json, Text
from rxstream.devices.simulated import Simulated

pytestmark = pytest.mark.real


def keyboard(text: str, *at: float) -> Device:
    """Return a keyboard of which each key is hit at a time after the start [s]."""
    keys = np.zeros(len(text), KEY_DTYPE)
    keys["key"], keys["pressed"] = list(text), True
    times = START + np.rint(np.array(at) * 1e9).astype(np.int64)
    return Device(Playback(keys, times, speed=math.inf, name="keys"), history=60)


def results(stream: Any) -> list[Any]:
    """Return what a stream gives until its end."""
    got: list[Any] = []
    over = threading.Event()
    stream.subscribe(got.append, lambda error: (got.append(error), over.set()), over.set)
    assert over.wait(20)
    assert not [item for item in got if isinstance(item, Exception)]
    return got


# -- use cases ----------------------------------------------------------------------------------


def test_use_case_unbounded_iterator_fed_by_a_stream() -> None:
    device = Device(Simulated(rate=RATE, signal="ramp"))
    with device:
        for count, chunk in enumerate(device):  # noqa: B007
            if count == 5:
                break
    assert len(chunk)


def test_use_case_unbounded_async_iterator() -> None:
    async def take() -> int:
        count = 0
        with Device(Simulated(rate=RATE, signal="ramp")) as device:
            async for chunk in device:
                count += len(chunk)
                if count > 50:
                    break
        return count

    assert asyncio.run(take()) > 50


def test_use_case_list_view_of_what_is_in_the_buffer() -> None:
    mic = microphone()
    with played(mic):
        held = mic.last(60)
        assert np.array_equal(held.data[-100:], sound()[-100:])
        assert np.array_equal(held[5:8].data, sound()[5:8])
        chunk = mic.between(START + SECOND, START + 2 * SECOND)
        assert np.array_equal(chunk.data, sound()[1000:2000])


def test_use_case_data_i_do_not_have_yet_pull_and_push() -> None:
    mic = microphone()
    pushed: list[Chunk[Any]] = []
    mic.subscribe(pushed.append)
    reader = mic.reader()
    with played(mic):
        first, rest = reader.read(300), reader.read(LENGTH - 300)
    assert np.array_equal(concat([first, rest]).data, sound())
    assert np.array_equal(concat(pushed).data, sound())


def test_use_case_full_contents_and_most_recent_by_size_duration_count() -> None:
    mic = microphone()
    with played(mic):
        whole = mic.last(60)
        assert np.array_equal(whole.copy().data, sound())
        assert len(mic.last(5)) == 5000
        assert len(whole[-100:]) == 100
        assert whole[-(64 // whole.data[0].nbytes) :].nbytes >= 64
        before = whole.data.copy()
    assert np.array_equal(whole.data, before)  # nobody takes it back


def test_use_case_any_range_by_datetime_numeric_time_or_index() -> None:
    mic = microphone()
    start = dt.datetime.fromtimestamp(START // SECOND, dt.UTC)
    with played(mic):
        by_date = mic.between(start + dt.timedelta(seconds=3), start + dt.timedelta(seconds=4))
        by_time = mic.between(START + 3 * SECOND, START + 4 * SECOND)
        whole = mic.last(60)
    by_index = whole[3000 - whole.index : 4000 - whole.index]
    for chunk in (by_date, by_time, by_index):
        assert np.array_equal(chunk.data, sound()[3000:4000])
        assert chunk.index == 3000


def test_use_case_store_precisely_stamped(tmp_path: Path) -> None:
    mic, keys = microphone(), keyboard("ab", 1.0, 2.5)
    wav, csv = sinks.wav(tmp_path / "mic.wav"), sinks.csv(tmp_path / "keys.csv")
    mic.subscribe(wav)
    keys.subscribe(csv)
    with played(mic, keys):
        assert wav.wait(20)
        assert csv.wait(20)
    assert np.array_equal(soundfile.read(tmp_path / "mic.wav", dtype="int16")[0], sound()[:, 0])
    lines = (tmp_path / "keys.csv").read_text().splitlines()[1:]
    assert [int(line.split(",")[0]) for line in lines] == [
        START + SECOND, START + 2 * SECOND + SECOND // 2,
    ]  # fmt: skip


# -- things people do ---------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int16", "int32", "float32", "float64"])
def test_grab_audio_on_a_key_in_any_type_to_a_file_with_its_time(
    dtype: str, tmp_path: Path
) -> None:
    mic, keys = microphone(dtype), keyboard("g", 12.0)
    with played(mic, keys):
        (clip,) = results(keys.past().pipe(ops.capture(mic.past(), before=10.0)))
    chunk = clip["mic"]
    assert np.array_equal(chunk.data, sound(dtype)[2000:12_000])
    when = f"{np.datetime64(chunk.start, 'ns')}".replace(":", "-")
    with sinks.wav(tmp_path / f"{when}.wav") as sink:
        sink.on_next(chunk)
    assert len(soundfile.read(tmp_path / f"{when}.wav")[0]) == 10_000


def test_grab_audio_in_a_chosen_chunk_size() -> None:
    mic = microphone()
    sizes: list[int] = []
    mic.pipe(ops.rechunk(1024)).subscribe(lambda chunk: sizes.append(len(chunk)))
    with played(mic):
        pass
    assert sizes[:-1] == [1024] * (LENGTH // 1024)


def test_record_a_sneeze_after_it_happened() -> None:
    """A look back, and on into what comes, without a seam."""
    mic = microphone(speed=50.0)
    got: list[Chunk[Any]] = []
    with mic:
        assert eventually(lambda: len(mic.last(60)) > 11_500)
        mic.rewind(1.5).subscribe(got.append)
        assert mic.wait(20)
    chunk = concat(got)
    first = chunk.index
    assert first <= 11_500 + LENGTH
    assert np.array_equal(chunk.data, sound()[first:])
    assert not chunk.gaps


def loud(data: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
    return np.asarray(np.abs(data[:, 0].astype(float)) > 10_000)


def test_automatic_trigger_saves_a_larger_recent_span() -> None:
    mic = microphone()
    with played(mic):
        detected = mic.past().pipe(ops.gate(loud, hold=0.1))
        clips: list[Clip] = results(
            detected.pipe(ops.capture(mic.past(), before=2.0, after=3.0, events="chunks"))
        )
    (clip,) = clips
    first = (clip["mic"].start - START) / 1e9
    assert first == pytest.approx(8.0, abs=0.002)
    assert clip["mic"].duration == pytest.approx(6.0, abs=0.2)


def test_rationale_long_calculations_never_overrun_the_device() -> None:
    device = Device(Simulated(rate=10_000.0, signal="ramp", duration=0.5), history=30)
    slow: list[Chunk[Any]] = []
    quick: list[Chunk[Any]] = []
    pause = threading.Event()

    def long_calculations(chunk: Chunk[Any]) -> None:
        pause.wait(0.05)
        slow.append(chunk)

    device.subscribe(long_calculations)
    device.subscribe(quick.append)
    with device:
        assert device.wait(20)
        assert concat(quick).data.tolist() == [*range(5000)]
        assert eventually(lambda: sum(map(len, slow)) == 5000)
    assert concat(slow).data.tolist() == [*range(5000)]


# -- issue 1: examples --------------------------------------------------------------------------


@pytest.fixture
def server() -> Iterator[WebServer]:
    made = WebServer()
    made.plug()
    yield made
    made.unplug()


def test_issue_1_a_url_as_a_stream(server: WebServer) -> None:
    device = Device(Http(f"{server.url}/lines", Text()))
    with device.reader() as reader, device:
        server.send("hello", "world")
        assert len(reader.read(2, timeout=20)) == 2


def test_issue_1_show_json(server: WebServer) -> None:
    device = Device(Http(f"{server.url}/lines", Json([("x", "f8")])))
    with device.reader() as reader, device:
        server.send(json.dumps({"x": 1.5, "other": "y"}))
        assert reader.read(1, timeout=20).data["x"].tolist() == [1.5]


def test_issue_1_save_before_and_after_the_camera_sees_red() -> None:
    red = np.zeros((60, 8, 8, 3), np.uint8)
    red[30:33, :, :, 2] = 255
    camera = Device(Playback(red, rate=10.0, start=START, speed=math.inf, name="cam"), history=60)

    def is_red(frames: np.ndarray[Any, Any]) -> np.ndarray[Any, Any]:
        return np.asarray(frames[..., 2].mean(axis=(1, 2)) > 128)

    with played(camera):
        detected = camera.past().pipe(ops.gate(is_red))
        (clip,) = results(
            detected.pipe(ops.capture(camera.past(), before=1.0, after=1.0, events="chunks"))
        )
    assert 20 <= len(clip["cam"]) <= 25
    assert clip["cam"].data[..., 2].any(axis=(1, 2)).sum() == 3


def test_issue_1_loudness_graph() -> None:
    mic = microphone("float32")
    with played(mic):
        levels = concat(results(mic.past().pipe(ops.rms(1.0))))
    assert int(levels.data[:, 0].argmax()) == 10
    assert len(levels) == 20


def test_issue_1_playback() -> None:
    mic = microphone()
    with played(mic):
        recorded = mic.last(60)
    again = Device(Playback(recorded.data, recorded.time, speed=math.inf))
    with played(again):
        assert np.array_equal(again.last(60).data, recorded.data)
        assert np.array_equal(again.last(60).time, recorded.time)


def test_issue_1_video_snapshots() -> None:
    frames = np.arange(60, dtype=np.uint8)[:, None, None] + np.zeros((1, 4, 4), np.uint8)
    camera = Device(Playback(frames, rate=10.0, start=START, speed=math.inf), history=60)
    with played(camera):
        snapshot = camera.at(START + 2 * SECOND + SECOND // 2)
    assert snapshot.data[0, 0, 0] == 25


def test_issue_1_buffer_consumer() -> None:
    mic, sizes = microphone(), []
    sink = sinks.callback(lambda chunk: sizes.append(len(chunk)))
    mic.pipe(ops.rechunk(5000)).subscribe(sink)
    with played(mic):
        assert sink.wait(20)
    assert sizes == [5000] * 4


# -- issues 2, 3, 5 -----------------------------------------------------------------------------


def test_issue_2_tag_sound_events_by_keys() -> None:
    mic, keys = microphone(), keyboard("ax", 10.2, 15.0)
    tags = {"a": "bark", "x": "nothing"}
    with played(mic, keys):
        clips = results(
            keys.past().pipe(ops.capture(mic.past(), before=0.5, after=0.5, merge=False))
        )
    saved = [
        (clip.times[0], tags[typed(clip.events[0])], int(np.abs(clip["mic"].data).max()))
        for clip in clips
    ]
    assert saved == [
        (START + 10 * SECOND + SECOND // 5, "bark", 20_000), (START + 15 * SECOND, "nothing", 3),
    ]  # fmt: skip


def test_issue_3_record_as_you_type() -> None:
    mic, keys = microphone(), keyboard("hiyou", 3.0, 3.4, 9.0, 9.5, 9.9)
    with played(mic, keys):
        clips = results(
            keys.past().pipe(
                ops.sessions(2.0),
                ops.capture(mic.past(), before=2.0, after=2.0, events="chunks", merge=False),
            )
        )
    assert [typed(clip.events[0]) for clip in clips] == ["hi", "you"]
    assert [round(clip["mic"].duration, 1) for clip in clips] == [4.4, 4.9]
    assert np.array_equal(clips[0]["mic"].data, sound()[1000 : 1000 + len(clips[0]["mic"])])


def test_issue_5_one_source_consumer_and_two_source_trigger() -> None:
    mic, keys = microphone(), keyboard("s", 5.0)
    with played(mic, keys):
        one = results(mic.past().pipe(ops.map_data(np.abs), ops.rechunk(LENGTH)))
        two = results(keys.past().pipe(ops.capture(mic.past(), before=1.0)))
    assert np.array_equal(concat(one).data, np.abs(sound()))
    assert np.array_equal(two[0]["mic"].data, sound()[4000:5000])


def test_issue_5_asynchronous_consumers() -> None:
    async def analyse(chunk: Chunk[Any]) -> float:
        await asyncio.sleep(0)
        return float(np.abs(chunk.data.astype(float)).max())

    mic = microphone()
    with played(mic):
        found = results(mic.past().pipe(ops.rechunk(1000), ops.map_async(analyse)))
    assert [item > 10_000 for item in found].index(True) == 10


# -- issue 11: various sources ------------------------------------------------------------------

SOURCES: dict[str, Callable[[], Any]] = {
    "public webcam": lambda: Camera("rtsp://192.168.0.7/stream"),
    "sound of a public webcam": lambda: MediaSound("rtsp://192.168.0.7/stream"),
    "web radio": lambda: MediaSound("http://192.168.0.7/radio.mp3"),
    "local webcam": lambda: Camera(0),
    "microphone": Audio,
    "keyboard": Keyboard,
    "mouse": Mouse,
    "wifi": Wifi,
    "network packets": lambda: Packets("lo"),
    "top": lambda: Health(every=1.0),
    "top of one process": lambda: Health(every=1.0, process="python"),
    "PLC": lambda: S7("192.168.0.1", {"t": "DB1.DBD0:REAL"}),
    "CAN": lambda: Can("can0", "socketcan"),
    "cheap sensors": lambda: Serial("/dev/ttyUSB0"),
    "sensors of a house": lambda: Mqtt("house/+/celsius", host="localhost"),
    "web": lambda: Http("http://localhost/now", every=1.0),
}


@pytest.mark.parametrize("name", SOURCES)
def test_issue_11_there_is_a_device_for(name: str) -> None:
    """That each reads what it says is tested in ``tests/devices``, against its counterpart."""
    device = Device(SOURCES[name]())
    assert isinstance(device.info, StreamInfo)
    assert device.state == "closed"
