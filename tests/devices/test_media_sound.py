"""The sound of files of any kind, of web radios and RTSP servers, killed and started again."""

import re
import signal
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soundfile
from counterparts import free_port, interrupting_server
from fakes import eventually
from sounds import RATE, FfmpegRadio, RampRadio, RampRtsp, numbers_of, ramp
from videos import HttpFile, StalledTcp, make_video

from rxstream import Backoff, Chunk, Device, concat
from rxstream.data.clock import now_ns
from rxstream.devices import MediaSound
from rxstream.devices.media_sound.inputs import SoundInput
from rxstream.errors import (
    DeviceLostError,
    DeviceNotFoundError,
    FormatError,
    MissingExtraError,
    OverrunError,
    ParameterError,
)
from rxstream.testing import check_source

pytestmark = pytest.mark.real

MS = 1_000_000
START = 1_700_000_000_000_000_000
WAIT = 20.0  # [s]; far more than any of these needs
PAGE = Path(__file__).parents[2] / "docs" / "devices" / "media_sound.md"


def played(source: MediaSound, seconds: float = WAIT) -> tuple[Device, Chunk[Any]]:
    """Play a recording to its end."""
    chunks: list[Chunk[Any]] = []
    device = Device(source)
    device.subscribe(chunks.append)
    with device:
        assert device.wait(seconds)
        assert device.state == "ended", device.error
    return device, concat(chunks)


def noise(count: int, channels: int, seed: int = 1) -> Any:
    return np.random.default_rng(seed).uniform(-0.99, 0.99, (count, channels))


def count_of(chunks: list[Chunk[Any]]) -> int:
    return sum(map(len, [*chunks]))


