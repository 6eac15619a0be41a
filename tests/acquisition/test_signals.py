"""The end of a program with open devices: by signals, by drivers that raise or hang; and forks."""

import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest
from programs import running

import rxstream
from rxstream.errors import RxStreamError

pytestmark = [
    pytest.mark.real,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="signals, forks"),
]

HEAD = """
import os, sys, threading, time, warnings
warnings.simplefilter("ignore")
import numpy as np
import rxstream
from rxstream import Device, StreamInfo, sinks

class Source:
    live = True
    def __init__(self, name="x", bad=""):
        self.info, self.bad = StreamInfo(name, rate=1000.0, dtype=np.int64), bad
    def open(self, emit, fail):
        stop = threading.Event()
        def run():
            k = 0
            while not stop.wait(0.01):
                emit(np.arange(k, k + 10))
                k += 10
        thread = threading.Thread(target=run, daemon=True)
        if self.bad != "silent":
            thread.start()
        def close():
            stop.set()
            if self.bad != "silent":
                thread.join()
            if self.bad == "raise":
                raise RuntimeError("cannot close")
            if self.bad == "hang":
                time.sleep(1000)
        return close

def asleep():
    # A signal that comes just before a sleep does not end it: Python handles it after the sleep.
    for _ in range(1000):
        time.sleep(0.05)
"""

WRITING = (
    HEAD
    + """
rxstream.close_on_signals()
device, sink = Device(Source()), sinks.csv(sys.argv[1])
device.subscribe(sink)
some = threading.Event()
device.subscribe(lambda chunk: chunk.index >= 100 and some.set())
device.open()
def ready():
    some.wait(20)
    print("ready", flush=True)
"""
)

MAIN = {
    "asleep": "ready(); asleep()",
    "in a block": "with device:\n    ready()\n    for _ in device: pass",
    # what `threading.Thread.start` needs
    "inside a lock": "ready()\nwith threading._active_limbo_lock:\n    while True: pass",
    "on an event loop": """
import asyncio
async def main():
    ready()
    async for _ in device: pass
asyncio.run(main())
""",
    # the main program is over, and waits for a thread
    "at its end": "threading.Thread(target=lambda: (ready(), list(device))).start()",
}


@pytest.mark.parametrize("where", MAIN)
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_a_program_with_its_files_complete(
    where: str, number: signal.Signals, tmp_path: Path
) -> None:
    program, path = tmp_path / "program.py", tmp_path / "x.csv"
    program.write_text(WRITING + MAIN[where])
    with running([sys.executable, program, path]) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(number)
        _, errors = process.communicate(timeout=30)
    assert errors == ""
    # at its end nobody takes an exit code any more
    assert process.returncode == (-number if where == "at its end" else 128 + number)
    values = [int(row.rsplit(",", 1)[1]) for row in path.read_text().splitlines()[1:]]
    assert len(values) >= 100
    assert values == list(range(len(values)))


def test_a_second_signal_ends_it_at_once(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(WRITING + "try: ready(); asleep()\nfinally: ready(); asleep()")
    with running([sys.executable, program, tmp_path / "x.csv"], stderr=None) as process:
        assert process.stdout is not None
        for _ in range(2):
            assert process.stdout.readline() == "ready\n"
            process.send_signal(signal.SIGTERM)
        assert process.wait(20) == -signal.SIGTERM


AT_ONCE = (
    HEAD
    + """
import atexit
atexit.register(lambda: print(rxstream.failed(), flush=True))
rxstream.close_on_signals()
with Device(Source(bad=sys.argv[1])) as device:
    taken = threading.Event()
    if sys.argv[1] == "":
        device.subscribe(lambda _: (taken.set(), time.sleep(1000)))
        taken.wait(20)
        time.sleep(0.1)
    print("ready", flush=True)
    asleep()
"""
)


@pytest.mark.parametrize("bad", ["raise", ""])
def test_what_cannot_be_closed_is_told_once_and_keeps_the_exit_code(
    bad: str, tmp_path: Path
) -> None:
    """The block and the signal close it at the same time, and either is told what goes wrong."""
    program = tmp_path / "program.py"
    program.write_text(AT_ONCE)
    with running([sys.executable, program, bad]) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGTERM)
        failures, errors = process.communicate(timeout=30)
    assert process.returncode == 128 + signal.SIGTERM
    if bad:
        assert failures == "('x: DeviceError: RuntimeError: cannot close',)\n"
    else:
        assert failures == "()\n"
        (line,) = [line for line in errors.splitlines() if "is still busy" in line]
        assert int(line.split("with ")[1].split()[0]) > 5


