"""A mouse, by a stand-in: `input_devices` says what that is."""

import re
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fakes import eventually
from input_devices import ABS, KEY, REL, SYN, FakeInput, fake_keyboard, fake_mouse, input_folder

import rxstream
from rxstream import Backoff, Device
from rxstream.devices import Mouse
from rxstream.errors import DeviceNotFoundError, OverrunError, ParameterError
from rxstream.testing import check_source

pytestmark = pytest.mark.real

if sys.platform != "linux":
    pytest.skip("only Linux has input devices", allow_module_level=True)

PAGE = Path(__file__).parents[2] / "docs" / "devices" / "mouse.md"
LEFT, RIGHT = 0x110, 0x111
X, Y, ACROSS, WHEEL, FINE_WHEEL = 0, 1, 6, 8, 11


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    with input_folder(tmp_path) as found:
        yield found


@pytest.fixture
def mouse(folder: Path) -> Iterator[FakeInput]:
    with fake_keyboard(folder), fake_mouse(folder) as found:
        yield found


def samples(device: Device) -> list[Any]:
    return list(device.last(600).data.tolist())


def test_it_keeps_the_rules(mouse: FakeInput) -> None:
    check_source(
        lambda: Mouse(mouse.name), feed=lambda: mouse.send((REL, X, 1)), unplug=mouse.unplug,
        plug=mouse.plug, absent=lambda: Mouse("nothing"),
    )  # fmt: skip


def test_movements_buttons_and_the_wheel(mouse: FakeInput) -> None:
    with Device(Mouse()) as device:
        mouse.send((REL, X, 5), (REL, Y, -3))
        mouse.send((4, 4, 589_825), (KEY, LEFT, 1))
        mouse.send((REL, X, 10), (KEY, LEFT, 0))
        mouse.send((REL, WHEEL, -2), (REL, FINE_WHEEL, -240))
        mouse.send((REL, ACROSS, 1))
        mouse.send((KEY, 0x11F, 1))
        assert eventually(lambda: len(samples(device)) == 8)
        assert device.info.extra["device"] == "Mouse 7"
        assert samples(device) == [
            (5, -3, "", False), (5, -3, "left", True), (15, -3, "", False),
            (15, -3, "left", False), (15, -3, "wheel_down", True), (15, -3, "wheel_down", True),
            (15, -3, "wheel_right", True), (15, -3, "button287", True),
        ]  # fmt: skip


def test_a_touchpad_says_where_it_is_touched(folder: Path) -> None:
    pad = FakeInput(folder / "event9", "Pad", {KEY: {0x14A}, ABS: {X, Y}})
    with pad, Device(Mouse("Pad")) as device:
        pad.send((KEY, 0x14A, 1), (ABS, X, 700), (ABS, Y, 300))
        pad.send((ABS, X, 701))
        assert eventually(lambda: len(samples(device)) == 3)
        assert samples(device) == [
            (700, 300, "", False), (700, 300, "touch", True), (701, 300, "", False),
        ]  # fmt: skip


def test_buttons_that_changed_while_events_were_dropped(mouse: FakeInput) -> None:
    with Device(Mouse()) as device:
        mouse.send((KEY, LEFT, 1))
        assert eventually(lambda: len(samples(device)) == 1)
        mouse.held.discard(LEFT)
        mouse.send((SYN, 3, 0), (REL, X, 99))
        assert eventually(lambda: len(samples(device)) == 2)
        mouse.send((REL, X, 1))
        assert eventually(lambda: len(samples(device)) == 3)
        assert samples(device)[1:] == [(0, 0, "left", False), (1, 0, "", False)]
        assert [type(fault) for fault in device.faults] == [OverrunError]
        (at,) = device.last(600).gap_positions
        assert (at.position, at.gap.lost, at.gap.reason) == (1, None, "overrun")


def test_a_mouse_that_comes_back_under_another_path(folder: Path, mouse: FakeInput) -> None:
    device = Device(Mouse(mouse.name), reconnect=Backoff(first=0.02, most=0.1))
    lost = threading.Event()
    device.faults.subscribe(lambda _: lost.set())
    with device:
        mouse.send((REL, X, 7))
        assert eventually(lambda: len(samples(device)) == 1)
        mouse.unplug()
        assert lost.wait(20)
        mouse.move_to(folder / "event77")
        mouse.plug()
        assert eventually(lambda: device.state == "open")
        mouse.send((REL, X, 1))
        assert eventually(lambda: len(samples(device)) == 2)
        (at,) = device.last(600).gap_positions
        assert (at.position, at.gap.reason) == (1, "disconnect")
        assert samples(device)[1] == (1, 0, "", False)


def test_mice_are_found_and_opened_by_name(mouse: FakeInput) -> None:
    (found,) = Mouse.discover()
    assert found == ("Mouse 7", {"device": "Mouse 7"}, str(mouse.path))
    with rxstream.open("mouse:device=Mouse 7") as device:
        assert device.state == "open"


def test_what_is_in_the_way_is_said(folder: Path) -> None:
    with (
        fake_keyboard(folder),
        pytest.raises(DeviceNotFoundError, match="there is no mouse; there are: none"),
    ):
        Device(Mouse()).open()
    with pytest.raises(ParameterError, match="device must be a name or path"):
        Mouse("")


def test_the_page_runs(mouse: FakeInput, capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    over = threading.Event()

    def move() -> None:
        while not over.wait(0.01):
            mouse.send((REL, X, 1))

    thread = threading.Thread(target=move)
    thread.start()
    try:
        exec(block, {})
    finally:
        over.set()
        thread.join()
    assert capsys.readouterr().out.count("False") == 3
