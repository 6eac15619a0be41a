"""wav: bit-exact files, silence for what is lost."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reactivex as rx
import soundfile

from rxstream import Chunk, Gap, StreamInfo
from rxstream.errors import ChunkError, ParameterError
from rxstream.sinks import wav


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
