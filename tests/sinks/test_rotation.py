"""Rotation: one file after the other, nothing lost or doubled at a seam, the oldest deleted."""

import contextlib
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import soundfile
from fakes import MS, ramp
from hypothesis import given
from hypothesis import strategies as st
from written_files import CASES, flush

from rxstream import Chunk, Gap, StreamInfo
from rxstream.errors import ParameterError, SinkError
from rxstream.sinks import can_log, csv, wav
from rxstream.sinks.rotation import Rotation

SECOND = 1000  # samples of `ramp`
NOON = 1_800_014_400_000_000_000  # 2027-01-15 12:00 UTC [ns]


@pytest.fixture(autouse=True, scope="module")
def _elsewhere(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Take names in a folder of this test: a rotation makes the files of the names it gives."""
    with contextlib.chdir(tmp_path_factory.mktemp("rotation")):
        yield


def sound(i: int, n: int, gap: Gap | None = None, start: int = 0) -> Chunk[Any]:
    info = StreamInfo("mic", 1000.0, (), np.dtype(np.int16))
    data = (np.arange(i, i + n) + 1).astype(np.int16)
    return Chunk.regular(data, info, start=start + i * MS, index=i, gap=gap)


def test_files_are_contiguous_and_named_by_their_first_sample(tmp_path: Path) -> None:
    with wav(tmp_path / "a.wav", rotate=2.0) as sink:
        for k in range(9):
            sink.on_next(sound(k * 700, 700, start=NOON + 500 * MS))
    assert [path.name for path in sink.files] == [
        "a_20270115T120000-500Z.wav", "a_20270115T120002-500Z.wav",
        "a_20270115T120004-500Z.wav", "a_20270115T120006-500Z.wav",
    ]  # fmt: skip
    parts = [soundfile.read(path, dtype="int16")[0] for path in sink.files]
    assert [len(part) for part in parts] == [2000, 2000, 2000, 300]
    assert np.array_equal(np.concatenate(parts), np.arange(6300) + 1)
    assert sink.samples == 6300
    assert not sink.path.exists()


def test_names_sort_by_time_though_two_begin_in_one_second(tmp_path: Path) -> None:
    """A file after a gap begins anywhere in its second, the next one at the seam."""
    with csv(tmp_path / "a.csv", rotate=1.0) as sink:
        sink.on_next(ramp(200, 800))
        sink.on_next(ramp(4050, 1950, Gap(1000 * MS, 4050 * MS, 3050, "disconnect")))
    names = [path.name for path in sink.files]
    assert [name[2:] for name in names] == [
        f"19700101T00000{time}Z.csv" for time in ("0-200", "4-050", "4-200", "5-200")
    ]
    for _ in range(11):
        with csv(tmp_path / "a.csv", rotate=1.0) as again:
            again.on_next(ramp(200, 10))
        names.insert(len(names) - 3, again.files[0].name)
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_each_table_has_its_first_row(tmp_path: Path) -> None:
    with csv(tmp_path / "a.b.csv", rotate=1.0) as sink:
        sink.on_next(ramp(0, 2500))
    assert [path.name for path in sink.files] == [
        f"a.b_19700101T00000{k}-000Z.csv" for k in range(3)
    ]  # fmt: skip
    tables = [pd.read_csv(path) for path in sink.files]
    assert [len(table) for table in tables] == [1000, 1000, 500]
    assert pd.concat(tables)["ramp"].tolist() == list(range(2500))


def test_a_loss_over_seams_is_silence_in_each_file(tmp_path: Path) -> None:
    gap = Gap(500 * MS, 3250 * MS, 2750, "dropped")
    with wav(tmp_path / "a.wav", rotate=1.0) as sink:
        sink.on_next(sound(0, 500))
        sink.on_next(sound(3250, 1000, gap))
    whole = np.concatenate([soundfile.read(path, dtype="int16")[0] for path in sink.files])
    assert len(sink.files) == 5
    right = np.arange(4250) + 1
    right[500:3250] = 0
    assert np.array_equal(whole, right)
    assert (sink.samples, sink.filled, sink.lost) == (1500, 2750, 2750)


def test_a_loss_over_seams_makes_no_empty_tables(tmp_path: Path) -> None:
    with csv(tmp_path / "a.csv", rotate=1.0) as sink:
        sink.on_next(ramp(0, 500))
        sink.on_next(ramp(3250, 1000, Gap(500 * MS, 3250 * MS, 2750, "dropped")))
    tables = [pd.read_csv(path) for path in sink.files]
    assert [len(table) for table in tables] == [500, 750, 250]
    assert [table["lost"].sum() for table in tables] == [0, 2750, 0]


@given(
    lengths=st.lists(st.integers(1, 3000), min_size=1, max_size=6),
    cuts=st.lists(st.integers(0, 9000), max_size=4),
    span=st.integers(1000, 4000),
    in_time=st.booleans(),
)
def test_pieces_do_not_depend_on_how_the_stream_comes(
    lengths: list[int], cuts: list[int], span: int, in_time: bool
) -> None:
    # runs of samples with losses of their length between them
    begin, whole = 0, None
    for n in lengths:
        lost = lengths[0]
        gap = Gap((begin - lost) * MS, begin * MS, lost, "dropped") if begin else None
        part = ramp(begin, n, gap)
        whole = part if whole is None else whole + part
        begin += n + lost
    assert whole is not None
    edges = sorted({0, len(whole), *(min(cut, len(whole)) for cut in cuts)})
    found = []
    for pieces in ([whole], [whole[i:j] for i, j in pairwise(edges)]):
        rotation = Rotation(Path("a.csv"), span / 1000, None, in_time=in_time)
        rotation.begin(pieces[0])
        files: list[list[Chunk]] = [[]]
        for chunk in pieces:
            for piece, new in rotation.pieces(chunk):
                if new and (len(piece) or piece.gap_positions):
                    files.append([])
                files[-1].append(piece)
        found.append(
            [
                ([x for piece in file for x in piece.data], sum(piece.lost for piece in file))
                for file in files
            ]
        )
        every = [piece for file in files for piece in file]
        assert np.array_equal(np.concatenate([piece.data for piece in every]), whole.data)
        assert sum(piece.lost for piece in every) == whole.lost
    assert found[0] == found[1]


@given(steps=st.lists(st.integers(1, 2500), min_size=1, max_size=40), cut=st.integers(0, 40))
def test_samples_at_any_times_are_in_the_file_of_their_time(steps: list[int], cut: int) -> None:
    info = StreamInfo("events", None, (), np.dtype(np.int64))
    times = np.cumsum(steps) * MS
    whole = Chunk.stamped(np.arange(len(steps)), times, info)
    rotation = Rotation(Path("a.csv"), 1.0, None)
    rotation.begin(whole[:1])
    number, found = 0, []
    for chunk in (whole[:cut], whole[cut:]):
        for piece, new in rotation.pieces(chunk):
            number += new
            found += [(number, value) for value in piece.data.tolist()]
    # a second counts from the first sample, and those without samples make no file
    seconds = (times - times[0]) // (1000 * MS)
    numbers = np.unique(seconds, return_inverse=True)[1]
    assert found == list(zip(numbers.tolist(), range(len(steps)), strict=True))


def test_the_oldest_files_are_deleted_also_of_earlier_runs_and_no_others(tmp_path: Path) -> None:
    others = ["a.wav", "a_notes.wav", "b_20200101T000000-000Z.wav", "a_20200101T000000-000Z.csv"]
    for name in [*others, "a_20200101T000000-000Z.wav", "a_20200101T000000-000Z_002.wav"]:
        (tmp_path / name).write_text("x")
    with wav(tmp_path / "a.wav", rotate=1.0, keep=2) as sink:
        for k in range(5):
            sink.on_next(sound(k * SECOND, SECOND, start=NOON))
            assert len(list(tmp_path.glob("a_2*Z*.wav"))) == 2
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {*others, "a_20270115T120003-000Z.wav", "a_20270115T120004-000Z.wav"}
    assert len(sink.files) == 5


@pytest.mark.parametrize("keep", [1, 2, 4])
def test_files_of_later_times_are_older_than_those_of_this_program(
    keep: int, tmp_path: Path
) -> None:
    """As on a machine whose clock begins anew each time."""
    old = [f"a_20990101T00000{k}-000Z.csv" for k in range(3)]
    for name in old:
        (tmp_path / name).write_text("x")
    with csv(tmp_path / "a.csv", rotate=1.0, keep=keep) as sink:
        for k in range(4):
            sink.on_next(ramp(k * SECOND, SECOND))
            assert sink.files[-1].exists()
            flush(sink)
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {path.name for path in sink.files[-keep:]}


def test_two_programs_that_rotate_at_a_path_take_other_names(tmp_path: Path) -> None:
    """Side by side, from the same moment on."""
    code = (
        "import sys, numpy as np\n"
        "from rxstream import Chunk, StreamInfo\n"
        "from rxstream.sinks import csv\n"
        "info, me = StreamInfo('x', 100.0, (), np.dtype(int)), int(sys.argv[2])\n"
        "sink = csv(sys.argv[1], rotate=1.0)\n"
        "print(flush=True); input()\n"
        "for k in range(200):\n"
        "    data = np.full(100, me)\n"
        "    sink.on_next(Chunk.regular(data, info, start=k * 10**9, index=100 * k))\n"
        "sink.close()\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.csv")]
    pipe = subprocess.PIPE
    both = [
        subprocess.Popen([*command, str(me)], stdin=pipe, stdout=pipe, text=True) for me in (1, 2)
    ]
    for program in both:
        assert program.stdout is not None
        program.stdout.readline()
    for program in both:
        program.communicate("\n", timeout=50)
        assert program.returncode == 0
    tables = [pd.read_csv(path) for path in tmp_path.iterdir()]
    assert [len(table) for table in tables] == [100] * 400
    assert sorted(table["x"].unique().tolist() for table in tables) == [[1]] * 200 + [[2]] * 200


def test_a_file_of_a_name_that_another_took_meanwhile_is_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # another program takes it between a look and the opening
    (tmp_path / "a_19700101T000000-000Z.csv").write_text("other")
    monkeypatch.setattr(Path, "exists", lambda _path: False)
    with csv(tmp_path / "a.csv", rotate=1.0) as sink:
        sink.on_next(ramp(0, 10))
    assert (tmp_path / "a_19700101T000000-000Z.csv").read_text() == "other"
    assert sink.files[0].name == "a_19700101T000000-000Z_002.csv"


@pytest.mark.parametrize("name", ["wav", "flac", "csv", "blf", "asc", "sqlite"])
def test_a_name_that_is_too_long_with_its_time(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    sink: Any = {".wav": wav, ".flac": wav, ".csv": csv}.get(case.suffix, can_log)
    path = tmp_path / ("a" * (250 - len(case.suffix)) + case.suffix)
    with (
        pytest.raises(SinkError, match=r"_20231114T221320-000Z.*too long; choose a shorter name"),
        sink(path, rotate=1.0) as writer,
    ):
        writer.on_next(case.chunk(0, 10))
    assert not list(tmp_path.iterdir())


def test_no_file_of_that_name_is_replaced(tmp_path: Path) -> None:
    for _ in range(3):
        with csv(tmp_path / "a.csv", rotate=5.0) as sink:
            sink.on_next(ramp(0, 10))
    names = {path.name for path in tmp_path.iterdir()}
    stem = "a_19700101T000000-000Z"
    assert names == {f"{stem}.csv", f"{stem}_002.csv", f"{stem}_003.csv"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"rotate": 0.5}, "rotate must be at least 1 s, not 0.5"),
        ({"rotate": "hourly"}, "rotate must be > 0 seconds or a timedelta"),
        ({"keep": 5}, "keep=5 needs rotate="),
        ({"rotate": 60, "keep": 0}, "keep must be a whole number of files >= 1, not 0"),
    ],
)
@pytest.mark.parametrize("sink", [wav, csv])
def test_wrong_arguments(sink: Any, options: Any, words: str, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=words):
        sink(tmp_path / "a.wav", **options)
