"""What sinks that write files share: readable each second, one path, causes of failures."""

import errno
import gc
import os
import re
import shutil
import subprocess
import sys
import threading
import warnings
import weakref
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import reactivex as rx
import written_files
from fakes import Manual, eventually, ramp
from written_files import CASES, flush

from rxstream import Device, TimeWindowSubject, failed
from rxstream.acquisition.failures import forget_failures
from rxstream.data.chunk import Chunk
from rxstream.errors import ParameterError, RxStreamError, SinkError
from rxstream.sinks import Sink, callback, csv, wav
from rxstream.sinks.file_sink import FileSink
from rxstream.sinks.output_file import OutputFile
from rxstream.sinks.paths import path_to_write

pytestmark = pytest.mark.slow

SOUND = CASES["wav"].chunk


class Held(FileSink):
    """Writes bytes, which reach the file when it is flushed; raises on request."""

    def __init__(self, path: Path, **broken: int) -> None:
        super().__init__(path)
        self.broken = broken
        self.flushed = threading.Event()

    def open_file(self, path: Path, chunk: Chunk) -> "HeldFile":
        self._fail("open")
        return HeldFile(self, path)

    def _fail(self, what: str) -> None:
        if what in self.broken:
            raise OSError(self.broken[what], "as the test asks")


class HeldFile:
    def __init__(self, sink: Held, path: Path) -> None:
        self._sink, self._file, self._held = sink, OutputFile(path), b""

    @property
    def samples(self) -> int:
        return self._file.size

    def write(self, chunk: Chunk) -> None:
        self._sink._fail("write")
        self._held += bytes(len(chunk))

    def flush(self) -> None:
        self._sink._fail("flush")
        held, self._held = self._held, b""
        self._file.append(held)
        self._sink.flushed.set()

    def close(self) -> None:
        try:
            self.flush()
        finally:
            self._file.close()


def is_open(path: Path) -> bool:
    """Whether this process has a file open; Linux only."""
    found = []
    for number in os.listdir("/proc/self/fd"):
        try:
            found.append(os.readlink(f"/proc/self/fd/{number}").removesuffix(" (deleted)"))
        except OSError:
            continue
    return str(path) in found


# -- readable each second ---------------------------------------------------------------------


def test_a_silent_stream_is_flushed_too(tmp_path: Path) -> None:
    with Held(tmp_path / "a") as sink:
        sink.on_next(ramp(0, 5))
        assert sink.flushed.wait(10)
        assert (tmp_path / "a").stat().st_size == 5
        sink.flushed.clear()
        sink.on_next(ramp(5, 5))
        assert sink.flushed.wait(10)
        assert sink.samples == 10


def test_a_stream_that_leaves_no_pause_is_flushed_by_its_own_thread(tmp_path: Path) -> None:
    with Held(tmp_path / "a") as sink, sink._guard:
        # the thread that flushes cannot get in between
        for k in range(10**7):
            sink.on_next(ramp(k, 1))
            if sink.flushed.is_set():
                break
        assert sink.flushed.is_set()


def test_a_row_of_a_slow_sensor_is_on_disk_at_once(tmp_path: Path) -> None:
    with csv(tmp_path / "a.csv") as sink:
        for k in range(3):
            sink.on_next(ramp(k, 1))
            assert (tmp_path / "a.csv").read_text().count("\n") == k + 2


@pytest.mark.parametrize("name", ["wav", "wav of floats", "rotated wav", "flac", "csv"])
def test_the_usual_readers_read_what_is_still_written(name: str, tmp_path: Path) -> None:
    case = CASES[name]
    path = tmp_path / f"a{case.suffix}"
    with case.sink(path) as sink:
        sink.on_next(case.chunk(0, 20_000))
        assert eventually(lambda: case.read(path) > 20_000 - case.rate)
    assert case.read(path) == sink.samples == 20_000


