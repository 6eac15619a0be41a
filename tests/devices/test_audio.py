"""Audio: real sound, played into a private PulseAudio and recorded by PortAudio."""

import pickle
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from fakes import eventually
from pulse import RATE, PrivatePulse, noise

from rxstream import Chunk, Device, Reading, concat
from rxstream import operators as ops
from rxstream.data.clock import now_ns
from rxstream.devices import audio
from rxstream.devices.audio import Audio
from rxstream.errors import (
    DeviceBusyError,
    DeviceLostError,
    DeviceNotFoundError,
    MissingExtraError,
    OverrunError,
    ParameterError,
)
from rxstream.sinks import wav
from rxstream.testing import check_source

pytestmark = pytest.mark.real

PAGE = Path(__file__).parents[2] / "docs" / "devices" / "audio.md"


@pytest.fixture(scope="module")
def pulse() -> Iterator[PrivatePulse]:
    with PrivatePulse() as daemon:
        yield daemon


def find(sound: np.ndarray[Any, Any], part: np.ndarray[Any, Any]) -> int:
    """Return where a sound begins in another; it is bit-exact or not there."""
    for start in np.flatnonzero(sound == part[0]):
        if np.array_equal(sound[start : start + len(part)], part):
            return int(start)
    return -1


def test_the_main_job_on_real_sound(pulse: PrivatePulse, tmp_path: Path) -> None:
    """Stored, analysed and taken slowly at once; got back by rewinding after it was over."""
    sound = noise(2.0)
    mic = Device(Audio(device="pulse", rate=RATE, dtype="int16"), history=30)
    loudness: list[float] = []
    slow: list[Chunk[Any]] = []
    pause = threading.Event()

    def measure(window: Chunk[Any]) -> None:
        loudness.append(float(np.sqrt(np.mean(np.square(window.data, dtype=float)))))

    store = wav(tmp_path / "all.wav")
    with mic:
        mic.subscribe(store)
        mic.pipe(ops.window_by_time(0.5, every=0.1)).subscribe(measure)
        mic.pipe(ops.latest()).subscribe(lambda c: (pause.wait(0.2), slow.append(c)))
        pulse.play(sound)
        # the noise is over: what was played has been heard
        assert eventually(lambda: find(mic.last(10).data[:, 0], sound) >= 0)
        got: list[Chunk[Any]] = []
        enough = threading.Event()
        before = len(mic.last(30))

        def keep(chunk: Chunk[Any]) -> None:
            got.append(chunk)
            if sum(map(len, got)) > before:
                enough.set()

        mic.pipe(ops.rewind(10)).subscribe(keep)
        assert enough.wait(10)
        clip = concat(got)
        assert find(clip.data[:, 0], sound) >= 0
        assert clip.gaps == ()
        assert (np.diff(clip.time) > 0).all()
    stored, rate = soundfile.read(store.path, dtype="int16")
    assert rate == RATE
    assert find(stored, sound) >= 0
    assert store.lost == 0
    assert max(loudness) > 1000  # rms of the noise is about 3277
    assert 2 <= len(slow) < 30
    assert any(chunk.gap is not None and chunk.gap.reason == "lag" for chunk in slow)


@pytest.mark.parametrize("dtype", ["float32", "int32", "int24"])
def test_every_sample_format_is_exact(pulse: PrivatePulse, dtype: Any) -> None:
    sound = noise(0.5, seed=2)
    with Device(Audio(device=re.compile("^pulse$"), dtype=dtype)) as mic:
        pulse.play(sound)
        scale = 32768.0 if dtype == "float32" else 1.0 / 65536.0
        want = sound.astype(np.float64)
        assert eventually(
            lambda: find(np.rint(mic.last(5).data[:, 0].astype(np.float64) * scale), want) >= 0
        )
        assert mic.info.dtype == np.dtype("float32" if dtype == "float32" else "int32")


def test_stamps_are_of_the_adc(pulse: PrivatePulse) -> None:
    got: list[Chunk[Any]] = []
    with Device(Audio(device="pulse", dtype="int16"), history=30) as mic:
        mic.subscribe(got.append)
        pulse.play(noise(1.5))
        assert mic.stats().clock == "locked"
        chunk = mic.last(1.0)
    evidence = chunk.evidence
    assert all(isinstance(item.device_time, int) for item in evidence)
    # near the host clock, although PortAudio's is another
    assert all(abs(item.arrival - item.device_time) < 10**9 for item in evidence)  # type: ignore[operator]
    times = chunk.time
    seconds = (times[-1] - times[0]) / 1e9
    assert (len(times) - 1) / seconds == pytest.approx(RATE, rel=0.02)
    # the null sink renders ahead: by its own ADC times most blocks end 10 ms after they came
    after = np.array([int(one.time[-1]) - (one.arrival or 0) for one in got if len(one)]) / 1e6
    assert np.median(after) < 2.0


