"""wav: bit-exact files, silence for what is lost, heads that are true at every moment."""

import importlib
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reactivex as rx
import soundfile
from written_files import flush

from rxstream import Chunk, Gap, StreamInfo
from rxstream.errors import ChunkError, ParameterError
from rxstream.sinks import riff, wav
from rxstream.sinks.flac_frame import frames_of, numbered


def sound(dtype: Any, shape: tuple[int, ...] = (2,), n: int = 1000) -> Chunk[Any]:
    info = StreamInfo("mic", 8000.0, shape, np.dtype(dtype))
    values = np.random.default_rng(1).normal(0, 0.2, (n, *shape))
    if np.dtype(dtype).kind == "i":
        values = values * np.iinfo(dtype).max
    return Chunk.regular(values.astype(dtype), info, start=0)


@pytest.mark.parametrize("dtype", ["int16", "int32", "float32", "float64"])
@pytest.mark.parametrize("shape", [(), (1,), (3,)])
def test_a_wav_file_is_exact(dtype: str, shape: tuple[int, ...], tmp_path: Path) -> None:
    chunk = sound(dtype, shape)
    sink = wav(tmp_path / "a.wav")
    rx.of(chunk[:300], chunk[300:]).subscribe(sink)
    assert sink.closed
    data, rate = soundfile.read(sink.path, dtype=dtype)
    assert rate == 8000
    assert np.array_equal(data.reshape(chunk.data.shape), chunk.data)


def test_flac_is_exact_too(tmp_path: Path) -> None:
    chunk = sound("int16")
    rx.of(chunk).subscribe(wav(tmp_path / "a.flac"))
    data, _ = soundfile.read(tmp_path / "a.flac", dtype="int16")
    assert np.array_equal(data, chunk.data)


@pytest.mark.parametrize(("gaps", "length"), [("fill", 1000), ("skip", 900)])
def test_what_is_lost_is_silence_or_nothing(gaps: Any, length: int, tmp_path: Path) -> None:
    chunk = sound("int16")
    gap = Gap(chunk[:400].end, chunk[500:].start, 100, "dropped")
    sink = wav(tmp_path / "a.wav", gaps=gaps)
    rx.of(chunk[:400], chunk[500:].with_gap(gap)).subscribe(sink)
    data, _ = soundfile.read(sink.path, dtype="int16")
    assert len(data) == length
    assert np.array_equal(data[:400], chunk.data[:400])
    assert np.array_equal(data[-500:], chunk.data[500:])
    assert sink.lost == 100
    if gaps == "fill":
        assert not data[400:500].any()
        assert sink.filled == 100


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
@pytest.mark.parametrize("rotate", [None, 3600.0])
@pytest.mark.parametrize(("span", "lost"), [(8 * 3600, None), (8 * 3600, 230_400_000), (1, 10**11)])
@pytest.mark.parametrize("at", [0, 400, 1000])
def test_what_follows_a_gap_of_hours_is_in_a_new_file(
    name: str, rotate: float | None, span: int, lost: int | None, at: int, tmp_path: Path
) -> None:
    """The gap lies before, within or after the second of two chunks."""
    first, second = sound("int16"), sound("int16").shifted(125_000_000)
    # the samples behind the gap come so much later
    later = second[at:].shifted(span * 10**9)
    gap = Gap(later.start - span * 10**9, later.start, lost, "suspended")
    last = sound("int16").shifted(250_000_000 + span * 10**9)
    with wav(tmp_path / name, rotate=rotate) as sink:
        sink.on_next(first)
        if 0 < at < 1000:
            sink.on_next(second[:at] + later.with_gap(gap))
            sink.on_next(last)
        elif at == 0:
            sink.on_next(later.with_gap(gap))
            sink.on_next(last)
        else:
            sink.on_next(second)
            sink.on_next(last.with_gap(gap))
        assert (sink.samples, sink.filled) == (3000, 0)
    one, two = (soundfile.read(path, dtype="int16")[0] for path in sink.files)
    assert np.array_equal(one, np.concatenate([first.data, second.data[:at]]))
    assert np.array_equal(two, np.concatenate([second.data[at:], last.data]))
    hour = "08" if span > 1 else "00"
    assert f"a_19700101T{hour}000" in sink.files[1].name


def test_a_stream_that_begins_with_a_gap_of_hours_has_one_file(tmp_path: Path) -> None:
    chunk = sound("int16").shifted(10**15)
    with wav(tmp_path / "a.wav", rotate=5.0) as sink:
        sink.on_next(chunk.with_gap(Gap(0, 10**15, None, "suspended")))
    assert [path.name for path in sink.files] == ["a_19700112T134640-000Z.wav"]
    assert np.array_equal(soundfile.read(sink.files[0], dtype="int16")[0], chunk.data)


