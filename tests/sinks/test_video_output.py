"""VideoOutput: pieces of a muxer, the end for the time being, and writes that fail."""

import errno
import os
import random
from pathlib import Path
from typing import Any

import pytest

from rxstream.sinks.video_output import VideoOutput


def test_a_tail_is_there_until_the_muxer_writes_more(tmp_path: Path) -> None:
    path = tmp_path / "a"
    out = VideoOutput(path)
    out.write(b"head")
    out.push()
    out.set_tail(b"frames that wait")
    assert path.read_bytes() == b"headframes that wait"
    out.set_tail(b"fewer")
    assert path.read_bytes() == b"headfewer"
    out.write(b"one")
    out.write(b"two")
    assert path.read_bytes() == b"headfewer"  # a piece comes whole
    out.push()
    assert path.read_bytes() == b"headonetwo"
    out.close()


def test_heads_are_written_over_and_the_tail_stays(tmp_path: Path) -> None:
    out = VideoOutput(tmp_path / "a")
    out.write(b"0123456789")
    out.push()
    out.set_tail(b"tail")
    out.seek(2)
    out.write(b"ab")
    assert out.tell() == 4
    assert out.seek(0, os.SEEK_END) == 10
    out.patch(8, b"Z")
    assert (tmp_path / "a").read_bytes() == b"01ab4567Z9tail"
    out.close()


@pytest.mark.parametrize("seed", range(50))
def test_it_is_a_file(tmp_path: Path, seed: int) -> None:
    rng, path = random.Random(seed), tmp_path / "a"
    out, model, at = VideoOutput(path), bytearray(), 0
    for _ in range(60):
        if rng.random() < 0.2:
            at = rng.randrange(len(model) + 1)
            out.seek(at)
        elif rng.random() < 0.2:
            tail = rng.randbytes(rng.randrange(20))
            out.push()
            out.set_tail(tail)
            assert path.read_bytes() == bytes(model) + tail
        else:
            data = rng.randbytes(rng.randrange(1, 30))
            out.write(data)
            model[at : at + len(data)] = data
            at += len(data)
            assert out.tell() == at
    out.seek(0)
    out.close()
    assert path.read_bytes()[: len(model)] == bytes(model)


class Full:
    """A file that cannot grow beyond a size; stands for a full disk, at a moment of our choice."""

    def __init__(self, file: Any, size: int) -> None:
        self._file, self._size = file, size

    def write(self, data: memoryview) -> int:
        part = data[: max(0, self._size - self._file.tell())]
        if not part and data:
            raise OSError(errno.ENOSPC, "No space left on device")
        return int(self._file.write(part))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


@pytest.mark.parametrize("tail", [False, True])
def test_a_write_that_fails_leaves_what_was_there(tmp_path: Path, tail: bool) -> None:
    path = tmp_path / "a"
    out: Any = VideoOutput(path)
    out.write(b"head")
    out.push()
    out.set_tail(b"frames")
    out._file = Full(out._file, 12)
    out.write(b"" if tail else b"a whole cluster")
    with pytest.raises(OSError, match="No space left"):
        out.set_tail(b"more frames") if tail else out.push()
    assert path.read_bytes() == b"headframes"
    # and nothing more is taken
    out.write(b"end")
    out.push()
    out.set_tail(b"end")
    out.close()
    assert path.read_bytes() == b"headframes"