# -- files ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "subtype", "rate", "channels"),
    [
        ("a.wav", "PCM_16", 44_100, 2), ("a.wav", "PCM_24", 48_000, 1),
        ("a.wav", "PCM_32", 8000, 6), ("a.wav", "PCM_U8", 11_025, 1),
        ("a.wav", "ULAW", 8000, 1), ("a.wav", "ALAW", 8000, 2),
        ("a.flac", "PCM_16", 96_000, 2), ("a.flac", "PCM_24", 44_100, 1),
        ("a.aiff", "PCM_24", 44_100, 2), ("a.au", "PCM_16", 22_050, 1),
        ("a.caf", "PCM_16", 44_100, 2), ("a.w64", "PCM_16", 44_100, 2),
    ],
)  # fmt: skip
def test_wav_file_of_any_kind_is_that_of_soundfile(
    tmp_path: Path, name: str, subtype: str, rate: int, channels: int
) -> None:
    """What the seed's WavFile did, bit for bit, and it ends."""
    path = tmp_path / name
    soundfile.write(path, noise(rate // 4, channels), rate, subtype=subtype)
    device, whole = played(MediaSound(path, dtype="int16", pace="max", start=START))
    expected, _ = soundfile.read(path, dtype="int16", always_2d=True)
    assert device.info.rate == rate
    assert whole.data.shape == (rate // 4, channels)
    assert (whole.data == expected).all()
    exact = START + np.rint(np.arange(rate // 4) * 1e9 / rate).astype(np.int64)
    # the times of a regular stream are a line in whole nanoseconds
    assert np.abs(whole.time - exact).max() <= 1
    assert whole.gaps == ()
    assert list(device.faults) == []


@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT", "DOUBLE"])
def test_floats_are_those_of_soundfile(tmp_path: Path, subtype: str) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, noise(5000, 2), 8000, subtype=subtype)
    _, whole = played(MediaSound(path, pace="max"))
    expected, _ = soundfile.read(path, dtype="float32", always_2d=True)
    assert whole.data.dtype == np.float32
    assert (whole.data == expected).all()
    _, wide = played(MediaSound(path, dtype="int32", pace="max"))
    assert np.abs(wide.data / 2.0**31 - expected).max() < 1e-7


@pytest.mark.parametrize("suffix", [".mp3", ".ogg", ".m4a", ".mka", ".opus"])
def test_a_coded_tone_has_all_its_samples_once(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"tone{suffix}"
    tone = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=2"]
    subprocess.run(["ffmpeg", "-loglevel", "error", *tone, str(path)], check=True)
    device, whole = played(MediaSound(path, pace="max", start=START))
    # coders add some milliseconds of silence at the end
    assert 96_000 <= len(whole) < 99_000
    assert whole.gaps == ()
    assert list(device.faults) == []
    assert abs(np.argmax(np.abs(np.fft.rfft(whole.data[:96_000, 0]))) - 880) <= 1
    assert 0 <= whole.time[0] - START < 60 * MS
    assert abs(np.ptp(whole.time) - (len(whole) - 1) * 1e9 / 48_000) < 4 * MS


def test_a_file_is_paced_like_a_microphone(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, ramp(0, RATE // 2), RATE)
    device, arrivals = Device(MediaSound(path, dtype="int16")), list[tuple[int, int]]()
    device.subscribe(lambda chunk: arrivals.append((now_ns(), int(chunk.time[-1]))))
    before = now_ns()
    with device:
        assert device.wait(WAIT)
    assert now_ns() - before > 490 * MS
    late = np.diff(arrivals)[:, 0] * -1
    assert late.min() > -MS  # none before its time


def test_closing_does_not_wait_for_the_pace(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, ramp(0, 10 * RATE), RATE)
    device = Device(MediaSound(path))
    device.subscribe(lambda _: None)
    device.open()
    before = now_ns()
    device.close()
    assert now_ns() - before < 400 * MS


def test_the_sound_of_a_film_and_its_tracks(tmp_path: Path) -> None:
    path, film = tmp_path / "film.mkv", make_video(tmp_path / "silent.avi", 10)
    for k in range(2):
        soundfile.write(tmp_path / f"{k}.wav", ramp(1000 * k, 4000), RATE)
    inputs = ["-i", str(film), "-i", str(tmp_path / "0.wav"), "-i", str(tmp_path / "1.wav")]
    maps = ["-map", "0", "-map", "1", "-map", "2", "-c:v", "copy", "-c:a", "pcm_s16le"]
    subprocess.run(["ffmpeg", "-loglevel", "error", *inputs, *maps, str(path)], check=True)
    for k in range(2):
        _, whole = played(MediaSound(path, dtype="int16", track=k, pace="max"))
        assert whole.data[:, 0].tolist() == ramp(1000 * k, 4000).tolist()
    with pytest.raises(ParameterError, match="has 2 tracks of sound, not track=2"):
        Device(MediaSound(path, track=2)).open()
    with pytest.raises(FormatError, match=r"silent.avi has no sound; .* Camera"):
        Device(MediaSound(film)).open()


def test_missing_packets_are_a_gap(tmp_path: Path) -> None:
    whole_path, path = tmp_path / "whole.mka", tmp_path / "holes.mka"
    soundfile.write(tmp_path / "a.wav", ramp(0, 2 * RATE), RATE)
    command = ["-i", str(tmp_path / "a.wav"), "-c:a", "pcm_s16le", str(whole_path)]
    subprocess.run(["ffmpeg", "-loglevel", "error", *command], check=True)
    dropped = []
    with av.open(str(whole_path)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream_from_template(source.streams.audio[0])
        for number, packet in enumerate(source.demux(audio=0)):
            if packet.dts is None:
                continue
            if number == 3:
                dropped.append(packet.size // 2)
                continue
            packet.stream = stream
            target.mux(packet)
    _, whole = played(MediaSound(path, dtype="int16", pace="max", start=START))
    (at,) = whole.gap_positions
    # times in Matroska are whole milliseconds: eight samples
    assert abs((at.gap.lost or 0) - dropped[0]) <= 8
    assert at.gap.reason == "dropped"
    numbers = numbers_of(whole.data, 0)
    assert np.flatnonzero(np.diff(numbers) != 1).tolist() == [at.position - 1]
    assert len(whole) == 2 * RATE - dropped[0]
    assert np.abs(whole.time - START - numbers * 1e9 / RATE).max() < 3 * MS


@pytest.mark.parametrize(
    ("name", "words"), [("a.wav", "32022 of 64044 bytes"), ("a.flac", "ends at .* of 4 s")]
)
def test_a_file_that_was_cut_off_is_reported_and_ends_well(
    tmp_path: Path, name: str, words: str
) -> None:
    path = tmp_path / name
    soundfile.write(path, ramp(0, 4 * RATE), RATE)
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    device, whole = played(MediaSound(path, dtype="int16", pace="max"))
    assert whole.data[:, 0].tolist() == ramp(0, len(whole)).tolist()
    assert all(isinstance(fault, OverrunError) for fault in device.faults)
    assert re.search(f"{words}; it was cut off or is damaged", str(device.faults[-1]))


# -- streams ----------------------------------------------------------------------------------


def test_a_radio_has_the_times_of_its_sender() -> None:
    chunks: list[Chunk[Any]] = []
    # what a server has buffered comes at once
    with RampRadio(burst=6.0) as server:
        device = Device(MediaSound(server.url, dtype="int16"), max_bytes=10_000_000)
        device.subscribe(chunks.append)
        with device:
            assert eventually(lambda: count_of(chunks) > 8 * RATE)
        whole = concat(chunks)
        number = numbers_of(whole.data, round((int(whole.time[0]) - server.zero) * RATE / 1e9))
        assert (np.diff(number) == 1).all()
        late = (whole.time - server.zero - number * 1e9 / RATE) / MS
    assert whole.gaps == ()
    # nothing is there before it is sent; the machine may be busy
    assert -5 < np.median(late) < 30
    assert np.ptp(late) < 100
    assert list(device.faults) == []


def test_a_radio_of_mp3() -> None:
    with FfmpegRadio() as server:
        device = Device(MediaSound(server.url))
        with device, device.reader(rewind=10) as reader:
            chunk = reader.read(44_100, timeout=WAIT)
        assert device.info.extra["codec"].startswith("mp3")
    peak = np.argmax(np.abs(np.fft.rfft(chunk.data[:, 0])))
    assert abs(peak - 440) <= 2
    assert chunk.gaps == ()


def test_a_server_that_is_killed_and_started_again() -> None:
    chunks: list[Chunk[Any]] = []
    with RampRtsp() as server:
        device = Device(
            MediaSound(server.url, dtype="int16"), reconnect=Backoff(first=0.02, most=0.1)
        )
        lost = threading.Event()
        device.faults.subscribe(lambda _: lost.set())
        device.subscribe(chunks.append)
        with device:
            assert eventually(lambda: count_of(chunks) > RATE)
            server.unplug()
            assert lost.wait(WAIT)
            before = count_of(chunks)
            server.replug()
            assert eventually(lambda: count_of(chunks) > before + RATE)
        whole = concat(chunks)
        first = round((int(whole.time[0]) - server.zero) * RATE / 1e9)
        parts = np.split(whole.data, [at.position for at in whole.gap_positions])
        (at,) = whole.gap_positions
        numbers = [numbers_of(parts[0], first)]
        numbers.append(numbers_of(parts[1], int(numbers[0][-1]) + (at.gap.lost or 0)))
    assert all((np.diff(part) == 1).all() for part in numbers)
    assert at.gap.reason == "disconnect"
    missing = int(numbers[1][0] - numbers[0][-1] - 1)
    # by the clock: each side is known to some milliseconds
    assert abs((at.gap.lost or 0) - missing) < 0.1 * RATE
    assert isinstance(device.faults[0], DeviceLostError)
    assert "secret" not in str(device.faults[0])


def test_packets_that_get_lost_on_the_way_are_a_gap() -> None:
    chunks: list[Chunk[Any]] = []
    with RampRtsp() as server:
        # some after the first ones, which are held back, and one among those
        now = round((now_ns() - server.zero) * RATE / 1e9)
        server.left_out = (now + RATE // 2, now + 2 * RATE)
        device = Device(MediaSound(server.url, dtype="int16"))
        device.subscribe(chunks.append)
        with device:
            assert eventually(lambda: count_of(chunks) > 3 * RATE)
        whole = concat(chunks)
        number = numbers_of(whole.data, round((int(whole.time[0]) - server.zero) * RATE / 1e9))
    assert [at.gap.lost for at in whole.gap_positions] == [160, 160]
    steps = np.diff(number)
    assert np.flatnonzero(steps != 1).tolist() == [at.position - 1 for at in whole.gap_positions]
    assert steps[steps != 1].tolist() == [161, 161]


def test_a_file_over_http_is_played_at_its_pace_to_its_end(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, ramp(0, RATE), RATE)
    before = now_ns()
    with HttpFile(path) as server:
        device, whole = played(MediaSound(server.url, dtype="int16"))
    assert now_ns() - before > 990 * MS
    assert whole.data[:, 0].tolist() == ramp(0, RATE).tolist()
    assert list(device.faults) == []


def test_a_file_over_http_that_is_cut_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, ramp(0, 2 * RATE), RATE)
    with HttpFile(path, path.stat().st_size // 2) as server:
        device = Device(MediaSound(server.url))
        device.subscribe(lambda _: None, lambda _: None)
        with device:
            assert device.wait(WAIT)
            assert device.state == "failed"
    assert isinstance(device.error, DeviceLostError)


def test_a_stream_that_sends_nothing_more_is_lost(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = tmp_path / "a.mp3"
    tone = ["-f", "lavfi", "-i", "sine=duration=5", str(path)]
    subprocess.run(["ffmpeg", "-loglevel", "error", *tone], check=True)
    with StalledTcp(path.read_bytes()) as server:
        url = server.url.replace("127", "user:secret@127")
        device = Device(MediaSound(url, timeout=0.5))
        device.subscribe(lambda _: None, lambda _: None)
        with device:
            assert device.wait(WAIT)
            error = device.error
    assert isinstance(error, DeviceLostError)
    assert "is lost (nothing came for 0.5 s)" in str(error)
    # nor is the password in what is printed of its cause
    assert "secret" not in "".join(traceback.format_exception(error)) + caplog.text


# -- the contract -----------------------------------------------------------------------------


def test_a_file_keeps_the_rules(tmp_path: Path) -> None:
    path = tmp_path / "a.wav"
    soundfile.write(path, ramp(0, 2 * RATE), RATE)
    check_source(lambda: MediaSound(str(path)), absent=lambda: MediaSound(str(tmp_path / "none")))


def test_a_server_keeps_the_rules(monkeypatch: pytest.MonkeyPatch) -> None:
    # it sends no burst, and is opened eight times
    monkeypatch.setattr("rxstream.devices.media_sound.reader._HOLD", 200 * MS)
    with RampRtsp() as server:
        check_source(
            lambda: MediaSound(server.url), unplug=server.unplug, plug=server.replug,
            absent=lambda: MediaSound(f"rtsp://127.0.0.1:{free_port()}/a"),
        )  # fmt: skip


def test_what_is_known_before_opening() -> None:
    info = MediaSound("rtsp://user:secret@example.org/a", dtype="int16").info
    assert (info.rate, info.shape, info.dtype) == (None, (), np.int16)
    assert info.extra["source"] == "rtsp://example.org/a"
    assert MediaSound("https://example.org/a.mp3").live
    assert not MediaSound("a.wav").live
    assert not MediaSound("file:///a.wav").live


@pytest.mark.parametrize(
    ("options", "word"),
    [
        ({"source": 5}, "source"), ({"source": ""}, "source"), ({"dtype": "int24"}, "dtype"),
        ({"track": -1}, "track"), ({"track": 0.5}, "track"), ({"pace": "slow"}, "pace"),
        ({"timeout": 0}, "timeout"), ({"start": 1.5}, "no point in time"),
        ({"source": "http://u:secret@a", "pace": "max"}, "for files; http://a is played"),
        ({"source": "http://a", "start": 0}, "for files"),
    ],
)  # fmt: skip
def test_wrong_options_are_named(options: dict[str, Any], word: str) -> None:
    with pytest.raises(ParameterError, match=word):
        MediaSound(**{"source": "a.wav"} | options)


def test_ctrl_c_while_opening_is_not_swallowed() -> None:
    before = threading.active_count()
    with interrupting_server() as port:
        begun = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            Device(MediaSound(f"http://127.0.0.1:{port}", timeout=20)).open()
        assert time.monotonic() - begun < 15
    assert eventually(lambda: threading.active_count() == before)


def test_ctrl_c_during_the_first_block_is_not_swallowed(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The film is open, and its sound begins later than what has come of it."""
    path, reading = tmp_path / "late.mkv", threading.Event()
    film = ["-f", "lavfi", "-i", "testsrc=size=64x48:rate=10:duration=9", "-c:v", "mjpeg"]
    sound = ["-itsoffset", "7", "-f", "lavfi", "-i", "sine=duration=2", "-c:a", "pcm_s16le"]
    inputs = [*film[:4], *sound[:6], *film[4:], *sound[6:]]
    subprocess.run(["ffmpeg", "-loglevel", "error", *inputs, str(path)], check=True)
    blocks = SoundInput.blocks

    def noted(self: SoundInput) -> Iterator[Any]:
        reading.set()
        yield from blocks(self)

    def interrupt() -> None:
        assert reading.wait(WAIT)
        # it has to be in PyAV by then; the outcome is the same if it is not yet
        time.sleep(0.5)
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    monkeypatch.setattr(SoundInput, "blocks", noted)
    before, helper = threading.active_count(), threading.Thread(target=interrupt)
    with StalledTcp(path.read_bytes()[:100_000]) as server:
        helper.start()
        with pytest.raises(KeyboardInterrupt):
            Device(MediaSound(server.url, timeout=2)).open()
        helper.join()
    assert eventually(lambda: threading.active_count() == before)


def test_what_is_in_the_way_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "letter.wav").write_text("Dear Sir or Madam")
    with pytest.raises(FormatError, match=r"letter\.wav' is no sound that PyAV can read"):
        Device(MediaSound(tmp_path / "letter.wav")).open()
    with pytest.raises(FormatError, match="is a folder; give a file in it"):
        Device(MediaSound(tmp_path)).open()
    with pytest.raises(DeviceNotFoundError, match=r"mediasound: there is no file"):
        Device(MediaSound(tmp_path / "none.wav")).open()
    with pytest.raises(DeviceNotFoundError, match=r"127.0.0.1:\d+/a.mp3 does not answer") as caught:
        Device(MediaSound(f"http://user:secret@127.0.0.1:{free_port()}/a.mp3")).open()
    # traceback.format_exception shows lines of this file, too
    assert "secret" not in f"{caught.value!r} {caught.value.__cause__!r} {caught.value.__cause__}"
    for url in ("http://a..b/a.mp3", "http://[::1/a.mp3"):
        with pytest.raises(DeviceNotFoundError, match="mediasound: http"):
            Device(MediaSound(url)).open()
    with HttpFile(tmp_path / "letter.wav") as server, pytest.raises(FormatError, match="answers"):
        Device(MediaSound(server.url)).open()
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(MissingExtraError, match=r"rxstream\[video\]"):
        Device(MediaSound(tmp_path / "letter.wav")).open()


def test_the_page_runs(capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    with FfmpegRadio() as server:
        exec(block.replace("http://radio.example.org/live.mp3", server.url), {})
    assert "44100.0 (44100, 1)" in capsys.readouterr().out