def test_a_long_silence_is_readable_while_it_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # the name in the package is that of the sink
    monkeypatch.setattr(importlib.import_module("rxstream.sinks.wav"), "_FLUSH_INTERVAL", 0.0)
    frames, chunk = [], sound("int16").shifted(60 * 10**9)
    with wav(tmp_path / "a.wav") as sink:
        sink.on_next(sound("int16"))
        assert sink._writer is not None
        append = sink._writer._append

        def watched(data: Any, *, silent: bool) -> None:
            frames.append(soundfile.info(sink.path).frames)
            append(data, silent=silent)

        monkeypatch.setattr(sink._writer, "_append", watched)
        sink.on_next(chunk.with_gap(Gap(125_000_000, 60 * 10**9, 479_000, "dropped")))
        assert (sink.samples, sink.filled) == (2000, 479_000)
    # before the silence nothing was flushed, then each second of it is
    assert frames[2:-1] == list(range(9000, 480_000, 8000))


def test_channels_that_do_not_lie_side_by_side(tmp_path: Path) -> None:
    chunk = sound("int16", (4,))
    part = chunk.with_data(chunk.data[:, ::2])
    rx.of(part).subscribe(wav(tmp_path / "a.wav"))
    data, _ = soundfile.read(tmp_path / "a.wav", dtype="int16")
    assert np.array_equal(data, chunk.data[:, ::2])


def test_what_is_no_sound_is_refused(tmp_path: Path) -> None:
    info = StreamInfo("events", None, (), np.dtype(np.int16))
    chunk = Chunk.stamped(np.zeros(1, np.int16), [5], info)
    with pytest.raises(ChunkError, match="events"):
        wav(tmp_path / "a.wav").on_next(chunk)


def test_a_subtype_that_cannot_be_is_named(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="PCM_99"):
        wav(tmp_path / "a.wav", subtype="PCM_99").on_next(sound("int16"))


def test_bad_arguments(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="gaps"):
        wav(tmp_path / "a.wav", gaps="zero")  # type: ignore[arg-type]
    with pytest.raises(ParameterError, match="wav"):
        wav(tmp_path / "a.mp3")
    with pytest.raises(ParameterError):
        wav(tmp_path / "nowhere" / "a.wav")


# -- the standard library's reader, and ffmpeg ------------------------------------------------


@pytest.mark.parametrize(("subtype", "width"), [("PCM_16", 2), ("PCM_24", 3), ("PCM_32", 4)])
def test_integers_are_read_by_the_standard_library(
    subtype: str, width: int, tmp_path: Path
) -> None:
    # one channel and an odd number of samples: with 3 bytes each the data ends at an odd position
    chunk = sound("int16", (), 1001)
    with wav(tmp_path / "a.wav", subtype=subtype) as sink:
        sink.on_next(chunk)
    with wave.open(str(tmp_path / "a.wav")) as file:
        assert (file.getnchannels(), file.getframerate(), file.getsampwidth()) == (1, 8000, width)
        raw = np.frombuffer(file.readframes(2000), np.uint8).reshape(-1, width)
    assert np.array_equal(np.ascontiguousarray(raw[:, -2:]).view("<i2")[:, 0], chunk.data)
    assert not raw[:, :-2].any()
    size = (tmp_path / "a.wav").stat().st_size
    assert size % 2 == 0
    assert int.from_bytes((tmp_path / "a.wav").read_bytes()[4:8], "little") == size - 8


@pytest.mark.parametrize("dtype", ["int16", "int32", "float32", "float64"])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE"])
def test_samples_in_another_encoding(subtype: str, dtype: str, tmp_path: Path) -> None:
    chunk = sound(dtype)
    with wav(tmp_path / "a.wav", subtype=subtype) as sink:
        sink.on_next(chunk)
    data, _ = soundfile.read(tmp_path / "a.wav")
    assert soundfile.info(tmp_path / "a.wav").subtype == subtype
    right = chunk.data * 1.0
    if dtype.startswith("int"):
        right = right / 2.0 ** (8 * chunk.dtype.itemsize - 1)
    elif subtype.startswith("PCM"):
        right = right.clip(-1, 1)
    step = {"PCM_16": 2.0**-15, "PCM_24": 2.0**-23, "PCM_32": 2.0**-31, "FLOAT": 2.0**-24}
    assert np.abs(data - right).max() <= step.get(subtype, 0.0)


