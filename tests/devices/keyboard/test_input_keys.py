"""Keys of input devices, by stand-ins: `input_devices` says what these are."""

import itertools
import re
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import eventually
from input_devices import KEY, LED, SYN, FakeInput, fake_keyboard, fake_mouse, input_folder

import rxstream
from rxstream import Backoff, Device
from rxstream.authoring import host_time
from rxstream.devices import Keyboard, input_events
from rxstream.devices.keyboard import typed
from rxstream.devices.keyboard.key_codes import KeyState
from rxstream.errors import DeviceBusyError, DeviceNotFoundError, OverrunError, ParameterError
from rxstream.testing import check_source

pytestmark = pytest.mark.real

if sys.platform != "linux":
    pytest.skip("only Linux has input devices", allow_module_level=True)

PAGE = Path(__file__).parents[3] / "docs" / "devices" / "keyboard.md"
A, B, C, SPACE, SHIFT, CTRL, ALT, CAPS, KP7, UP = 30, 48, 46, 57, 42, 29, 56, 58, 71, 103


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with input_folder(tmp_path) as found:
        yield found


@pytest.fixture
def keys(folder: Path) -> Iterator[FakeInput]:
    with fake_keyboard(folder) as found:
        yield found


def strokes(device: Device) -> list[tuple[str, bool]]:
    return [(str(name), bool(down)) for name, down in device.last(600).data.tolist()]


def stroke(keys: FakeInput, code: int) -> None:
    keys.send((KEY, code, 1))
    keys.send((KEY, code, 0))


def test_they_keep_the_rules(keys: FakeInput) -> None:
    codes = itertools.cycle([A, B])
    check_source(
        lambda: Keyboard(device=keys.name), feed=lambda: stroke(keys, next(codes)),
        unplug=keys.unplug, plug=keys.plug, absent=lambda: Keyboard(device="nothing"),
    )  # fmt: skip


# -- names ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("codes", "leds", "names"),
    [
        ([A], set(), ["a"]), ([SHIFT, A], set(), ["shift", "A"]),
        ([CTRL, A], set(), ["ctrl", "ctrl+a"]), ([97, A], set(), ["right_ctrl", "ctrl+a"]),
        ([ALT, SHIFT, A], set(), ["alt", "shift", "alt+A"]),
        ([CTRL, ALT, A], set(), ["ctrl", "alt", "ctrl+alt+a"]),
        ([CTRL, SHIFT, A], set(), ["ctrl", "shift", "ctrl+shift+a"]),
        ([SHIFT, 2], set(), ["shift", "!"]), ([53], set(), ["/"]),
        ([SHIFT, 53], set(), ["shift", "?"]), ([54, UP], set(), ["right_shift", "shift+up"]),
        ([SHIFT, SPACE], set(), ["shift", "space"]), ([SHIFT, 15], set(), ["shift", "shift+tab"]),
        ([A], {1}, ["A"]), ([SHIFT, A], {1}, ["shift", "a"]), ([2], {1}, ["1"]),
        ([KP7], set(), ["home"]), ([KP7], {0}, ["7"]), ([SHIFT, KP7], {0}, ["shift", "home"]),
        ([59], set(), ["f1"]), ([88], set(), ["f12"]), ([194], set(), ["f24"]),
        ([96], set(), ["enter"]), ([125], set(), ["meta"]), ([240], set(), ["key240"]),
        ([41], set(), ["`"]), ([43], set(), ["\\"]),
    ],
)  # fmt: skip
def test_names_are_those_of_a_terminal(codes: list[int], leds: set[int], names: list[str]) -> None:
    state = KeyState(set(), leds)
    assert [state.push(code, down=True) for code in codes] == names
    assert [state.push(code, down=False) for code in codes] == names


def test_no_name_is_longer_than_its_field() -> None:
    state = KeyState({CTRL, ALT, SHIFT}, set())
    assert max(len(state.push(code, down=True)) for code in range(768)) <= 32


# -- keys -----------------------------------------------------------------------------------------


