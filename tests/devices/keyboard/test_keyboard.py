"""Keyboard: keys typed into real pseudo-terminals."""

import datetime as dt
import os
import select
import subprocess
import sys
import termios
import textwrap
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from fakes import eventually
from hypothesis import given
from hypothesis import strategies as st
from ptys import PtyLine, pty_line

import rxstream
from rxstream import Chunk, Device
from rxstream import operators as ops
from rxstream.devices.keyboard import KEY_DTYPE, Keyboard, typed
from rxstream.devices.keyboard.decode import Decoder
from rxstream.devices.simulated import Simulated
from rxstream.errors import DeviceBusyError, DeviceLostError, DeviceNotFoundError, ParameterError

pytestmark = pytest.mark.real

if sys.platform == "win32":
    pytest.skip("there are no ptys", allow_module_level=True)


@pytest.fixture
def line() -> Iterator[PtyLine]:
    with pty_line() as found:
        yield found


def names(device: Device) -> list[str]:
    return [str(name) for name in device.last(60).data["key"]]


# -- what bytes mean ----------------------------------------------------------------------------

MEANING = {
    b"a": ["a"], b"Z~": ["Z", "~"], " é€😀".encode(): ["space", "é", "€", "😀"],
    b"\r": ["enter"], b"\n": ["enter"], b"\t": ["tab"], b"\x7f": ["backspace"],
    b"\x01\x1a": ["ctrl+a", "ctrl+z"], b"\x00": ["ctrl+space"],
    b"\x1b[A\x1b[B\x1b[C\x1b[D": ["up", "down", "right", "left"],
    b"\x1bOA\x1bOP\x1bOS": ["up", "f1", "f4"],
    b"\x1b[H\x1b[F\x1b[2~\x1b[3~\x1b[5~\x1b[6~":
        ["home", "end", "insert", "delete", "page_up", "page_down"],
    b"\x1b[15~\x1b[24~\x1b[[A\x1b[[E": ["f5", "f12", "f1", "f5"],
    b"\x1b[1;5C\x1b[1;2A\x1b[3;8~": ["ctrl+right", "shift+up", "ctrl+alt+shift+delete"],
    b"\x1bO5P\x1b[Z": ["ctrl+f1", "shift+tab"],
    b"\x1bx\x1b\x7f\x1b\x01": ["alt+x", "alt+backspace", "ctrl+alt+a"],
    b"\x1b\x1b[A": ["esc", "up"], b"\x1b[99~!": ["esc[99~", "!"],
    b"\xff": ["�"],
    # 8-bit control characters stand for Esc and a letter
    b"\xc2\x9bA\xc2\x85": ["up", "alt+E"],
    # Meta, as some terminals call Alt
    b"\x1b[1;9A\x1b[1;16B": ["alt+up", "ctrl+alt+shift+down"],
    # reports of a terminal, no keys: the cursor is in row 24, a mouse, it has the focus
    b"\x1b[24;80R\x1b[M !!\x1b[I": ["esc[24;80R", "esc[M", "space", "!", "!", "esc[I"],
    # the Linux console knows A to E
    b"\x1b[[Fx": ["esc[[", "F", "x"],
    b"\x1b[1;0A\x1b[1;17A\x1b[1;999A": ["esc[1;0A", "esc[1;17A", "esc[1;999A"],
    b"\x1b[0~\x1b[0000000005~": ["esc[0~", "esc[0000000005~"],
    # the longest sequence, and a longer one, which is none
    b"\x1b[" + b"1" * 27 + b"~": ["esc[" + "1" * 27 + "~"],
    b"\x1b[" + b"1" * 28 + b"~a": ["alt+[", *"1" * 28, "~", "a"],
    b"\x1b[200~x\x1b[201~": ["paste_begin", "x", "paste_end"],
    b"\x1b[200;8~": ["ctrl+alt+shift+paste_begin"],
}  # fmt: skip


@pytest.mark.parametrize("data", MEANING, ids=repr)
def test_bytes_are_keys_however_they_come(data: bytes) -> None:
    assert Decoder().feed(data) == MEANING[data]
    piecewise = Decoder()
    assert [k for i in range(len(data)) for k in piecewise.feed(data[i : i + 1])] == MEANING[data]
    assert not piecewise.waiting


@given(st.binary(max_size=40), st.lists(st.integers(0, 40), max_size=5))
def test_any_bytes_are_some_keys(data: bytes, cuts: list[int]) -> None:
    whole, pieces = Decoder(), Decoder()
    want = whole.feed(data) + whole.flush()
    places = [0, *sorted(cuts), len(data)]
    got = [k for a, b in pairwise(places) for k in pieces.feed(data[a:b])]
    assert got + pieces.flush() == want
    assert all(key for key in want)