def test_a_sink_that_is_dropped_leaves_no_thread(tmp_path: Path) -> None:
    sink = csv(tmp_path / "a.csv")
    sink.on_next(ramp(0, 1))
    ref, names = weakref.ref(sink), {thread.name for thread in threading.enumerate()}
    assert "rxstream-a.csv-flush" in names
    with warnings.catch_warnings():
        # of the file, which Python closes then
        warnings.simplefilter("ignore", ResourceWarning)
        del sink
        assert eventually(lambda: gc.collect() >= 0 and ref() is None)
    assert eventually(
        lambda: "rxstream-a.csv-flush" not in {thread.name for thread in threading.enumerate()}
    )


# -- failures ---------------------------------------------------------------------------------


# EIO has no remedy of ours
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EIO])
@pytest.mark.parametrize("where", ["open", "write"])
def test_a_failure_has_path_and_cause(where: str, number: int, tmp_path: Path) -> None:
    forget_failures()
    sink = Held(tmp_path / "a", **{where: number})
    with pytest.raises(SinkError, match=re.escape(os.strerror(number))) as raised:
        sink.on_next(ramp(0, 5))
    assert str(tmp_path / "a") in str(raised.value)
    assert raised.value.errno == number
    assert sink.closed
    assert not is_open(tmp_path / "a")
    assert where == "write" or not (tmp_path / "a").exists()
    assert [os.strerror(number) in line for line in failed()] == [True]