class Times:
    """What becomes of ADC times that are made up: there is no sound card here."""

    def __init__(self) -> None:
        self.out: list[Reading] = []
        self.buffer = np.zeros((480, 1), np.int16)
        self._times = audio._CausalTimes(self.out.append, 48_000.0)

    def give(self, value: int, after: float | None) -> int | None:
        """Give a block that ends so long after its arrival [s]; return its stamp."""
        self.buffer[:] = value
        stamp = None if after is None else now_ns() - 10_000_000 + round(after * 1e9)
        self._times.take(Reading(self.buffer, device_time=stamp))
        return stamp

    @property
    def values(self) -> list[int]:
        return [int(reading.data[0, 0]) for reading in self.out]


def test_the_first_blocks_are_held_until_their_times_are_known() -> None:
    times = Times()
    given = [times.give(0, -0.03), times.give(1, -0.002)]
    assert not times.out
    eventually(lambda: False, 0.3)  # as long as they are held
    given.append(times.give(2, -0.002))
    assert times.values == [0, 1, 2]
    assert [reading.device_time for reading in times.out] == given
    assert all(isinstance(reading.arrival, int) for reading in times.out)


def test_times_by_which_blocks_end_after_they_came_are_moved_back() -> None:
    times = Times()
    given = [times.give(0, -0.03), times.give(1, 0.02)]
    eventually(lambda: False, 0.3)
    given += [times.give(2, 0.01), times.give(3, 0.01)]
    moved = [a - b.device_time for a, b in zip(given, times.out, strict=True)]  # type: ignore[operator]
    # all by as much, so that they stay on their line
    assert max(moved) - min(moved) < 100_000
    assert moved[0] == pytest.approx(20e6, abs=2e6)


def test_a_driver_without_a_clock_waits_for_nothing() -> None:
    times = Times()
    times.give(0, None)
    assert [reading.device_time for reading in times.out] == [None]


@pytest.mark.parametrize("hogs", [0, 4])
def test_stamps_follow_what_was_played(pulse: PrivatePulse, hogs: int) -> None:
    """Nine of ten times lie within 0.2 ms of a line over what was played, on a busy machine too.

    Where the sound server itself is starved, its stamps are out, and the uncertainty says so.
    """
    sound = noise(3.0, seed=4)
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(hogs)]
    try:
        with Device(Audio(device="pulse", dtype="int16")) as mic:
            pulse.play(sound)
            assert eventually(lambda: find(mic.last(20).data[:, 0], sound[-4800:]) >= 0)
            chunk = mic.last(20)
    finally:
        for process in busy:
            process.kill()
            process.wait(10)
    # in pieces: on a busy machine the player may falter, which moves what comes after
    places = {k: find(chunk.data[:, 0], sound[k : k + 480]) for k in range(RATE, len(sound), 2400)}
    shifts = [place - k for k, place in places.items() if place >= 0]
    usual = max(set(shifts), key=shifts.count)
    played = np.array([k for k, place in places.items() if place - k == usual])
    assert len(played) >= 20
    scatter = chunk.time[usual + played] - played * 1e9 / RATE
    scatter = (scatter - np.median(scatter)) / 1e6
    parts = chunk.axis.parts()
    margins = np.repeat([part.uncertainty / 1e6 for part in parts], [part.count for part in parts])
    beyond = np.abs(scatter) - np.clip(margins[usual + played], 0.2, 5.0)
    assert np.quantile(beyond, 0.9) < 0, (
        np.round(scatter, 2).tolist(),
        margins[usual + played],
    )
    assert chunk.gaps == ()


def test_killing_the_daemon_is_a_clear_error() -> None:
    with PrivatePulse() as daemon, Device(Audio(device="pulse")) as mic:
        errors: list[Exception] = []
        mic.subscribe(lambda _: None, errors.append)
        assert eventually(lambda: len(mic.last(1)))
        daemon.kill()
        assert mic.wait(10)
        assert isinstance(errors[0], DeviceLostError)
        assert "pulse" in str(errors[0])
        assert mic.state == "failed"


def test_stamps_that_the_driver_corrects_are_no_loss() -> None:
    """Of a null sink that rewinds they lag by half a second at first, and arrivals do not."""
    seconds = 3
    device = Device(Audio(device="pulse"))
    with PrivatePulse(rewinds=True), device as mic, mic.reader() as reader:
        sound = reader.read(seconds * RATE, timeout=30)
        assert sound is not None
        lags = [
            part.evidence.arrival - part.evidence.device_time
            for part in sound.axis.parts()
            if part.evidence is not None and isinstance(part.evidence.device_time, int)
        ]
        assert sound.gaps == ()
        assert mic.stats().flow.lost == 0
    if lags[0] - lags[-1] < 50_000_000:
        pytest.skip("this server had nothing to correct")