@pytest.mark.parametrize("kind", ["SIG_IGN", "mine"])
def test_what_the_program_does_with_a_signal_stays(kind: str, tmp_path: Path) -> None:
    """Under nohup SIGHUP is ignored."""
    program = tmp_path / "program.py"
    program.write_text(
        "import signal, rxstream\n"
        "def mine(*_): pass\n"
        f"handler = signal.SIG_IGN if {kind!r} == 'SIG_IGN' else mine\n"
        "signal.signal(signal.SIGHUP, handler)\n"
        "rxstream.close_on_signals()\n"
        "assert signal.getsignal(signal.SIGHUP) is handler\n"
        "assert signal.getsignal(signal.SIGTERM) not in (signal.SIG_DFL, signal.SIG_IGN)\n"
    )
    subprocess.run([sys.executable, program], check=True, timeout=30)


def test_signals_belong_to_the_main_thread() -> None:
    errors: list[Exception] = []

    def call() -> None:
        try:
            rxstream.close_on_signals()
        except RxStreamError as error:
            errors.append(error)

    thread = threading.Thread(target=call)
    thread.start()
    thread.join(10)
    assert "main thread" in str(errors[0])


ENDING = """
import atexit, sys
sinks_made = []
# before rxstream registers its own: what is registered first runs last
atexit.register(lambda: print(sum(sink.closed for sink in sinks_made), rxstream.failed()))
""" + (
    HEAD
    + """
devices = []
for k, bad in enumerate(["", "", "silent", sys.argv[2], sys.argv[2], sys.argv[2]]):
    device, sink = Device(Source(f"d{k}", bad)), sinks.csv(f"{sys.argv[1]}/{k}.csv")
    device.subscribe(sink)
    sinks_made.append(sink)
    devices.append(device.open())
if sys.argv[2] == "busy":
    devices[3].subscribe(lambda _: time.sleep(1000))
time.sleep(0.3)
"""
)


@pytest.mark.parametrize("bad", ["raise", "hang", "busy"])
def test_at_exit_each_device_is_closed_whatever_the_others_do(bad: str, tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(ENDING)
    begin = time.monotonic()
    result = subprocess.run(
        [sys.executable, program, tmp_path, bad],
        capture_output=True, text=True, timeout=50, check=True,
    )  # fmt: skip
    took = time.monotonic() - begin
    closed, _, failures = result.stdout.partition(" ")
    # one that hangs is given up after 5 s, and may or may not be so by then
    assert 3 <= int(closed) <= 6
    assert bad == "hang" or closed == "6"
    assert took < 15
    if bad == "raise":
        assert "d3: DeviceError: RuntimeError: cannot close" in failures
        assert "closing it at the end of the program failed: d3: RuntimeError" in result.stderr
    if bad == "hang":
        assert "not closed within 5 s: d" in result.stderr
    if bad == "busy":
        assert "subscriber d3-" in result.stderr


FORKED = (
    HEAD
    + """
from rxstream.errors import DeviceError
used, fresh = Device(Source()), Device(Source("fresh"))
reader, subscription = used.reader(), used.subscribe(lambda _: None)
used.open()
time.sleep(0.1)
held = [used._guard, used._life, used._subject._guard, used.log._lock, used.faults._lock]

def hold():
    for lock in held:
        lock.acquire()
    ready.set()
    time.sleep(1000)

ready = threading.Event()
threading.Thread(target=hold, daemon=True).start()
ready.wait(20)
child = os.fork()
if child:
    os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

def fails(call):
    begin = time.monotonic()
    try:
        call()
    except DeviceError as error:
        assert "opened in the parent process" in str(error), error
    else:
        raise AssertionError(call)
    assert time.monotonic() - begin < 1, call

for call in (
    lambda: used.last(1), lambda: used.between(0, 1), lambda: used.at(0), lambda: used.past(1),
    lambda: used.rewind(1), used.reader, lambda: used.reader(rewind=1), lambda: list(used),
    lambda: used.wait(1), lambda: reader.read(1), lambda: list(reader),
):
    fails(call)
errors = []
used.subscribe(print, errors.append)
assert "opened in the parent process" in str(errors[0])
assert used.state == "closed"
assert "opened in the parent process" in str(used.stats())
assert "opened in the parent process" in repr(used)
assert len(used.faults) == 0
subscription.dispose()
used.close()
for device in (fresh, used):
    with device, device.reader() as again:
        assert len(again.read(20, timeout=20)) == 20
    assert device.error is None
sys.exit(7)
"""
)


def test_an_inherited_device_says_so_and_asks_no_lock_of_the_parent(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(FORKED)
    result = subprocess.run(
        [sys.executable, program], capture_output=True, text=True, timeout=50, check=False
    )
    assert (result.returncode, result.stderr) == (7, "")


def test_a_forked_child_begins_without_failures(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(
        HEAD
        + "from rxstream.acquisition.failures import note_failure\n"
        + "note_failure('mic', OSError('gone'))\n"
        + "assert rxstream.failed()\n"
        + "child = os.fork()\n"
        + "if not child: os._exit(len(rxstream.failed()))\n"
        + "sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))\n"
    )
    subprocess.run([sys.executable, program], check=True, timeout=50)