def test_floats_that_are_no_numbers_are_silence_in_integers(tmp_path: Path) -> None:
    info = StreamInfo("mic", 8000.0, (), np.dtype("f4"))
    data = np.array([np.nan, np.inf, -np.inf, 3.0, -3.0, 0.5], "f4")
    with wav(tmp_path / "a.wav", subtype="PCM_16") as sink:
        sink.on_next(Chunk.regular(data, info, start=0))
    read, _ = soundfile.read(tmp_path / "a.wav", dtype="int16")
    assert read.tolist() == [0, 32767, -32768, 32767, -32768, 16384]


# -- beyond what 32 bits count ----------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["int16", "float32"])
def test_a_long_file_is_rf64_from_the_limit_on(
    dtype: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a limit of 20 kB instead of 4 GiB; the fault program has the real one."""
    monkeypatch.setattr(riff, "_MAX_RIFF", 20_000)
    chunk, path = sound(dtype, n=8000), tmp_path / "a.wav"
    sizes, kinds = [], []
    with wav(path) as sink:
        for k in range(40):
            sink.on_next(chunk[200 * k : 200 * (k + 1)])
            flush(sink)
            sizes.append(path.stat().st_size)
            kinds.append(path.read_bytes()[:4])
            data, _ = soundfile.read(path, dtype=dtype)
            assert np.array_equal(data, chunk.data[: 200 * (k + 1)])
    assert kinds == [b"RIFF" if size - 8 <= 20_000 else b"RF64" for size in sizes]
    assert {*kinds} == {b"RIFF", b"RF64"}
    found = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", path, "-f", "f64le", "-c:a", "pcm_f64le", "-"],
        capture_output=True, check=True,
    )  # fmt: skip
    assert found.stderr == b""
    assert len(found.stdout) == 8000 * 2 * 8


FORKING = """
import os, sys
import numpy as np
from rxstream import Chunk, StreamInfo
from rxstream.sinks import wav

info = StreamInfo("mic", 8000.0, (), np.dtype("i2"))
sink, k = wav(sys.argv[1]), 0
for k in range(20):
    data = np.arange(1000 * k, 1000 * k + 1000).astype("i2")
    sink.on_next(Chunk.regular(data, info, start=k * 125_000_000, index=1000 * k))
    if k == 10 and not os.fork():
        del sink
        sys.exit()
os.wait()
sink.close()
"""


@pytest.mark.parametrize("name", ["a.wav", "a.flac"])
def test_a_forked_child_that_ends_writes_nothing(name: str, tmp_path: Path) -> None:
    command = [sys.executable, "-W", "ignore", "-c", FORKING, str(tmp_path / name)]
    result = subprocess.run(command, capture_output=True, text=True, check=True)
    assert result.stderr == ""
    data, _ = soundfile.read(tmp_path / name, dtype="int16")
    assert np.array_equal(data, np.arange(20_000).astype("i2"))


def test_a_file_beyond_4_gib(tmp_path: Path) -> None:
    """Real, but for most of it: a hole in the file, which takes no room on the disk."""
    chunk, path, whole = sound("int16"), tmp_path / "a.wav", 1_100_000_000
    with wav(path) as sink:
        sink.on_next(chunk)
        file: Any = sink._writer._file  # type: ignore[union-attr]
        with sink._guard:
            file._file.truncate(file._begin + 4 * (whole - 1000))
            sink._dirty = True
        flush(sink)
        assert soundfile.info(path).frames == whole - 1000
        sink.on_next(chunk)
        flush(sink)
        assert soundfile.info(path).frames == whole
    with path.open("rb") as raw:
        assert raw.read(4) == b"RF64"
    assert path.stat().st_size > 1 << 32
    with soundfile.SoundFile(path) as found:
        assert found.frames == whole
        assert np.array_equal(found.read(1000, dtype="int16"), chunk.data)
        found.seek(whole - 1000)
        assert np.array_equal(found.read(dtype="int16"), chunk.data)


# -- what cannot be ---------------------------------------------------------------------------


@pytest.mark.parametrize("rate", [1.0, 500.0, 8000.0, 12_345.0, 192_000.0])
@pytest.mark.parametrize(("dtype", "channels"), [("int16", 1), ("int32", 2), ("float32", 8)])
def test_a_flush_makes_all_of_a_flac_file_readable(
    rate: float, dtype: str, channels: int, tmp_path: Path
) -> None:
    """As a stream that falls silent is flushed by the sink's own thread, whatever is held back."""
    info, rng = StreamInfo("mic", rate, (channels,), np.dtype(dtype)), np.random.default_rng(0)
    # bits that FLAC has
    whole = rng.integers(-3000, 3000, (40_000, channels))
    data = whole * 256 if dtype == "int32" else whole / 32768 if dtype == "float32" else whole
    whole, index = data.astype(dtype), 0
    whole[9000:20_000] = 0
    with wav(tmp_path / "a.flac") as sink:
        for n in [1, 79, 3920, 96, 1, 4095, *rng.integers(1, 4000, 12).tolist()]:
            sink.on_next(Chunk.regular(whole[index : index + n], info, start=0, index=index))
            index += n
            flush(sink)
            read, _ = soundfile.read(sink.path, dtype=dtype, always_2d=True)
            assert np.array_equal(read, whole[:index])
    read, _ = soundfile.read(sink.path, dtype=dtype, always_2d=True)
    assert np.array_equal(read, whole[:index])


def test_other_readers_take_the_last_block_for_the_time_being(tmp_path: Path) -> None:
    chunk = sound("int16", n=10_000)
    with wav(tmp_path / "a.flac") as sink:
        sink.on_next(chunk)
        flush(sink)
        found = subprocess.run(
            ["ffmpeg", "-v", "error", "-err_detect", "crccheck+explode", "-i", sink.path,
             "-f", "s16le", "-"],
            capture_output=True, check=True,
        )  # fmt: skip
        assert found.stderr == b""
        assert found.stdout == chunk.data.tobytes()


def test_a_frame_gets_the_number_that_the_encoder_would_give_it(tmp_path: Path) -> None:
    # all blocks are the same, but for the number in their head and the check sums
    block = np.random.default_rng(0).integers(-9, 9, 4096).astype("i2")
    soundfile.write(tmp_path / "a.flac", np.tile(block, 2100), 8000)
    frames = frames_of((tmp_path / "a.flac").read_bytes())
    first = frames[: frames.index(b"\xff\xf8", 2)]
    for number in (1, 127, 128, 2047, 2048, 2099):
        assert numbered(first, number) in frames
    # as RFC 3629 has it, and RFC 9639 beyond
    assert numbered(first, 0xFFFF)[4:7] == chr(0xFFFF).encode()
    assert numbered(first, 0x10FFFF)[4:8] == chr(0x10FFFF).encode()
    assert numbered(first, (1 << 36) - 1)[4:11] == b"\xfe" + 6 * b"\xbf"


@pytest.mark.parametrize(
    ("rate", "channels", "words"),
    [
        (0.2, 1, "cannot have 1 channels of 2 bytes at 0 Hz"),
        (8000.0, 40_000, "cannot have 40000 channels"),
        (9e8, 4, "at 900000000 Hz"),
    ],
)
def test_a_wav_that_cannot_be(rate: float, channels: int, words: str, tmp_path: Path) -> None:
    info = StreamInfo("odd", rate, (channels,), np.dtype("i2"))
    with pytest.raises(ParameterError, match=words):
        wav(tmp_path / "a.wav").on_next(Chunk.regular(np.zeros((1, channels), "i2"), info, start=0))
    assert not (tmp_path / "a.wav").exists()


def test_flac_of_too_many_channels(tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match="cannot write 9 channels at 8000 Hz"):
        wav(tmp_path / "a.flac").on_next(sound("int16", (9,)))


def test_without_soundfile_flac_fails_when_made_and_wav_works(tmp_path: Path) -> None:
    code = (
        "import sys\n"
        "sys.modules['soundfile'] = None\n"
        "import numpy as np\n"
        "from rxstream import Chunk, StreamInfo\n"
        "from rxstream.errors import MissingExtraError\n"
        "from rxstream.sinks import wav\n"
        "with wav('a.wav') as sink:\n"
        "    info = StreamInfo('mic', 8000.0, (), np.dtype('i2'))\n"
        "    sink.on_next(Chunk.regular(np.arange(5, dtype='i2'), info, start=0))\n"
        "try: wav('a.flac')\n"
        "except MissingExtraError as error: print(error)\n"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=tmp_path
    )
    assert "pip install 'rxstream[audio]'" in result.stdout
    assert soundfile.read(tmp_path / "a.wav", dtype="int16")[0].tolist() == [0, 1, 2, 3, 4]


def test_what_an_encoder_holds_back_is_not_counted_after_an_error(tmp_path: Path) -> None:
    """Silence and samples in turn, so that both are in what is lost."""
    sink = wav(tmp_path / "a.flac")
    for k in range(30):
        gap = Gap(k * 250_000_000, k * 250_000_000 + 125_000_000, 1000, "dropped")
        part = sound("int16")
        # 1000 lost and 1000 there in each quarter of a second
        sink.on_next(Chunk.regular(part.data, part.info, start=gap.end, index=0, gap=gap))
    assert sink._writer is not None
    sink._writer._failed = True  # as an error of the disk would; test_full_disk has a real one
    # so that nothing is flushed between the two looks
    with sink._guard:
        readable = len(soundfile.read(tmp_path / "a.flac", dtype="int16")[0])
        whole, rest = divmod(readable, 2000)
        assert sink.samples == 1000 * whole + max(0, rest - 1000)
    sink.close()