def test_keys_go_down_and_up_with_the_kernels_time(keys: FakeInput) -> None:
    device = Device(Keyboard(device=str(keys.path)))
    stamps = list[int]()
    with device, device.reader() as reader:
        assert keys.clock == time.CLOCK_BOOTTIME
        for code in (A, B, C):
            stamps += [keys.send((KEY, code, 1)), keys.send((KEY, code, 2))][:1]
            stamps.append(keys.send((KEY, code, 0)))
        chunk = reader.read(6, timeout=20)
        assert device.info.extra["device"] == "Keys 3000"
    assert chunk.data.tolist() == [(key, down) for key in "abc" for down in (True, False)]
    assert typed(chunk) == "abc"
    boot = [
        host_time(stamp, lambda: time.clock_gettime_ns(time.CLOCK_BOOTTIME)) for stamp in stamps
    ]
    # equal stamps, which come in one microsecond, are set apart by a nanosecond
    assert all(abs(x - y) < 100_000 for x, y in zip(chunk.time.tolist(), boot, strict=True))


def test_several_keys_in_one_report_and_a_report_in_pieces(keys: FakeInput) -> None:
    with Device(Keyboard(device="any")) as device:
        keys.send((KEY, SHIFT, 1), (KEY, A, 1), (4, 4, 458_756))
        keys.send((KEY, A, 0), report=False)
        keys.send((KEY, SHIFT, 0), (KEY, 0x110, 1), (LED, 1, 1), (KEY, B, 1))
        assert eventually(lambda: len(strokes(device)) == 5)
        assert strokes(device) == [
            ("shift", True), ("A", True), ("A", False), ("shift", False), ("B", True),
        ]  # fmt: skip


def test_keys_that_are_held_as_it_is_opened(keys: FakeInput) -> None:
    keys.held.add(CTRL)
    with Device(Keyboard(device="any")) as device:
        keys.send((KEY, C, 1))
        keys.send((KEY, CTRL, 0))
        assert eventually(lambda: len(strokes(device)) == 2)
        assert strokes(device) == [("ctrl+c", True), ("ctrl", False)]


def test_what_the_kernel_drops_is_reported_and_what_changed_follows(keys: FakeInput) -> None:
    with Device(Keyboard(device="any")) as device:
        keys.send((KEY, SHIFT, 1), (KEY, A, 1))
        assert eventually(lambda: len(strokes(device)) == 2)
        # "a" went up and "b" down among those that were dropped, and the rest of a report with them
        keys.held.discard(A)
        keys.held.add(B)
        keys.send((SYN, 3, 0), (KEY, C, 0))
        assert eventually(lambda: len(strokes(device)) == 4)
        keys.send((KEY, B, 0))
        assert eventually(lambda: len(strokes(device)) == 5)
        assert strokes(device)[2:] == [("A", False), ("B", True), ("B", False)]
        (fault,) = device.faults
        assert isinstance(fault, OverrunError)
        assert "dropped events of Keys 3000" in str(fault)
        (at,) = device.last(600).gap_positions
        assert (at.position, at.gap.lost, at.gap.reason) == (2, None, "overrun")


def test_what_the_kernel_drops_between_two_keys_is_a_gap_between_them(keys: FakeInput) -> None:
    with Device(Keyboard(device="any")) as device:
        keys.send((KEY, A, 1), (SYN, 0, 0), (SYN, 3, 0), (SYN, 0, 0), (KEY, B, 1))
        assert eventually(lambda: len(strokes(device)) == 2)
        assert strokes(device) == [("a", True), ("b", True)]
        (at,) = device.last(600).gap_positions
        assert (at.position, at.gap.lost, at.gap.reason) == (1, None, "overrun")


def test_what_the_kernel_drops_is_a_gap_though_no_key_has_changed(keys: FakeInput) -> None:
    with Device(Keyboard(device="any")) as device:
        stroke(keys, A)
        assert eventually(lambda: len(strokes(device)) == 2)
        keys.send((SYN, 3, 0))
        assert eventually(lambda: bool(device.last(600).gap_positions))
        stroke(keys, B)
        assert eventually(lambda: len(strokes(device)) == 4)
        (at,) = device.last(600).gap_positions
        assert (at.position, at.gap.lost, at.gap.reason) == (2, None, "overrun")


# -- life -----------------------------------------------------------------------------------------


