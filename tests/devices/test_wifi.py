"""Levels of a wireless network, by tables as the kernel prints them: no test has a radio.

The first table is one of Linux 6.1 with two simulated radios; the second is of a laptop.
"""

import re
import threading
from pathlib import Path

import numpy as np
import pytest
from fakes import eventually

from rxstream import Backoff, Device
from rxstream.devices import Wifi
from rxstream.errors import DeviceLostError, DeviceNotFoundError, ParameterError
from rxstream.testing import check_source

pytestmark = pytest.mark.real

PAGE = Path(__file__).parents[2] / "docs" / "devices" / "wifi.md"
HEAD = """\
Inter-| sta-|   Quality        |   Discarded packets               | Missed | WE
 face | tus | link level noise |  nwid  crypt   frag  retry   misc | beacon | 22
"""
ROW = " wlan0: 0000   70.  -30.  -256        0      0      0      0      9        0\n"
LAPTOP = " wlp3s0: 0000   54.  -56.  -95.       0      0      0      1    331        0\n"


class Radio:
    """A table of the kernel, from which an interface goes and comes back."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def plug(self, rows: str = ROW) -> None:
        # in one step, as nobody sees half a table of the kernel
        new = self.path.with_suffix(".new")
        new.write_text(HEAD + rows, encoding="utf-8")
        new.replace(self.path)

    def unplug(self) -> None:
        self.plug("")


@pytest.fixture
def radio(tmp_path: Path) -> Radio:
    found = Radio(tmp_path / "wireless")
    found.plug()
    return found


def test_it_keeps_the_rules(radio: Radio, tmp_path: Path) -> None:
    check_source(
        lambda: Wifi("wlan0", 0.02, str(radio.path)), unplug=radio.unplug, plug=radio.plug,
        absent=lambda: Wifi(table=str(tmp_path / "nothing")),
    )  # fmt: skip


def test_what_the_table_says_with_bounds(radio: Radio) -> None:
    radio.plug(ROW + LAPTOP)
    with Device(Wifi(every=0.01, table=str(radio.path))) as device, device.reader() as reader:
        first = reader.read(5, timeout=20)
        assert device.info.extra["interface"] == "wlan0"
        assert device.info.rate is None
    assert np.isnan(first.data["noise"]).all()
    assert set(first.data["level"]) == {-30.0}
    assert set(first.data["quality"]) == {70.0}
    assert all(item.bounds is not None for item in first.evidence)
    assert np.isfinite(first.uncertainty)
    with Device(Wifi("wlp3s0", 0.01, str(radio.path))) as device, device.reader() as reader:
        assert reader.read(1, timeout=20).data.tolist() == [(-56.0, -95.0, 54.0)]


def test_units_of_a_drivers_own_are_no_dbm_and_a_name_may_be_any_bytes(radio: Radio) -> None:
    rows = HEAD + " odd\xff: 0000   3.  60.  0.  0\n wlan0: 0000   54  200   161  0\n"
    radio.path.write_bytes(rows.encode("latin-1"))
    with Device(Wifi("wlan0", 0.01, str(radio.path))) as device, device.reader() as reader:
        (row,) = reader.read(1, timeout=20).data.tolist()
    assert np.isnan(row[:2]).all()
    assert row[2] == 54.0


def test_an_interface_that_goes_and_comes_back(radio: Radio) -> None:
    device = Device(Wifi("", 0.01, str(radio.path)), reconnect=Backoff(first=0.02, most=0.1))
    lost = threading.Event()
    device.faults.subscribe(lambda _: lost.set())
    with device, device.reader() as reader:
        reader.read(3, timeout=20)
        radio.unplug()
        assert lost.wait(20)
        assert isinstance(device.faults[0], DeviceLostError)
        assert "wlan0 is gone" in str(device.faults[0])
        radio.plug()
        assert eventually(lambda: device.state == "open")
        chunk = device.last(600)
        reader.read(1, timeout=20)
        assert eventually(lambda: device.last(600).gap_positions)
        chunk = device.last(600)
    reasons = [at.gap.reason for at in chunk.gap_positions]
    assert reasons.count("disconnect") == 1
    # a hundred times a second: a busy machine may miss a turn
    assert set(reasons) <= {"disconnect", "overrun"}


def test_what_is_in_the_way_is_said(radio: Radio, tmp_path: Path) -> None:
    with pytest.raises(DeviceNotFoundError, match="no wireless interface wlan7; there are: wlan0"):
        Device(Wifi("wlan7", table=str(radio.path))).open()
    radio.unplug()
    with pytest.raises(DeviceNotFoundError, match="no wireless interface; there are: none"):
        Device(Wifi(table=str(radio.path))).open()
    with pytest.raises(DeviceNotFoundError, match="Linux with wireless extensions"):
        Device(Wifi(table=str(tmp_path / "nothing"))).open()
    with pytest.raises(ParameterError, match="every"):
        Wifi(every=0)
    with pytest.raises(ParameterError, match="interface"):
        Wifi("wlan\0")


def test_interfaces_are_found(radio: Radio, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("rxstream.devices.wifi._TABLE", str(radio.path))
    assert Wifi.discover() == [("wlan0", {"interface": "wlan0"}, "")]
    monkeypatch.setattr("rxstream.devices.wifi._TABLE", "/nowhere")
    assert Wifi.discover() == []


def test_the_page_runs(radio: Radio, capsys: pytest.CaptureFixture[str]) -> None:
    (block,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    exec(block.replace("every=1.0", f"every=0.01, table={str(radio.path)!r}"), {})
    assert "[-30. -30. -30.] wlan0" in capsys.readouterr().out
