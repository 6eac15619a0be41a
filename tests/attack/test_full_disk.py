"""Disks that are full: the write that fails says so, what is said to be written can be read."""

import errno
import os
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from campaign import seeds
from fakes import Manual, eventually
from written_files import CASES, Case

from rxstream import Device, failed, sinks
from rxstream.acquisition.failures import forget_failures
from rxstream.errors import ParameterError, SinkError, SubscriberError

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not sys.platform.startswith("linux") or os.geteuid() != 0,
        reason="a small disk is mounted: Linux, root",
    ),
]

MANY = 50_000  # chunks, of which no small disk holds so many


class Disk:
    """A small disk."""

    def __init__(self, folder: Path, size: int) -> None:
        self.path = folder
        folder.mkdir()
        mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", folder]
        result = subprocess.run(mount, capture_output=True, text=True, check=False)
        if result.returncode:
            pytest.skip(f"no small disk can be mounted: {result.stderr}")

    def open_files(self) -> list[str]:
        """Return what this process has open on it."""
        found = []
        for number in os.listdir("/proc/self/fd"):
            try:
                found.append(os.readlink(f"/proc/self/fd/{number}"))
            except OSError:
                continue
        return [file for file in found if file.startswith(str(self.path))]

    def remove(self) -> None:
        """Unmount it, also if a test that failed has left something open."""
        subprocess.run(["umount", "-l", self.path], check=True)


@pytest.fixture
def disk(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Disk]:
    found = Disk(tmp_path / "disk", random.Random(request.node.name).randrange(100_000, 400_000))
    try:
        yield found
    finally:
        found.remove()


def write_until_full(case: Case, sink: sinks.Sink, count: int) -> tuple[int, SinkError]:
    """Return how many samples the sink has taken before it raised, and its error."""
    for k in range(MANY):
        try:
            sink.on_next(case.chunk(k * count, (k + 1) * count))
        except SinkError as error:
            return k * count, error
    raise AssertionError(f"{MANY * count} samples written to a small disk")


@pytest.mark.parametrize("seed", seeds(10))
@pytest.mark.parametrize("name", CASES)
def test_a_full_disk_is_reported_by_the_write_that_fails(name: str, seed: int, disk: Disk) -> None:
    # of all failures of a process the first hundred are kept
    forget_failures()
    case = CASES[name]
    path = disk.path / f"{seed}{case.suffix}"
    count = random.Random(seed).randrange(1, 1 + max(1, round(case.rate / 5)))
    sink = case.sink(path)
    given, error = write_until_full(case, sink, count)
    assert error.errno == errno.ENOSPC
    file = rf"{re.escape(str(path.with_suffix('')))}\S*"
    assert re.search(rf"{file}: .*No space left on device; free some space", str(error))
    assert sink.closed
    assert sink.error is error
    assert not disk.open_files()
    assert [str(disk.path) in line for line in failed()] == [True]
    # what the sink says is written, is
    assert sink.samples <= given + count
    assert case.read(path) == sink.samples


def test_others_go_on(disk: Disk, tmp_path: Path) -> None:
    source = Manual()
    device = Device(source)
    full, good = sinks.csv(disk.path / "a.csv"), sinks.csv(tmp_path / "b.csv")
    device.subscribe(full)
    device.subscribe(good)
    with device:
        for k in range(MANY):
            source.emit(np.arange(1000 * k, 1000 * k + 1000))
            # a window has room for a minute, so that neither falls behind
            assert eventually(lambda n=1000 * k: good.samples > n - 10_000)
            if full.closed:
                break
        assert eventually(lambda: list(device.faults))
        assert not good.closed
    (fault,) = device.faults
    assert isinstance(fault, SubscriberError)
    assert "No space left on device" in str(fault)
    assert good.samples == 1000 * (k + 1)
    assert good.wait(10)
    assert good.error is None


@pytest.mark.parametrize("name", CASES)
def test_a_disk_that_is_read_only_is_refused_at_once(name: str, disk: Disk) -> None:
    subprocess.run(["mount", "-o", "remount,ro", disk.path], check=True)
    with pytest.raises(ParameterError, match="cannot be written; choose another folder"):
        CASES[name].sink(disk.path / f"a{CASES[name].suffix}")


@pytest.mark.parametrize("name", CASES)
def test_a_disk_that_becomes_read_only(name: str, disk: Disk) -> None:
    case = CASES[name]
    sink = case.sink(disk.path / f"a{case.suffix}")
    subprocess.run(["mount", "-o", "remount,ro", disk.path], check=True)
    with pytest.raises(SinkError, match=r"Read-only file system; choose a folder") as raised:
        sink.on_next(case.chunk(0, 10))
    assert str(disk.path) in str(raised.value)
    assert sink.samples == 0
