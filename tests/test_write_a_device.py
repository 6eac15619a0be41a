"""What the how-to of devices shows runs as it stands, and keeps the rules."""

import logging
import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

import pytest
from counterparts import TcpServer, free_port
from ptys import PtyLine, pty_line

from rxstream import Device
from rxstream.testing import check_source

pytestmark = pytest.mark.real


class Writer:
    """Writes ten lines a second to a serial line."""

    def __init__(self, line: PtyLine) -> None:
        self._line, self._over = line, threading.Event()
        self._thread = threading.Thread(target=self._write)

    def _write(self) -> None:
        while not self._over.wait(0.1):
            self._line.write(b"20.5\n")

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._over.set()
        self._thread.join()


TEXT = Path(__file__).parent.parent / "docs" / "write-a-device.md"


@pytest.fixture(scope="module")
def page() -> Iterator[ModuleType]:
    """Give all blocks of the page as one module."""
    module = ModuleType("write_a_device")
    sys.modules[module.__name__] = module
    for block in re.findall(r"```python\n(.*?)```", TEXT.read_text(encoding="utf-8"), re.DOTALL):
        exec(block, module.__dict__)
    yield module
    del sys.modules[module.__name__]


def test_the_thermometer_takes_whole_lines_and_counts_bad_ones(page: ModuleType) -> None:
    with pty_line() as line:
        device = Device(page.Thermometer(line.path), timestamps="arrival")
        with device, device.reader() as reader:
            for text in (b"0.5\n20.5\n20.", b"6\n20", b".7\nx9\n\n20.8\n2"):
                line.write(text)
            chunk = reader.read(4, timeout=20)
    assert chunk.data.tolist() == [20.5, 20.6, 20.7, 20.8]
    assert [(at.position, at.gap.lost) for at in chunk.gap_positions] == [(3, 2)]


def test_the_thermometer_keeps_the_rules(page: ModuleType) -> None:
    with pty_line() as line:
        check_source(
            lambda: page.Thermometer(line.path),
            # the first line of an opening may have begun before it
            feed=lambda: line.write(b"20.5\n"), unplug=line.unplug,
            absent=lambda: page.Thermometer("/dev/nowhere"),
        )  # fmt: skip


def test_the_thermometer_is_watched(page: ModuleType, monkeypatch: pytest.MonkeyPatch) -> None:
    class EnoughError(Exception):
        pass

    def print_one(chunk: object) -> None:
        said.append(chunk)
        raise EnoughError

    said: list[object] = []
    monkeypatch.setattr(page, "print", print_one, raising=False)
    with pty_line() as line, Writer(line), pytest.raises(EnoughError):
        page.watch(line.path)
    assert str(said[0]).startswith("<Chunk thermometer")


def test_records_keep_the_rules(page: ModuleType) -> None:
    log = logging.getLogger("of a test")
    log.propagate = False
    check_source(lambda: page.LogRecords("of a test"), feed=lambda: log.warning("%s", "x" * 300))


def test_remote_lines_keep_the_rules(page: ModuleType) -> None:
    with TcpServer() as server:
        check_source(
            lambda: page.RemoteLines("127.0.0.1", server.port),
            unplug=server.unplug, plug=server.plug,
            absent=lambda: page.RemoteLines("127.0.0.1", free_port()),
        )  # fmt: skip


def test_the_load_and_the_noise_keep_the_rules(page: ModuleType) -> None:
    page.test_my_device()
    check_source(page.Noise, absent=lambda: page.Noise(path="/dev/nowhere"))
