"""What a process does to devices: threads that end, forks, the end of the program."""

import logging
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from fakes import eventually
from reactivex.scheduler import ImmediateScheduler

from rxstream.acquisition.polling import poll
from rxstream.errors import DeviceLostError
from rxstream.window.janitor import Janitor

pytestmark = pytest.mark.real

here = ImmediateScheduler()


def run(script: str, tmp_path: Path) -> subprocess.CompletedProcess[str]:
    path = tmp_path / "script.py"
    path.write_text(script)
    return subprocess.run(
        [sys.executable, str(path)], capture_output=True, text=True, timeout=50, check=False
    )


def test_a_program_that_ends_closes_what_is_open(tmp_path: Path) -> None:
    """The last chunks reach their sinks, and no thread dies in the middle of a line."""
    result = run(
        """
import threading, numpy as np
from rxstream import Device
from rxstream.devices.simulated import Simulated
device, some = Device(Simulated(rate=1000.0)), threading.Event()
def take(chunk):
    print(len(chunk), flush=True)
    some.set()
device.subscribe(take, on_completed=lambda: print("complete"))
device.open()
some.wait(20)
""",
        tmp_path,
    )
    assert result.stderr == ""
    assert result.returncode == 0
    assert result.stdout.splitlines()[-1] == "complete"


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
def test_a_forked_child_can_open_devices_of_its_own(tmp_path: Path) -> None:
    result = run(
        """
import os, sys, threading, warnings
warnings.simplefilter("ignore")
import numpy as np
from rxstream import Chunk, Device, StreamInfo, TimeWindowSubject
from rxstream.devices.simulated import Simulated
info = StreamInfo("x", 1000.0, (), np.int64)
def fill():
    subject = TimeWindowSubject(0.05)
    subject.on_next(Chunk.regular(np.arange(10), info, start=0))
    return subject
parent, device = fill(), Device(Simulated(rate=1000.0)).open()
child = os.fork()
if child == 0:
    subject, tick = fill(), threading.Event()
    for _ in range(2000):
        if subject.log.nbytes == 0:
            break
        tick.wait(0.005)
    with Device(Simulated(rate=1000.0)) as other, other.reader() as reader:
        assert len(reader.read(10, timeout=20)) == 10
    sys.exit(0 if subject.log.nbytes == 0 else 3)
_, status = os.waitpid(child, 0)
assert device.state == "open"
device.close()
sys.exit(os.waitstatus_to_exitcode(status))
""",
        tmp_path,
    )
    assert result.stderr == ""
    assert result.returncode == 0


def test_the_janitor_survives_what_it_calls(caplog: pytest.LogCaptureFixture) -> None:
    class Called:
        def __init__(self) -> None:
            self.done = threading.Event()

        def fail(self) -> bool:
            raise RuntimeError("broken")

        def call(self) -> bool:
            self.done.set()
            return True

    janitor, bad, good = Janitor(), Called(), Called()
    with caplog.at_level(logging.ERROR):
        cancel_bad = janitor.watch(bad.fail, 0.001)
        assert eventually(lambda: "broken" in caplog.text)
    cancel = janitor.watch(good.call, 0.001)
    assert good.done.wait(10)
    cancel_bad()
    cancel()


def test_a_thread_that_ends_without_an_exception_is_told() -> None:
    """asyncio's CancelledError, SystemExit: no `Exception`, and the stream fell silent."""
    failures: list[Exception] = []
    for error in (SystemExit(3), KeyboardInterrupt()):
        done = threading.Event()

        def read(error: BaseException = error) -> None:
            raise error

        def fail(error: Exception, done: threading.Event = done) -> None:
            failures.append(error)
            done.set()

        close = poll(read, print, fail, name="quitter")
        assert done.wait(10)
        close()
    assert [type(error) for error in failures] == [DeviceLostError] * 2
    assert "SystemExit: 3" in str(failures[0])