def test_reconnect_goes_on_after_a_gap_of_the_right_length() -> None:
    sound = noise(0.5, seed=3)
    with PrivatePulse() as daemon:
        mic = Device(Audio(device="pulse", dtype="int16"), reconnect=0.05)
        got: list[Chunk[Any]] = []
        with mic:
            mic.subscribe(got.append)
            assert eventually(lambda: sum(map(len, got)) > 4800)
            daemon.kill()
            assert eventually(lambda: mic.state == "lost")
            daemon.start()
            assert eventually(lambda: mic.state == "open")
            daemon.play(sound)
            assert eventually(lambda: find(mic.last(10).data[:, 0], sound) >= 0)
        joined = concat(got)
        gaps = [gap for gap in joined.gaps if gap.reason == "disconnect"]
        assert len(gaps) == 1
        gap = gaps[0]
        assert gap.lost == pytest.approx(gap.duration * RATE, abs=2)
        k = next(k for k, chunk in enumerate(got) if chunk.gap is not None)
        arrivals = (got[k].arrival or 0) - (got[k - 1].arrival or 0)
        assert gap.duration == pytest.approx(arrivals / 1e9, abs=0.15)
        assert got[k].index == got[k - 1].index + len(got[k - 1]) + (gap.lost or 0)
        assert find(joined.data[:, 0], sound) >= 0


def test_it_opens_again(pulse: PrivatePulse) -> None:
    mic = Device(Audio(device="pulse"))
    for _ in range(3):
        with mic:
            assert eventually(lambda: len(mic.last(1)) > 960)


def test_an_overflow_is_reported(pulse: PrivatePulse, monkeypatch: pytest.MonkeyPatch) -> None:
    """PulseAudio buffers for seconds, so the flag is made up here; the sound is real."""
    import sounddevice as sd

    real = sd.RawInputStream
    seen = threading.Event()

    class Status:
        input_overflow = True

    def stream(callback: Any, **options: Any) -> Any:
        count = 0

        def spoilt(data: Any, frames: int, when: Any, status: Any) -> None:
            nonlocal count
            count += 1
            callback(data, frames, when, Status() if count == 5 else status)

        return real(callback=spoilt, **options)

    monkeypatch.setattr(sd, "RawInputStream", stream)
    faults: list[Exception] = []
    with Device(Audio(device="pulse")) as mic:
        mic.faults.subscribe(lambda f: (faults.append(f), seen.set()))
        assert seen.wait(10)
        assert mic.state == "open"
    assert isinstance(faults[0], OverrunError)


def test_what_there_is(pulse: PrivatePulse) -> None:
    assert "pulse" in [found.name for found in Audio.discover()]


def test_what_comes_after_portaudio_was_asked_is_found(tmp_path: Path) -> None:
    """PortAudio lists its devices once; a server, or a microphone, may come later."""
    code = (
        "import os, sys\n"
        "server = {k: os.environ.pop(k) for k in list(os.environ) if k.startswith('PULSE_')}\n"
        "from rxstream import Device\n"
        "from rxstream.devices.audio import Audio\n"
        "os.environ['PULSE_SERVER'] = 'unix:/nowhere'\n"
        "assert Audio.discover() == []\n"
        "os.environ.update(server)\n"
        "with Device(Audio(device='pulse')) as mic, mic.reader() as reader:\n"
        "    print(len(reader.read(4800, timeout=20)))\n"
    )
    with PrivatePulse():
        result = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=50
        )
    assert result.stdout.strip() == "4800", result.stderr


def with_pulse(about: Mapping[str, Any]) -> bool:
    return "pulse" in about["name"]


def broken_filter(about: Mapping[str, Any]) -> bool:
    return bool(about["nonsense"])


def no_input(about: Mapping[str, Any]) -> bool:
    return about["max_input_channels"] < 0


def any_input(about: Mapping[str, Any]) -> bool:
    return about["max_input_channels"] > 0


def test_a_function_chooses_the_input(pulse: PrivatePulse) -> None:
    source = Audio(device=with_pulse)
    assert pickle.loads(pickle.dumps(source)) == source
    assert hash(source) == hash(Audio(device=with_pulse))
    with Device(source) as mic:
        assert eventually(lambda: len(mic.last(1)) > 480)
    with pytest.raises(ParameterError, match=r"broken_filter.* raised KeyError: 'nonsense' for"):
        Device(Audio(device=broken_filter)).open()
    with pytest.raises(DeviceNotFoundError, match=r"no input .*; there are .*'pulse'"):
        Device(Audio(device=no_input)).open()