def test_a_keyboard_that_comes_back_under_another_path(folder: Path, keys: FakeInput) -> None:
    with fake_mouse(folder), fake_keyboard(folder, "another"):
        device = Device(Keyboard(device=keys.name), reconnect=Backoff(first=0.02, most=0.1))
        lost = threading.Event()
        device.faults.subscribe(lambda _: lost.set())
        with device:
            keys.send((KEY, A, 1))
            assert eventually(lambda: len(strokes(device)) == 1)
            keys.unplug()
            assert lost.wait(20)
            keys.move_to(folder / "event1234")
            keys.held.clear()
            keys.plug()
            assert eventually(lambda: device.state == "open")
            keys.send((KEY, B, 1))
            assert eventually(lambda: len(strokes(device)) == 2)
            chunk = device.last(600)
    assert chunk.data["key"].tolist() == ["a", "b"]
    assert [(at.position, at.gap.reason) for at in chunk.gap_positions] == [(1, "disconnect")]


def test_without_a_terminal_it_is_the_first_keyboard(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rxstream.devices.keyboard.tty._candidates", lambda _: iter(()))
    with pytest.raises(DeviceNotFoundError, match="this program has no terminal"):
        Device(Keyboard()).open()
    with fake_mouse(folder), fake_keyboard(folder) as keys, Device(Keyboard()) as device:
        keys.send((KEY, A, 1))
        assert eventually(lambda: strokes(device) == [("a", True)])
        assert device.info.device_clock == "host"


def test_keyboards_are_found(folder: Path, keys: FakeInput) -> None:
    with fake_mouse(folder):
        found = Keyboard.discover()[-1]
        assert found == ("Keys 3000", {"device": "Keys 3000"}, str(keys.path))
        with rxstream.open("keyboard", **found.options) as device:
            assert device.state == "open"


def test_what_is_in_the_way_is_said(
    folder: Path, keys: FakeInput, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(DeviceNotFoundError, match=r"no keyboard called 'none'; there are: Keys"):
        Device(Keyboard(device="none")).open()
    with pytest.raises(DeviceNotFoundError, match=r"there is no /nowhere/event3; see ls"):
        Device(Keyboard(device="/nowhere/event3")).open()
    with pytest.raises(DeviceNotFoundError, match="/dev/null is no input device"):
        Device(Keyboard(device="/dev/null")).open()

    # root may read everything
    def refuse(path: str, *_: Any) -> int:
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr(input_events.os, "open", refuse)
    for device in ("any", str(keys.path)):
        with pytest.raises(DeviceBusyError, match=r"may not read .*group input"):
            Device(Keyboard(device=device)).open()


def test_a_name_is_that_of_a_keyboard_and_of_one(folder: Path, keys: FakeInput) -> None:
    # a receiver is several devices, which have one name
    receiver = fake_mouse(folder, "Receiver")
    with receiver, fake_keyboard(folder, "Receiver") as other:
        with Device(Keyboard(device="Receiver")) as device:
            other.send((KEY, A, 1))
            assert eventually(lambda: strokes(device) == [("a", True)])
        with fake_keyboard(folder, "Receiver") as third:
            paths = f"{other.path}, {third.path}"
            with pytest.raises(DeviceNotFoundError, match=f"several are called .*{paths}; give"):
                Device(Keyboard(device="Receiver")).open()
            assert [found.options["device"] for found in Keyboard.discover()[-3:]] == [
                keys.name, str(other.path), str(third.path),
            ]  # fmt: skip


@pytest.mark.parametrize(
    "options",
    [{"device": ""}, {"device": 5}, {"device": "a\0"}, {"device": "any", "tty": "/dev/tty"}],
)
def test_wrong_options_are_named(options: dict[str, Any]) -> None:
    with pytest.raises(ParameterError, match="device"):
        Keyboard(**options)


def test_the_page_runs(
    keys: FakeInput, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    monkeypatch.setattr("rxstream.devices.keyboard.tty._candidates", lambda _: iter(()))
    over = threading.Event()

    def type_it() -> None:
        while not over.wait(0.01):
            stroke(keys, A)

    thread = threading.Thread(target=type_it)
    thread.start()
    try:
        exec(block, {})
    finally:
        over.set()
        thread.join()
    assert capsys.readouterr().out in ("'a'\n", "'aa'\n")