@pytest.mark.parametrize("call", [lambda sink: sink.on_next(ramp(5, 5)), lambda sink: sink.close()])
def test_a_failure_between_chunks_is_logged_once_and_raised_by_the_next_call(
    call: Callable[[Sink], None], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sink = Held(tmp_path / "a", flush=errno.ENOSPC)
    sink.on_next(ramp(0, 5))
    assert sink.wait(10)
    (record,) = [record for record in caplog.records if record.levelname == "ERROR"]
    assert "No space left on device" in record.message
    assert isinstance(sink.error, SinkError)
    assert sink.samples == 0
    assert not is_open(tmp_path / "a")
    with pytest.raises(SinkError, match="No space left on device"):
        call(sink)
    sink.close()
    with pytest.raises(RxStreamError, match="is closed"):
        sink.on_next(ramp(5, 5))


def removed(path: Path) -> None:
    path.unlink()


def replaced(path: Path) -> None:
    path.unlink()
    # so that the new file cannot have the old one's number
    (path.parent / "other").write_text("")
    path.write_text("another program's")


def without_folder(path: Path) -> None:
    shutil.rmtree(path.parent)


@pytest.mark.parametrize("happens", [removed, replaced, without_folder])
@pytest.mark.parametrize("name", ["wav", "flac", "csv"])
def test_a_file_that_is_removed_ends_its_sink(
    name: str, happens: Callable[[Path], None], tmp_path: Path
) -> None:
    case = CASES[name]
    folder = tmp_path / "folder"
    folder.mkdir()
    path = folder / f"a{case.suffix}"
    sink = case.sink(path)
    sink.on_next(case.chunk(0, 100))
    happens(path)
    assert sink.wait(10)
    assert "was removed, moved or replaced" in str(sink.error)
    assert not is_open(path)


def test_a_file_that_is_removed_is_logged_once_in_a_line(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    sink, subject = csv(tmp_path / "a.csv"), TimeWindowSubject(60.0)
    subject.subscribe(sink)
    subject.on_next(ramp(0, 10))
    assert eventually(lambda: sink.samples == 10)
    (tmp_path / "a.csv").unlink()
    assert sink.wait(10)
    subject.on_next(ramp(10, 10))
    assert eventually(lambda: not subject.log.cursors())
    subject.on_completed()
    assert [r.exc_info for r in caplog.records if "was removed" in r.getMessage()] == [None]


@pytest.mark.parametrize("goes_on", [True, False])
@pytest.mark.parametrize("size", [0, 100])
@pytest.mark.parametrize(
    "name", ["wav", "flac", "csv", "blf", "asc", "zipped asc", "sqlite", "avi", "mkv", "mp4"]
)
def test_a_file_that_another_program_cuts_ends_its_sink(
    name: str, size: int, goes_on: bool, tmp_path: Path
) -> None:
    case = CASES[name]
    path = tmp_path / f"a{case.suffix}"
    sink: Any = case.sink(path)
    sink.on_next(case.chunk(0, 50))
    with sink._guard:
        sink._flush()
        os.truncate(path, size)
    i = 50
    while not sink.wait(0.05):
        if goes_on:
            with suppress(SinkError):
                sink.on_next(case.chunk(i, i + 10))
        i += 10
        assert i < 5000
    assert "another program has cut it" in str(sink.error)
    # SQLite makes its file whole again when it is closed
    assert path.stat().st_size == size or name == "sqlite"
    assert not is_open(path)


def test_a_file_that_is_removed_at_last_is_no_success(tmp_path: Path) -> None:
    sink = csv(tmp_path / "a.csv")
    sink.on_next(ramp(0, 5))
    (tmp_path / "a.csv").unlink()
    with pytest.raises(SinkError, match="was removed"):
        sink.close()


def test_the_program_may_change_its_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "other").mkdir()
    monkeypatch.chdir(tmp_path)
    with csv("a.csv", rotate=1.0) as sink:
        sink.on_next(ramp(0, 500))
        monkeypatch.chdir(tmp_path / "other")
        sink.on_next(ramp(500, 1000))
        flush(sink)
    assert {path.name for path in tmp_path.iterdir()} == {
        "other", "a_19700101T000000-000Z.csv", "a_19700101T000001-000Z.csv",
    }  # fmt: skip


def test_a_folder_that_goes_before_the_first_chunk(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    folder.mkdir()
    sink = wav(folder / "a.wav")
    folder.rmdir()
    with pytest.raises(SinkError, match=r"No such file or directory; make the folder"):
        sink.on_next(SOUND(0, 10))


def test_without_permission(tmp_path: Path) -> None:
    """As nobody, for root may write everywhere."""
    tmp_path.chmod(0o755)
    code = (
        "import os, sys\n"
        "from rxstream.errors import ParameterError\n"
        "from rxstream.sinks.paths import path_to_write\n"
        "if os.geteuid() == 0: os.setuid(65534)\n"
        "try: path_to_write(sys.argv[1])\n"
        "except ParameterError as error: print(error)\n"
    )
    (tmp_path / "locked").mkdir(mode=0o555)
    # a folder of pytest's own is closed to nobody else: go in by its descriptor
    result = subprocess.run(
        [sys.executable, "-c", code, "a.csv"], capture_output=True, text=True, check=True,
        cwd=tmp_path / "locked",
    )  # fmt: skip
    assert "cannot be written; choose another folder" in result.stdout


@pytest.mark.parametrize(
    ("name", "words"),
    [("x" * 300, "File name too long; choose a shorter name"), ("a\0b", "path must be that of")],
)
def test_names_that_cannot_be(name: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(ParameterError, match=words):
        path_to_write(tmp_path / name)


# -- one path, one subscription ---------------------------------------------------------------


def test_one_open_sink_a_path(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    (tmp_path / "link").symlink_to(tmp_path)
    first = csv(path)
    first.on_next(ramp(0, 5))
    second = csv(tmp_path / "link" / "a.csv")
    with pytest.raises(ParameterError, match=r"another open sink writes .*a.csv; close that one"):
        second.on_next(ramp(0, 5))
    other = CASES["can csv"]
    with pytest.raises(ParameterError, match="another open sink writes"):
        Device(Manual()).subscribe(other.sink(path))
    first.close()
    assert path.read_text().count("\n") == 6
    with csv(path) as third:
        third.on_next(ramp(0, 1))


def test_a_sink_that_was_never_used_holds_no_path(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    kept = csv(path)
    with csv(path) as sink:
        sink.on_next(ramp(0, 1))
    with kept:
        kept.on_next(ramp(0, 2))


@pytest.mark.parametrize("make", [lambda _: callback(print), lambda path: csv(path / "a.csv")])
def test_a_second_subscription_is_refused(make: Callable[[Path], Sink], tmp_path: Path) -> None:
    sink, device = make(tmp_path), Device(Manual())
    subscription = device.subscribe(sink)
    with pytest.raises(RxStreamError, match="is subscribed already, and would write everything"):
        device.pipe(lambda stream: stream).subscribe(sink)
    subscription.dispose()
    with pytest.raises(RxStreamError, match="is closed"):
        device.subscribe(sink)


def test_disposing_closes_the_file(tmp_path: Path) -> None:
    source, path = Manual(), tmp_path / "a.csv"
    device, sink = Device(source), csv(path)
    with device:
        subscription = device.subscribe(sink)
        source.emit(np.arange(5))
        assert eventually(lambda: sink.samples == 5)
        assert is_open(path)
        subscription.dispose()
        assert sink.closed
        assert not is_open(path)
        # the path is free again
        with csv(path) as again:
            again.on_next(ramp(0, 1))


def test_a_subscription_that_fails_leaves_no_claim(tmp_path: Path) -> None:
    device, path = Device(Manual()), tmp_path / "a.csv"
    stream: Any = device.on_lag("block")
    sink = csv(path)
    stream.subscribe(sink, scheduler=rx.scheduler.VirtualTimeScheduler())
    assert isinstance(sink.error, ParameterError)
    assert sink.closed
    with csv(path) as again:
        again.on_next(ramp(0, 1))


SCARCE = """
import resource, sys
from pathlib import Path
from written_files import CASES, flush
from rxstream.errors import SinkError

case = CASES[sys.argv[1]]
sink = case.sink(Path(sys.argv[2]))
# numpy and all else that a chunk needs are there
chunk = case.chunk(0, 10)
resource.setrlimit(resource.RLIMIT_NOFILE, (64, 64))
hold = []
try:
    while True:
        hold.append(open("/dev/null"))
except OSError:
    pass
try:
    sink.on_next(chunk)
except SinkError as error:
    for file in hold:
        file.close()
    print(error)
"""


@pytest.mark.parametrize("name", ["wav", "flac", "csv", "blf", "asc", "sqlite", "avi", "mp4"])
def test_too_many_open_files_are_named_at_the_first_chunk(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"a{CASES[name].suffix}"
    support = Path(written_files.__file__).parent
    done = subprocess.run(
        [sys.executable, "-c", SCARCE, name, str(path)],
        capture_output=True, text=True, timeout=50, check=True,
        env=os.environ | {"PYTHONPATH": os.pathsep.join([str(support), *sys.path])},
    )  # fmt: skip
    assert done.stdout == (
        f"{path}: cannot be written: Too many open files; close other files, or raise the limit "
        "(ulimit -n)\n"
    )
    assert not path.exists()


# -- closing ----------------------------------------------------------------------------------


def test_closing_does_not_wait_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rxstream.sinks.base._PATIENCE", 0.1)
    entered, leave, done = threading.Event(), threading.Event(), threading.Event()

    def hang(_: Chunk) -> None:
        entered.set()
        leave.wait(30)

    sink = callback(hang, finish=done.set)
    worker = threading.Thread(target=sink.on_next, args=(ramp(0, 1),))
    worker.start()
    assert entered.wait(10)
    with pytest.raises(SinkError, match=r"has been writing one chunk for 0\.1 s"):
        sink.close()
    assert not sink.closed
    # when the write returns, its thread closes the sink
    leave.set()
    worker.join(10)
    assert done.is_set()
    assert sink.closed
    assert sink.samples == 1