def test_an_unfinished_sequence() -> None:
    for data, want in (
        (b"\x1b", ["esc"]), (b"\x1b[", ["alt+["]), (b"\x1b[1;", ["alt+[", "1", ";"]),
        (b"\x1bO5", ["alt+O", "5"]), (b"\x1b[[", ["esc[["]),
    ):  # fmt: skip
        decoder = Decoder()
        assert decoder.feed(data) == []
        assert decoder.waiting
        assert decoder.flush() == want
        assert decoder.flush() == []
        assert not decoder.waiting


# -- a terminal ---------------------------------------------------------------------------------


def test_keys_come_at_once_with_their_times(line: PtyLine) -> None:
    with Device(Keyboard(line.path)) as keys:
        line.write(b"hi")
        assert eventually(lambda: names(keys) == ["h", "i"])
        line.write("ö\x1b[A\n".encode())
        assert eventually(lambda: names(keys) == ["h", "i", "ö", "up", "enter"])
        chunk = keys.last(60)
        assert chunk.data.dtype == KEY_DTYPE
        assert chunk.data["pressed"].all()
        assert (np.diff(chunk.time) > 0).all()
        assert abs(int(chunk.time[0]) - time.time_ns()) < 60 * 10**9
        assert chunk.info.rate is None
        assert typed(chunk) == "hiö\n"


def test_the_key_esc_comes_when_nothing_follows(line: PtyLine) -> None:
    with Device(Keyboard(line.path)) as keys:
        line.write(b"\x1b")
        assert eventually(lambda: names(keys) == ["esc"])


def test_the_key_esc_is_not_late_behind_other_keys(line: PtyLine) -> None:
    with Device(Keyboard(line.path, heartbeat=30.0)) as keys:
        line.write(b"a\x1b")
        assert eventually(lambda: names(keys) == ["a", "esc"])


@pytest.mark.parametrize("heartbeat", [1e9, dt.timedelta(days=30)])
def test_a_wait_of_a_century_is_none_for_the_system(line: PtyLine, heartbeat: Any) -> None:
    with Device(Keyboard(line.path, heartbeat=heartbeat)) as keys:
        line.write(b"a")
        assert eventually(lambda: names(keys) == ["a"])


def test_the_longest_name_of_a_key_is_whole(line: PtyLine) -> None:
    with Device(Keyboard(line.path)) as keys:
        line.write(b"\x1b[200;8~\x1b[6;8~")
        want = ["ctrl+alt+shift+paste_begin", "ctrl+alt+shift+page_down"]
        assert eventually(lambda: names(keys) == want)


def test_heartbeats_end_a_session(line: PtyLine) -> None:
    sessions: list[Chunk[Any]] = []
    with Device(Keyboard(line.path, heartbeat=0.02)) as keys:
        keys.pipe(ops.sessions(0.2)).subscribe(sessions.append)
        line.write(b"one")
        assert eventually(lambda: len(sessions) == 1)
        assert typed(sessions[0]) == "one"
        assert keys.last(0).end > int(sessions[0].time[-1]) + 2 * 10**8


def test_the_terminal_is_left_as_it_was(line: PtyLine) -> None:
    fd = os.open(line.path, os.O_RDWR | os.O_NOCTTY)
    mode = termios.tcgetattr(fd)
    mode[3] |= termios.ICANON | termios.ECHO | termios.ISIG
    termios.tcsetattr(fd, termios.TCSANOW, mode)
    before = termios.tcgetattr(fd)
    with Device(Keyboard(fd, echo=False)):
        inside = termios.tcgetattr(fd)
        assert not inside[3] & (termios.ICANON | termios.ECHO)
        assert inside[3] & termios.ISIG
    assert termios.tcgetattr(fd) == before
    with Device(Keyboard(fd, signals=False, echo=True)):
        inside = termios.tcgetattr(fd)
        assert inside[3] & termios.ECHO
        assert not inside[3] & termios.ISIG
    assert termios.tcgetattr(fd) == before
    os.close(fd)


def test_it_opens_again(line: PtyLine) -> None:
    keys = Device(Keyboard(line.path))
    for _ in range(3):
        with keys:
            line.write(b"x")
            assert eventually(lambda: names(keys) == ["x"])


def test_a_terminal_that_goes_is_lost(line: PtyLine) -> None:
    errors: list[Exception] = []
    keys = Device(Keyboard(line.path))
    keys.subscribe(lambda _: None, errors.append)
    with keys:
        line.unplug()
        assert eventually(lambda: errors)
        assert isinstance(errors[0], DeviceLostError)
        assert "the terminal is gone" in str(errors[0])


def test_two_cannot_read_one_terminal(line: PtyLine) -> None:
    with (
        Device(Keyboard(line.path)),
        pytest.raises(DeviceBusyError, match="another Keyboard of this program"),
    ):
        Device(Keyboard(line.path)).open()


def test_it_opens_by_name(line: PtyLine) -> None:
    with rxstream.open("keyboard", tty=line.path) as keys:
        line.write(b"k")
        assert eventually(lambda: names(keys) == ["k"])