def test_a_function_without_a_place_is_refused() -> None:
    with pytest.raises(ParameterError, match="write it with def"):
        Audio(device=lambda _: True)
    with pytest.raises(ParameterError, match=r"number, a name, a pattern, or a function.*not \["):
        Audio(device=["pulse"])  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match=r"pattern of bytes.*names are text"):
        Audio(device=re.compile(b"pulse"))  # type: ignore[arg-type]


def test_several_inputs_are_not_enough(pulse: PrivatePulse) -> None:
    if len({found.name for found in Audio.discover()}) > 1:
        with pytest.raises(ParameterError, match="say more"):
            Device(Audio(device=any_input)).open()


def test_sound_keeps_the_rules() -> None:
    with PrivatePulse() as daemon:
        check_source(
            lambda: Audio(device="pulse"), unplug=daemon.kill, plug=daemon.start,
            absent=lambda: Audio(device="Røde"),
        )  # fmt: skip


def test_an_unknown_input_lists_those_there_are(pulse: PrivatePulse) -> None:
    for device in ("Røde", 999, re.compile("nothing")):
        with pytest.raises(DeviceNotFoundError, match=r"there are .*'pulse'"):
            Device(Audio(device=device)).open()


def test_too_many_channels_are_named(pulse: PrivatePulse) -> None:
    with pytest.raises(ParameterError, match=r"channels=1000"):
        Device(Audio(device="pulse", channels=1000)).open()


@pytest.mark.parametrize(
    ("code", "error", "words"),
    [
        (-9997, ParameterError, "rate=12345 Hz; its own is"),
        (-9985, DeviceBusyError, "busy"),
        (-9999, DeviceNotFoundError, "cannot be opened"),
    ],
)
def test_what_the_driver_refuses_is_explained(
    pulse: PrivatePulse, monkeypatch: pytest.MonkeyPatch, code: int, error: Any, words: str
) -> None:
    """PulseAudio takes any rate and any number of clients, so the refusal is made up here."""
    import sounddevice as sd

    def refuse(**_: Any) -> None:
        raise sd.PortAudioError("no", code)

    monkeypatch.setattr(sd, "RawInputStream", refuse)
    with pytest.raises(error, match=words):
        Device(Audio(device="pulse", rate=12_345)).open()


def test_a_dead_sound_server_is_reported(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("PULSE_SERVER", f"unix:{tmp_path / 'nobody'}")
    with pytest.raises((DeviceBusyError, DeviceNotFoundError), match="pulse"):
        Device(Audio(device="pulse")).open()


def test_a_missing_driver_names_the_extra(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "sounddevice", None)  # as if it were not installed
    with pytest.raises(MissingExtraError, match=r"rxstream\[audio\]"):
        Device(Audio()).open()


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rate": 0}, "rate must be > 0"),
        ({"channels": 0}, "channels must be from 1 to 65535, not 0"),
        ({"channels": 2**40}, "channels must be from 1 to 65535, not 1099511627776; .* devices"),
        ({"dtype": "int8"}, "'int16' or 'int24'"),
        ({"blocksize": -1}, "blocksize"),
        ({"latency": 0}, "latency"),
        ({"latency": 1e9}, r"latency, .* must be <= 60 s, not 1e\+09 .*; .*Device\(history=\)"),
        ({"blocksize": 10**8}, r"<= 60 s, not 0.1 and 2083.33 s"),
    ],
)
def test_bad_options_are_named(options: dict[str, Any], words: str) -> None:
    with pytest.raises(ParameterError, match=words):
        Audio(**options)


class FakeStream:
    """Only the clock of a stream of PortAudio: JACK's and CoreAudio's cannot be had here."""

    def __init__(self, clock: Any) -> None:
        self.clock = clock

    @property
    def time(self) -> float:
        return float(self.clock())


@pytest.mark.parametrize("clock", [time.time, time.monotonic, lambda: time.monotonic() % 100 + 5])
def test_stamps_of_every_clock_of_portaudio_become_host_time(clock: Any) -> None:
    to_host = audio._clock_of(FakeStream(clock))
    before, stamp = now_ns(), clock()
    assert abs(to_host(stamp) - before) < 50_000_000
    assert to_host(0.0) is to_host(float("nan")) is to_host(float("inf")) is None


def test_a_clock_that_stood_still_is_followed() -> None:
    zero = time.monotonic()
    stream = FakeStream(lambda: time.monotonic() - zero + 1000.0)
    to_host = audio._clock_of(stream)
    stream.clock = lambda: time.monotonic() - zero + 1000.0 - 600.0  # ten minutes of sleep
    assert abs(to_host(stream.time) - now_ns()) < 50_000_000


def test_the_page_runs(pulse: PrivatePulse, capsys: pytest.CaptureFixture[str]) -> None:
    first = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)[0]
    exec(first.replace("channels=1", 'channels=1, device="pulse"'), {})
    assert "(4800, 1)" in capsys.readouterr().out
