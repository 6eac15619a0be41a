"""OutputFile: whole pieces, whole lines, and what is on disk at every moment."""

import resource
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rxstream.sinks.output_file import OutputFile


class Watched(OutputFile):
    """Notes each write."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.writes: list[tuple[int, bytes]] = []

    def write(self, data: Any) -> None:
        self.writes.append((self.size, bytes(data)))
        super().write(data)


@contextmanager
def limited(size: int) -> Iterator[None]:
    """Let no file grow beyond a size, as a full disk would."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, handler)


def test_what_is_written_is_in_the_file_at_once(tmp_path: Path) -> None:
    path = tmp_path / "a"
    file = OutputFile(path)
    file.append(b"abc")
    file.append(memoryview(b"de"))
    assert path.read_bytes() == b"abcde"
    file.patch(1, b"XY")
    file.append(b"f")
    assert path.read_bytes() == b"aXYdef"
    file.truncate(2)
    file.append(b"g")
    assert path.read_bytes() == b"aXg"
    assert file.size == 3
    file.close()
    file.close()


@given(st.lists(st.lists(st.integers(0, 9000), max_size=12), max_size=6))
def test_lines_are_written_page_by_page(pieces: list[list[int]]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        file, whole = Watched(Path(folder, "a")), b""
        for lengths in pieces:
            lines = b"".join(bytes([97 + n % 26]) * n + b"\n" for n in lengths)
            file.append_lines(lines)
            whole += lines
        assert Path(folder, "a").read_bytes() == whole
        file.close()
    for begin, data in file.writes:
        assert data.endswith(b"\n")
        same_page = begin // 4096 == (begin + len(data) - 1) // 4096
        assert same_page or data.count(b"\n") == 1


@pytest.mark.parametrize("append", [OutputFile.append, OutputFile.append_lines])
def test_what_cannot_be_written_whole_is_not_there(append: Any, tmp_path: Path) -> None:
    file = OutputFile(tmp_path / "a")
    append(file, b"whole\n" * 100)
    with limited(5000), pytest.raises(OSError, match="File too large"):
        append(file, b"a line\n" * 2000)
    assert (tmp_path / "a").read_bytes() == b"whole\n" * 100
    assert file.size == 600
    append(file, b"more\n")
    assert (tmp_path / "a").read_bytes() == b"whole\n" * 100 + b"more\n"
    file.close()


def test_a_device_of_the_system_is_not_deleted(tmp_path: Path) -> None:
    # by a link: if this fails, that alone is gone
    path = tmp_path / "full"
    path.symlink_to("/dev/full")
    with pytest.raises(OSError, match="No space left"):
        OutputFile.begin(path, b"head")
    assert path.is_symlink()