# -- a program in a terminal of its own ---------------------------------------------------------


def in_terminal(code: str, type_: bytes) -> tuple[int, str, bool]:
    """Run a program in a terminal; type when it says ready.

    Return its exit code, what it wrote, and whether it left the terminal as it was.
    """
    master, slave = os.openpty()
    before = termios.tcgetattr(slave)
    script = "import fcntl, os, sys, termios\nfcntl.ioctl(0, termios.TIOCSCTTY, 0)\n"
    process = subprocess.Popen(
        [sys.executable, "-c", script + textwrap.dedent(code)],
        stdin=slave, stdout=slave, stderr=slave, start_new_session=True,
    )  # fmt: skip
    output = b""
    try:
        while process.poll() is None:  # what it writes must be read, or it waits to end
            if select.select([master], [], [], 0.05)[0]:
                output += os.read(master, 4096)
            if b"ready" in output and type_:
                os.write(master, type_)
                type_ = b""
        if select.select([master], [], [], 0.0)[0]:
            output += os.read(master, 65536)
        restored = termios.tcgetattr(slave) == before
    finally:
        process.kill()
        process.wait()
        os.close(slave)
        os.close(master)
    return process.returncode, output.decode(), restored


def test_ctrl_c_interrupts_the_program_and_the_terminal_is_restored() -> None:
    code, output, restored = in_terminal(
        """
        import threading
        from rxstream import Device
        from rxstream.devices.keyboard import Keyboard
        keys = Device(Keyboard()).open()   # and nobody closes it
        print("ready", flush=True)
        threading.Event().wait(30)
        """,
        b"\x03",
    )
    assert code in (-2, 130), output
    assert restored


def test_a_crash_restores_the_terminal() -> None:
    code, output, restored = in_terminal(
        """
        import sys
        from rxstream import Device
        from rxstream.devices.keyboard import Keyboard, typed
        keys = Device(Keyboard()).open()
        reader = keys.reader()
        print("ready", flush=True)
        print("got", typed(reader.read(2, timeout=30)), flush=True)
        raise RuntimeError("crash")
        """,
        b"ok",
    )
    assert code == 1
    assert "got ok" in output
    assert restored


def test_its_own_terminal_is_found_though_input_comes_from_elsewhere() -> None:
    code, output, _ = in_terminal(
        """
        import os
        from rxstream import Device
        from rxstream.devices.keyboard import Keyboard
        null = os.open("/dev/null", os.O_RDONLY)
        os.dup2(null, 0)
        with Device(Keyboard()) as keys, keys.reader() as reader:
            print("ready", flush=True)
            print("got", reader.read(1, timeout=30).data["key"][0], flush=True)
        print("found", Keyboard.discover()[0].name)
        """,
        b"q",
    )
    assert code == 0, output
    assert "got q" in output
    assert "found this terminal" in output


def test_without_a_terminal_the_error_names_the_remedy() -> None:
    code = (
        "from rxstream import Device\n"
        "from rxstream.devices.keyboard import Keyboard\n"
        "assert Keyboard.discover() == []\n"
        "try:\n    Device(Keyboard()).open()\nexcept OSError as e:\n    print(type(e).__name__, e)"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], stdin=subprocess.DEVNULL, capture_output=True, text=True,
        check=True, start_new_session=True,
    )  # fmt: skip
    assert "DeviceNotFoundError keyboard: this program has no terminal" in result.stdout
    assert "Simulated.keyboard()" in result.stdout


# -- bad arguments ------------------------------------------------------------------------------


def test_bad_arguments() -> None:
    with pytest.raises(ParameterError, match=r"tty must be a path or a file descriptor, not 1\.5"):
        Keyboard(1.5)  # type: ignore[arg-type]
    for tty in ("", "a\0b", -1, 1 << 31, 10**400):
        with pytest.raises(ParameterError, match="tty must be a path or a file descriptor, not"):
            Keyboard(tty)
    with pytest.raises(ParameterError, match="heartbeat must be > 0"):
        Keyboard(heartbeat=0)
    with pytest.raises(ParameterError, match="echo must be True or False, not 'no'"):
        Keyboard(echo="no")  # type: ignore[arg-type]
    with pytest.raises(DeviceNotFoundError, match=r"cannot open '/dev/nowhere'.*; run it in a"):
        Device(Keyboard("/dev/nowhere")).open()
    with pytest.raises(DeviceNotFoundError, match=r"'/dev/null' is no terminal"):
        Device(Keyboard("/dev/null")).open()
    with pytest.raises(DeviceNotFoundError, match="9999 is no terminal"):
        Device(Keyboard(9999)).open()


def test_text_of_a_simulated_and_of_a_keyboard() -> None:
    sim = Simulated.keyboard()
    data = sim.data(np.arange(20))
    assert typed(Chunk.stamped(data, range(20), sim.info)) == "the quick "
